"""An import that is ended amid its transaction on PostgreSQL: nothing of it stays open, and no row stays locked."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest
from prometheus_client import REGISTRY

from graph.background.jobs import definitions
from graph.catalog.keys import IMPORT_PRODUCTS
from graph.jobs import Worker
from graph.jobs import worker as worker_module
from graph.jobs.queue import GROUP
from graph.services import Services, open_services
from harness.waiting import within
from tests.support.apps.products import add_products, with_imports

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from datetime import datetime
    from pathlib import Path

    from harness.postgres import Postgres
    from harness.valkey import ValkeyServer

ROWS = 100
_OPEN = "SELECT pid, xact_start FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL"
_WAITING = f"{_OPEN} AND wait_event_type = 'Lock'"


@pytest.fixture
async def name(postgres: Postgres) -> AsyncGenerator[str]:
    """A database of its own."""
    made = await postgres.create()
    yield made
    await postgres.drop(made)


@pytest.fixture
async def services(
    name: str, postgres: Postgres, valkey: ValkeyServer, client: object, tmp_path: Path
) -> AsyncGenerator[Services]:
    """Services with some products, and a file that changes all of them."""
    assert client
    async with open_services(with_imports(tmp_path, valkey.url, postgres.url(name), rows=ROWS)) as opened:
        await add_products(opened.database, ({"sku": f"S{number}"} for number in range(ROWS)))
        yield opened


class Others:
    """Two sessions of other programs: one `has` the last of the products, one looks."""

    def __init__(self, has: Any, looks: Any) -> None:
        self.has = has
        self._looks = looks  # within a transaction the sessions would be shown as they were when first looked at

    async def waiting(self) -> list[tuple[int, datetime]]:
        """The transactions that wait for a row, by their process and beginning."""
        return [tuple(row) for row in await self._looks.fetch(_WAITING)]

    async def open(self) -> list[tuple[int, datetime]]:
        """The transactions that are open."""
        return [tuple(row) for row in await self._looks.fetch(_OPEN)]


@pytest.fixture
async def others(services: Services, name: str, postgres: Postgres) -> AsyncGenerator[Others]:
    """Both of them."""
    assert services
    sessions = [await cast("Any", asyncpg).connect(user="postgres", host=postgres.folder, database=name) for _ in "ab"]
    await sessions[0].execute("BEGIN")
    await sessions[0].execute(f"SELECT FROM product WHERE sku = 'S{ROWS - 1}' FOR UPDATE")
    yield Others(*sessions)
    for session in sessions:
        await session.close()


def _ended() -> float:
    """How many attempts at imports have ended in this process."""
    durations = REGISTRY.restricted_registry(["graph_job_seconds_count"])  # others are not asked for theirs
    samples = [sample for metric in durations.collect() for sample in metric.samples]
    return sum(sample.value for sample in samples if sample.labels == {"name": IMPORT_PRODUCTS})


@pytest.mark.parametrize("how", ["discarded", "record lost", "taken over", "worker stopped", "out of time"])
async def test_nothing_of_an_attempt_outlives_it(
    services: Services, others: Others, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """It has locked rows and waits for one; when its end is reported its transaction is gone, and its locks."""
    monkeypatch.setattr(worker_module, "HEARTBEAT", 0.05)
    jobs, stop, before = services.jobs, asyncio.Event(), _ended()
    kinds = definitions(services)
    if how == "out of time":
        kinds = [worker_module.Definition(kind.name, kind.run, timeout=2.0) for kind in kinds]
    working = asyncio.create_task(Worker(jobs, kinds, drain=0).run(stop))
    try:
        job = await jobs.enqueue(IMPORT_PRODUCTS, {"path": "products.csv"})
        async with within("the import to wait for the row"):
            while not (waiting := await others.waiting()):
                await asyncio.sleep(0.01)
        match how:
            case "discarded":
                await jobs.discard(job)
            case "record lost":
                await jobs.client.execute("DEL", jobs.keys.record(job), retry=False)
            case "taken over":
                (entry,) = await jobs.client.execute("XRANGE", jobs.keys.queue, "-", "+")
                claim = ("XCLAIM", jobs.keys.queue, GROUP, "another", 0, entry[0], "JUSTID")
                await jobs.client.execute(*claim, retry=False)
            case "worker stopped":
                stop.set()
            case _:
                pass
        async with within("the end of the attempt"):
            while _ended() == before:
                await asyncio.sleep(0.001)
        assert not set(waiting).intersection(await others.open())
        await others.has.execute("SELECT FROM product FOR UPDATE NOWAIT")
    finally:
        stop.set()
        await working
