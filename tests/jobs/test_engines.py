"""The job queue on a Sentinel set and on a cluster."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from graph.jobs import Definition, Job, Jobs, JobState, Progress, Worker
from graph.patterns.client import open_client
from harness.valkey import SentinelSet, ValkeyCluster
from harness.waiting import within

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=[SentinelSet, ValkeyCluster], ids=["sentinel", "cluster"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of each in turn."""
    with request.param() as engine:
        yield engine.url


async def _ended(jobs: Jobs, job: str) -> Job:
    async with within("the job to end"):
        while (found := await jobs.get(job)) is None or not found.state.finished:
            await asyncio.sleep(0.02)
    return found


@pytest.mark.usefixtures("undisputed")
async def test_jobs_run_wherever_redis_runs(url: str) -> None:
    """A job is queued, fails, waits for its next try, reports and succeeds; a twin joins it meanwhile."""
    tries = 0

    async def work(progress: Progress, *, number: int) -> None:
        nonlocal tries
        tries += 1
        await progress(number, 7)
        if tries == 1:
            raise RuntimeError("not yet")

    async with open_client(url) as client:
        jobs, stop = Jobs(client, prefix="test"), asyncio.Event()
        job = await jobs.enqueue("work", {"number": 7}, unique="once")
        assert await jobs.enqueue("work", {"number": 7}, unique="once") == job
        working = asyncio.create_task(Worker(jobs, [Definition("work", work)]).run(stop))
        try:
            done = await _ended(jobs, job)
        finally:
            stop.set()
            await working
        assert (done.state, done.done, done.total, done.failures, tries) == (JobState.SUCCEEDED, 7, 7, 1, 2)
        assert await client.execute("XLEN", jobs.keys.queue) == 0
