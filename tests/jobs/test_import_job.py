from __future__ import annotations

import asyncio
import gzip
import io
import os
import time
from typing import TYPE_CHECKING, Any

import pytest

from graph.background.jobs import definitions
from graph.catalog.keys import IMPORT_PRODUCTS, IMPORT_UPLOAD
from graph.jobs import JobState, Worker, forget_uploads, keep_upload
from harness.waiting import within
from tests.support.apps.api import ADMIN, ANYBODY, PLAYER, SERVICE, Api, asking

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graph.catalog.records import ProductRecord
    from graph.jobs import Job
    from graph.patterns.client import Client
    from graph.services import Services


async def _product(services: Services, sku: str) -> ProductRecord | None:
    return (await services.catalog.products_by_sku([sku])).get(sku)


async def _done(services: Services, job: str) -> Job:
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(services.jobs, definitions(services)).run(stop))
    try:
        async with within(f"job {job}"):
            while (found := await services.jobs.get(job)) is None or not found.state.finished:
                await asyncio.sleep(0.02)
    finally:
        stop.set()
        await task
    return found


MUTATION = """
mutation ($path: String!) {
  importProducts(input: {path: $path}) { __typename ... on Job { id name state } ... on InvalidInput { code field } }
}
"""


@pytest.fixture
async def api(services: Services, client: Client) -> AsyncGenerator[Api]:
    """Ask the product's schema as it is served."""
    async with asking(services, client) as opened:
        yield opened


async def _ask(api: Api, path: str) -> Any:
    return (await api(MUTATION, ADMIN, path=path))["importProducts"]


async def test_an_import_runs_in_the_background_and_cached_reads_see_it(api: Api, services: Services) -> None:
    """The mutation queues a job; once it has succeeded a cached product reads as the file says."""
    rows = ["sku,name,price,stock", *(f"SKU-{number},Lamp {number},{number}.50,3" for number in range(1, 301))]
    (services.imports / "lamps.csv").write_text("\n".join(rows))
    assert await _product(services, "SKU-7") is None
    first, second = await asyncio.gather(_ask(api, "lamps.csv"), _ask(api, "./lamps.csv"))
    assert (first["__typename"], first["name"]) == ("Job", IMPORT_PRODUCTS)
    assert first["id"] == second["id"]  # the same file is imported once
    done = await _done(services, (await services.jobs.list())[0].id)
    assert (done.state, done.done == done.total) == (JobState.SUCCEEDED, True)
    product = await _product(services, "SKU-7")
    assert product is not None
    assert (product.name, product.stock) == ("Lamp 7", 3)


async def test_an_import_with_bad_rows_says_which(api: Api, services: Services) -> None:
    """Good rows go in, and the job is set aside with the lines that were left out."""
    (services.imports / "mixed.csv").write_text("sku,name,price\nA,Good,1.00\nB,Bad,-1.00\n")
    await _ask(api, "mixed.csv")
    done = await _done(services, (await services.jobs.list())[0].id)
    assert done.state is JobState.FAILED
    assert "1 of 2 rows" in (done.error or "")
    assert "line 3" in (done.error or "")
    assert await _product(services, "A") is not None


@pytest.mark.parametrize("path", ["../graph.db", "/etc/passwd", "missing.csv", "", "x" * 2000])
async def test_a_path_that_leads_elsewhere_is_invalid_input(api: Api, services: Services, path: str) -> None:
    """Nothing outside the import directory is read, and nothing is queued."""
    assert await _ask(api, path) == {"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": "path"}
    assert await services.jobs.list() == []


async def test_only_an_admin_imports(api: Api, services: Services) -> None:
    """Others are refused before the path is looked at."""
    (services.imports / "x.csv").write_text("sku,name,price\n")
    for caller, code in ((ANYBODY, "UNAUTHENTICATED"), (PLAYER, "FORBIDDEN"), (SERVICE, "FORBIDDEN")):
        assert (await api.refused(MUTATION, caller, path="x.csv"))["code"] == code
    assert await services.jobs.list() == []


UPLOAD = """
mutation ($file: Upload!) {
  uploadProducts(input: {file: $file}) { __typename ... on Job { id name state } ... on InvalidInput { code field } }
}
"""


