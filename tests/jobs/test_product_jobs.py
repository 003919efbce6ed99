from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from graph.jobs.records import JobState
from graph.jobs.worker import Worker
from graph.leaderboard.records import NewBoard
from graph.product_jobs import REBUILD, SEASONS, TIDY, WARM, definitions, schedules

if TYPE_CHECKING:
    from graph.jobs.records import Job
    from graph.services import Services


async def _run(services: Services, name: str, **arguments: object) -> Job:
    job = await services.jobs.enqueue(name, arguments, retries=0, durable=False)
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(services.jobs, definitions(services)).run(stop))
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            while (found := await services.jobs.get(job)) is None or not found.state.finished:
                await asyncio.sleep(0.02)
    stop.set()
    await task
    found = await services.jobs.get(job)
    assert found is not None
    return found


async def test_every_scheduled_job_is_defined_and_runs(services: Services) -> None:
    """What comes by itself is known to the worker, succeeds on an empty shop, and may be run again."""
    names = [schedule.name for schedule in schedules()]
    assert sorted(names) == sorted([SEASONS, WARM, TIDY])
    for name in [*names, *names]:
        assert (await _run(services, name)).state is JobState.SUCCEEDED, name


async def test_a_board_is_rebuilt_in_the_background(services: Services) -> None:
    """The job builds an index that was lost, and gives up on a board that does not exist."""
    board = await services.leaderboards.create_board(NewBoard(slug="arena", name="Arena"))
    done = await _run(services, REBUILD, slug="arena")
    assert done.state is JobState.SUCCEEDED
    assert await services.leaderboards.size(board) == 0
    failed = await _run(services, REBUILD, slug="nowhere")
    assert (failed.state, failed.error) == (JobState.FAILED, "there is no leaderboard nowhere")
