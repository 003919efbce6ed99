from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from graph.api.context import Context
from graph.api.schema import build_schema
from graph.background.jobs import definitions
from graph.catalog.keys import IMPORT_PRODUCTS
from graph.endpoint.identity import Caller
from graph.jobs import JobState, Worker
from harness.waiting import within

if TYPE_CHECKING:
    from graph.catalog.records import ProductRecord
    from graph.jobs import Job
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


async def _ask(services: Services, path: str, role: str | None = "ADMIN") -> Any:
    caller = Caller("127.0.0.1", user="1" if role else None, role=role)
    context = Context(services, caller)
    result = await build_schema().execute(MUTATION, {"path": path}, context_value=context)
    if result.errors:
        return result.errors[0]
    assert result.data is not None
    return result.data["importProducts"]


async def test_an_import_runs_in_the_background_and_cached_reads_see_it(services: Services) -> None:
    """The mutation queues a job; once it has succeeded a cached product reads as the file says."""
    rows = ["sku,name,price,stock", *(f"SKU-{number},Lamp {number},{number}.50,3" for number in range(1, 301))]
    (services.imports / "lamps.csv").write_text("\n".join(rows))
    assert await _product(services, "SKU-7") is None
    first, second = await asyncio.gather(_ask(services, "lamps.csv"), _ask(services, "./lamps.csv"))
    assert (first["__typename"], first["name"]) == ("Job", IMPORT_PRODUCTS)
    assert first["id"] == second["id"]  # the same file is imported once
    done = await _done(services, (await services.jobs.list())[0].id)
    assert (done.state, done.done == done.total) == (JobState.SUCCEEDED, True)
    product = await _product(services, "SKU-7")
    assert product is not None
    assert (product.name, product.stock) == ("Lamp 7", 3)


async def test_an_import_with_bad_rows_says_which(services: Services) -> None:
    """Good rows go in, and the job is set aside with the lines that were left out."""
    (services.imports / "mixed.csv").write_text("sku,name,price\nA,Good,1.00\nB,Bad,-1.00\n")
    await _ask(services, "mixed.csv")
    done = await _done(services, (await services.jobs.list())[0].id)
    assert done.state is JobState.FAILED
    assert "1 of 2 rows" in (done.error or "")
    assert "line 3" in (done.error or "")
    assert await _product(services, "A") is not None


@pytest.mark.parametrize("path", ["../graph.db", "/etc/passwd", "missing.csv", "", "x" * 2000])
async def test_a_path_that_leads_elsewhere_is_invalid_input(services: Services, path: str) -> None:
    """Nothing outside the import directory is read, and nothing is queued."""
    assert await _ask(services, path) == {"__typename": "InvalidInput", "code": "INVALID_INPUT", "field": "path"}
    assert await services.jobs.list() == []


async def test_only_an_admin_imports(services: Services) -> None:
    """Others are refused before the path is looked at."""
    (services.imports / "x.csv").write_text("sku,name,price\n")
    for role in (None, "PLAYER", "SERVICE"):
        refused = await _ask(services, "x.csv", role)
        assert refused.original_error.code in ("UNAUTHENTICATED", "FORBIDDEN")
    assert await services.jobs.list() == []
