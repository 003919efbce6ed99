from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from graph.background.jobs import definitions
from graph.catalog.keys import IMPORT_PRODUCTS
from graph.jobs import JobState, Worker
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