async def _upload(api: Api, content: bytes, name: str) -> Any:
    answer = await api.upload(UPLOAD, ADMIN, content, name)
    assert "errors" not in answer, answer
    return answer["data"]["uploadProducts"]


def _kept(services: Services) -> list[str]:
    return sorted(path.name for path in (services.imports / "uploads").glob("*"))


async def test_an_uploaded_file_is_imported_and_removed(api: Api, services: Services) -> None:
    """The file outlives the request that brought it until all of it is in; packed ones are taken alike."""
    rows = b"sku,name,price\nU-1,Lamp,1.50\n"
    for name, content in (("lamps.csv", rows), ("Lamps.CSV.gz", gzip.compress(rows.replace(b"U-1", b"U-2")))):
        queued = await _upload(api, content, name)
        assert (queued["__typename"], queued["name"], queued["state"]) == ("Job", IMPORT_UPLOAD, "QUEUED")
        (kept,) = _kept(services)
        assert kept.endswith(name.lower().removeprefix("lamps"))
        assert (services.imports / "uploads" / kept).stat().st_mode & 0o777 == 0o600
        done = await _done(services, (await services.jobs.list())[0].id)
        assert (done.state, done.error) == (JobState.SUCCEEDED, None)
        assert _kept(services) == []
    assert await _product(services, "U-1") is not None
    assert await _product(services, "U-2") is not None


async def test_an_upload_with_bad_rows_is_named_as_its_sender_does_and_can_be_tried_again(
    api: Api, services: Services
) -> None:
    """The job says which lines of which file, keeps it for another try, and forgets it after that."""
    await _upload(api, b"sku,name,price\nA,Good,1.00\nB,Bad,-1.00\n", "mixed.csv")
    done = await _done(services, (await services.jobs.list())[0].id)
    assert (done.state, "line 3" in (done.error or "")) == (JobState.FAILED, True)
    await services.jobs.retry(done.id)
    assert (await _done(services, done.id)).error == done.error
    await _upload(api, b"{", "broken\u200b.json")
    done = await _done(services, (await services.jobs.list())[0].id)
    assert (done.error or "").startswith("broken.json: ")
    (services.imports / "uploads" / "mine.csv").write_text("")
    old = time.time() - 100
    for path in (services.imports / "uploads").glob("*"):
        os.utime(path, (old, old))
    assert forget_uploads(services.imports, older=1_000) == 0
    assert forget_uploads(services.imports, older=50) == 2
    assert _kept(services) == ["mine.csv"]


@pytest.mark.parametrize("name", ["products.exe", "products", ".csv.", "csv", "../../evil", "x" * 3_000])
async def test_a_file_of_another_kind_is_invalid_input(api: Api, services: Services, name: str) -> None:
    """Nothing is stored and nothing queued."""
    assert await _upload(api, b"x", name) == {"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": "file"}
    assert _kept(services) == []
    assert await services.jobs.list() == []


async def test_only_an_admin_uploads_and_names_no_path(api: Api, services: Services) -> None:
    """Others are refused, and the name that a client gives decides over nothing but the file's ending."""
    for caller, code in ((ANYBODY, "UNAUTHENTICATED"), (PLAYER, "FORBIDDEN"), (SERVICE, "FORBIDDEN")):
        (error,) = (await api.upload(UPLOAD, caller, b"sku,name,price\n", "x.csv"))["errors"]
        assert error["extensions"]["code"] == code
    assert _kept(services) == []
    await _upload(api, b"sku,name,price\n", "../../x.csv")
    (kept,) = _kept(services)
    assert len(kept) == len("0" * 32 + ".csv")


async def test_a_directory_that_cannot_be_written_is_no_bug(
    api: Api, services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    """The client is told that it does not work now; what was begun is removed, and nothing is logged as a bug."""
    (services.imports / "uploads").write_text("a file where the folder should be")
    (error,) = (await api.upload(UPLOAD, ADMIN, b"sku,name,price\n", "x.csv"))["errors"]
    assert error["extensions"]["code"] == "UNAVAILABLE"
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


def test_an_upload_that_cannot_be_read_to_its_end_leaves_nothing(services: Services) -> None:
    """Half a file is never found by a job."""

    class Breaking(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="gone"):
        keep_upload(services.imports, Breaking(), ".csv")
    assert _kept(services) == []
