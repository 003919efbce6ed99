from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from graph.apikeys.keys import NOTE_USE
from graph.background.jobs import TIDY, definitions, schedules
from graph.catalog.keys import FORGET_UPLOADS, WARM_CATALOG
from graph.jobs import JobState, Worker, announce_job, job_topic
from graph.leaderboard.keys import CLOSE_SEASONS, FORGET_KEYS, REBUILD
from graph.leaderboard.models import SEASONS
from graph.leaderboard.records import NewBoard, SeasonSchedule
from graph.patterns.broker.topic import TopicKeys
from harness.waiting import within

if TYPE_CHECKING:
    from graph.jobs import Job
    from graph.services import Services


async def _run(services: Services, name: str, **arguments: object) -> Job:
    return await _finished(services, await services.jobs.enqueue(name, arguments, retries=0, durable=False))


async def _finished(services: Services, job: str) -> Job:
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


async def test_every_scheduled_job_is_defined_and_runs(services: Services) -> None:
    """What comes by itself is known to the worker, succeeds on an empty shop, and may be run again."""
    names = [schedule.name for schedule in schedules(services.app)]
    assert sorted(names) == sorted([WARM_CATALOG, FORGET_UPLOADS, FORGET_KEYS, TIDY, NOTE_USE])
    for name in [*names, *names]:
        assert (await _run(services, name)).state is JobState.SUCCEEDED, name


async def test_a_job_that_is_over_keeps_its_record_alone(services: Services) -> None:
    """What was announced of it goes within minutes: each history takes kilobytes, and there is one a job."""
    done = await _run(services, WARM_CATALOG)
    client, topic = services.client, job_topic(done.id)
    await announce_job(services.broker, done)  # as the worker does in the background
    keys = TopicKeys.of(services.prefix, topic)
    for key in (keys.history, keys.state):
        assert 0 < await client.execute("TTL", key) <= 1200
    assert await client.execute("TTL", services.jobs.keys.record(done.id)) > 86_400


async def test_a_board_is_rebuilt_in_the_background(services: Services) -> None:
    """The job builds an index that was lost, and gives up on a board that does not exist."""
    board = await services.leaderboards.create_board(NewBoard(slug="arena", name="Arena"))
    done = await _run(services, REBUILD, slug="arena")
    assert done.state is JobState.SUCCEEDED
    assert await services.leaderboards.size(board) == 0
    failed = await _run(services, REBUILD, slug="nowhere")
    assert (failed.state, failed.error) == (JobState.FAILED, "there is no leaderboard nowhere")


async def over(services: Services, seconds: float) -> None:
    """A season of a board that ended so many seconds ago."""
    board = await services.leaderboards.create_board(
        NewBoard(slug="daily", name="Daily", schedule=SeasonSchedule.DAILY)
    )
    ended = round((time.time() - seconds) * 1e6)
    async with services.database.transaction() as session:
        season = {"board_id": board.id, "number": 1, "starts_at": 0, "ends_at": ended, "state": "OPEN"}
        await session.execute(insert(SEASONS).values(season))


async def states(services: Services) -> list[str]:
    """The states of all seasons."""
    async with services.database.session() as session:
        return list(await session.scalars(select(SEASONS.c.state)))


async def test_a_season_that_is_over_is_closed_by_one_job(services: Services) -> None:
    """Every process that sees it asks for the same job, which archives it."""
    await over(services, 0)
    await services.leaderboards.upkeep.tick()
    await services.leaderboards.upkeep.tick()
    (job,) = await services.jobs.list()
    assert (job.name, await states(services)) == (CLOSE_SEASONS, ["OPEN"])
    assert (await _finished(services, job.id)).state is JobState.SUCCEEDED
    assert await states(services) == ["ARCHIVED"]
    await services.leaderboards.upkeep.tick()
    assert len(await services.jobs.list()) == 1, "nothing is left to close"


async def test_where_no_worker_runs_a_season_is_closed_all_the_same(services: Services) -> None:
    """20 s after its end the process that sees it closes it; a worker that comes later finds nothing to do."""
    await over(services, 21)
    await services.leaderboards.upkeep.tick()
    assert await states(services) == ["ARCHIVED"]
    (job,) = await services.jobs.list()
    assert (await _finished(services, job.id)).state is JobState.SUCCEEDED
    assert await states(services) == ["ARCHIVED"]
