"""An import on PostgreSQL whose worker stands still amid it: another finishes it, whatever rows the first one keeps."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from graph.background.jobs import definitions
from graph.catalog.keys import IMPORT_PRODUCTS
from graph.jobs import JobState, Worker, delivery
from graph.services import open_services
from harness.serving import Working
from harness.waiting import within
from tests.support.apps.products import with_imports

if TYPE_CHECKING:
    from pathlib import Path

    from graph.services import Services
    from harness.valkey import ValkeyServer

ROWS = 30_000


async def _done(services: Services, job: str, *, begun: bool = False) -> JobState:
    """Wait for the first report (`begun`) or the end of a job."""
    async with within("a report or the end of the job"):
        while True:
            found = await services.jobs.get(job)
            assert found is not None
            if found.state.finished or (begun and found.done):
                return found.state
            await asyncio.sleep(0.01)


@pytest.mark.heavy
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_another_worker_finishes_the_import_of_one_that_stands_still(
    database_url: str, valkey: ValkeyServer, client: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGSTOP amid a transaction: the import is taken over and ends; the first worker, awake again, harms nothing."""
    settings = with_imports(tmp_path, valkey.url, database_url, rows=ROWS)
    variables = {name: value for name, value in settings.environment().items() if name != "GRAPH_DATA_DIR"}
    async with open_services(settings) as services:
        with Working(tmp_path, **variables) as first:
            job = await services.jobs.enqueue(IMPORT_PRODUCTS, {"path": "products.csv"}, retries=20)
            assert await _done(services, job, begun=True) is JobState.RUNNING
            first.process.send_signal(signal.SIGSTOP)
            stop = asyncio.Event()
            monkeypatch.setattr(delivery, "DEAD_AFTER", 2.5)
            second = asyncio.create_task(Worker(services.jobs, definitions(services)).run(stop))
            assert await _done(services, job) is JobState.SUCCEEDED
            first.process.send_signal(signal.SIGCONT)
            count = await services.database.execute(text("SELECT count(*) FROM product"))
            assert count == [(ROWS,)]
            stop.set()
            await second
            assert await asyncio.to_thread(first.stop) == 0
            found = await services.jobs.get(job)
            assert found is not None
            assert found.state is JobState.SUCCEEDED
            open_ones = text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
            async with within("every transaction to end"):  # another reader may be between two statements just now
                while await services.database.execute(open_ones) != [(0,)]:
                    await asyncio.sleep(0.05)
