from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from graph.errors import Unavailable
from graph.jobs import (
    AlreadyUnderWay,
    Definition,
    GiveUp,
    Job,
    Jobs,
    JobState,
    Progress,
    Schedule,
    UnknownJob,
    Worker,
    delivery,
    endings,
    follow_job,
)
from graph.jobs import worker as worker_module
from graph.jobs.queue import GROUP
from graph.patterns.broker import Broker
from graph.patterns.client import Command
from harness.waiting import HANG, until, within

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Collection

    from graph.patterns.client import Client


@pytest.fixture
def jobs(client: Client) -> Jobs:
    """An empty queue."""
    return Jobs(client, prefix="test")


@contextlib.asynccontextmanager
async def working(
    jobs: Jobs, *runs: Callable[..., Any], limit: float = 30, **options: Any
) -> AsyncGenerator[asyncio.Event]:
    """A worker that knows `runs` by their names, drained at the end of the block."""
    stop = asyncio.Event()
    worker = Worker(jobs, [Definition(run.__name__, run, limit) for run in runs], **options)
    task = asyncio.create_task(worker.run(stop))
    try:
        yield stop
    finally:
        stop.set()
        async with within("the worker to end"):
            await task


async def ended(jobs: Jobs, job: str, seconds: float = 15) -> Job:
    """The job, once it has finished."""
    async with within(f"job {job}"):
        while (found := await jobs.get(job)) is None or not found.state.finished:
            await asyncio.sleep(0.01)
    return found


async def test_a_job_runs_and_tells_how_far_it_came(jobs: Jobs) -> None:
    """A queued job is run once, its record goes from QUEUED to SUCCEEDED and its delivery leaves the queue."""
    ran: list[int] = []

    async def add(progress: Progress, *, number: int) -> None:
        ran.append(number)
        await progress(3, 3)

    job = await jobs.enqueue("add", {"number": 7})
    queued = await jobs.get(job)
    assert queued is not None
    assert (queued.state, queued.name, queued.done, queued.total) == (JobState.QUEUED, "add", 0, None)
    async with working(jobs, add):
        done = await ended(jobs, job)
    assert ran == [7]
    assert (done.state, done.done, done.total, done.error) == (JobState.SUCCEEDED, 3, 3, None)
    assert done.created_at <= (done.started_at or done.created_at) <= (done.finished_at or done.created_at)
    assert await jobs.client.execute("XLEN", jobs.keys.queue) == 0


async def test_the_same_work_is_joined_not_queued_twice(jobs: Jobs) -> None:
    """While a job of one unique key is under way asking again gives its id; afterwards a new one is queued."""
    first = await asyncio.gather(*[jobs.enqueue("work", {}, unique="file") for _ in range(20)])
    assert len(set(first)) == 1
    assert await jobs.enqueue("work", {}, unique="other") != first[0]

    async def work(progress: Progress) -> None:
        await progress(1, 1)

    async with working(jobs, work):
        await ended(jobs, first[0])
        assert await jobs.enqueue("work", {}, unique="file") != first[0]


async def test_an_error_is_retried_with_backoff_then_set_aside(jobs: Jobs) -> None:
    """A failing job is tried again after a delay, and kept with its error and trace when the retries are used up."""
    attempts: list[float] = []

    async def fail(progress: Progress) -> None:
        attempts.append(asyncio.get_running_loop().time())
        raise RuntimeError("the disk is full")

    job = await jobs.enqueue("fail", {}, retries=1)
    async with working(jobs, fail):
        failed = await ended(jobs, job)
    assert len(attempts) == 2
    assert attempts[1] - attempts[0] >= 0.5
    assert (failed.state, failed.failures, failed.error) == (JobState.FAILED, 2, "the disk is full")
    assert "RuntimeError" in (failed.trace or "")
    assert [found.id for found in await jobs.list(states=frozenset({JobState.FAILED}))] == [job]


async def test_a_job_waits_for_what_is_away_however_often_it_is_tried(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That something is away is no failure of the job: neither its retries nor its attempts are used up."""
    monkeypatch.setattr(endings, "AWAY", 0.01)
    monkeypatch.setattr(worker_module, "MAX_ATTEMPTS", 3)
    tried = 0

    async def wait(progress: Progress) -> None:
        nonlocal tried
        tried += 1
        if tried < 6:
            raise Unavailable("the database is away")

    async with working(jobs, wait):
        job = await ended(jobs, await jobs.enqueue("wait", {}, retries=0))
    assert (job.state, tried) == (JobState.SUCCEEDED, 6)


async def test_a_failed_job_is_replayed_and_a_discarded_one_forgotten(jobs: Jobs) -> None:
    """Retry runs a failed job again with its retries restored; discard leaves nothing of it."""
    broken = True

    async def mend(progress: Progress) -> None:
        if broken:
            raise GiveUp("no such file")

    job = await jobs.enqueue("mend", {}, unique="x")
    other = await jobs.enqueue("mend", {}, unique="y")
    async with working(jobs, mend):
        assert (await ended(jobs, job)).error == "no such file"
        await ended(jobs, other)
        broken = False
        await jobs.retry(job)
        again = await ended(jobs, job)
        assert (again.state, again.error, again.failures) == (JobState.SUCCEEDED, None, 0)
        with pytest.raises(UnknownJob):
            await jobs.retry(job)
    await jobs.discard(other)
    assert await jobs.get(other) is None
    assert other not in [found.id for found in await jobs.list()]
    with pytest.raises(UnknownJob):
        await jobs.discard(other)


async def test_a_failed_job_cannot_run_beside_its_twin(jobs: Jobs) -> None:
    """Retrying is refused while another job of the same unique key is under way."""

    async def fail(progress: Progress) -> None:
        raise GiveUp("no")

    job = await jobs.enqueue("fail", {}, unique="x")
    async with working(jobs, fail):
        await ended(jobs, job)
    twin = await jobs.enqueue("fail", {}, unique="x")
    assert twin != job
    with pytest.raises(AlreadyUnderWay):
        await jobs.retry(job)


async def test_a_job_has_its_time_and_no_more(jobs: Jobs) -> None:
    """An attempt that takes too long is cancelled and counts as a failure that says so."""

    async def dawdle(progress: Progress) -> None:
        await asyncio.sleep(60)

    job = await jobs.enqueue("dawdle", {}, retries=0)
    async with working(jobs, dawdle, limit=0.2):
        assert (await ended(jobs, job)).error == "no end after 0.2 s"


async def test_a_discarded_job_stops_at_its_next_report(jobs: Jobs) -> None:
    """A running job that somebody discards is told to stop."""
    stopped = asyncio.Event()
    running = asyncio.Event()

    async def run(progress: Progress) -> None:
        running.set()
        try:
            for done in range(1000):
                await progress(done)
                await asyncio.sleep(0.05)
        finally:
            stopped.set()

    job = await jobs.enqueue("run", {})
    async with working(jobs, run):
        await running.wait()
        await jobs.discard(job)
        await stopped.wait()
    assert await jobs.get(job) is None


async def test_draining_finishes_what_runs_and_starts_nothing(jobs: Jobs) -> None:
    """A worker told to stop ends after its running job, and leaves the others in the queue."""
    running, release = asyncio.Event(), asyncio.Event()

    async def slow(progress: Progress) -> None:
        running.set()
        await release.wait()

    first = await jobs.enqueue("slow", {})
    async with working(jobs, slow, concurrency=1) as stop:
        await running.wait()
        second = await jobs.enqueue("slow", {})
        stop.set()
        await asyncio.sleep(0.1)
        release.set()
        assert (await ended(jobs, first)).state is JobState.SUCCEEDED
    left = await jobs.get(second)
    assert left is not None
    assert left.state is JobState.QUEUED


async def test_workers_that_are_gone_are_forgotten(jobs: Jobs) -> None:
    """A worker that ended leaves no trace for ever; one that holds a delivery keeps it, for others to take over."""

    async def add(progress: Progress) -> None:
        await progress(1, 1)

    assert await jobs.forget_workers(silent=0) == 0  # no queue yet
    job = await jobs.enqueue("add", {}, durable=False)
    async with working(jobs, add):
        await ended(jobs, job)
    queue = jobs.keys.queue
    await jobs.client.execute("XGROUP", "CREATECONSUMER", queue, GROUP, "idle", retry=False)
    await jobs.client.execute("XGROUP", "CREATECONSUMER", queue, GROUP, "crashed", retry=False)
    await jobs.client.execute("XADD", queue, "*", "id", "x", "data", "", retry=False)
    await jobs.client.execute("XREADGROUP", "GROUP", GROUP, "crashed", "STREAMS", queue, ">", retry=False)
    assert await jobs.forget_workers() == 0
    assert await jobs.forget_workers(silent=0) == 2
    left = await jobs.client.execute("XINFO", "CONSUMERS", queue, GROUP)
    assert [consumer[b"name"] for consumer in left] == [b"crashed"]


async def test_a_worker_that_stops_keeps_nobody_waiting(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a stopping worker was given and did not begin is taken over at once, not after its silence."""
    ran: list[int] = []

    async def quick(progress: Progress, *, number: int) -> None:
        ran.append(number)
        await asyncio.sleep(0.01)

    monkeypatch.setattr(delivery, "DEAD_AFTER", 10 * HANG)
    total = 0
    for _ in range(4):
        async with working(jobs, quick, concurrency=1):
            for _ in range(8):
                await jobs.enqueue("quick", {"number": total}, durable=False)
                total += 1
            await asyncio.sleep(0.02)  # some are fetched, some run, some are on their way
    async with working(jobs, quick):
        await until(lambda: len(set(ran)) == total)


async def test_a_schedule_queues_once_a_period_in_the_whole_fleet(jobs: Jobs) -> None:
    """However many workers look at a schedule, its job is queued once in each period."""
    ran = 0

    async def tidy(progress: Progress, *, what: str) -> None:
        nonlocal ran
        ran += 1
        assert what == "all"

    schedule = Schedule("tidy", 3600, {"what": "all"})
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(working(jobs, tidy, schedules=[schedule]))
        await until(lambda: ran)
        await asyncio.sleep(1.5)  # every worker has looked again
    assert ran == 1


async def test_changes_are_announced_to_those_who_watch(client: Client) -> None:
    """Progress and the end of a job reach the announcer, in order and with what the record says."""
    told: list[Job] = []

    async def announce(job: Job) -> None:
        told.append(job)

    async def count(progress: Progress) -> None:
        await asyncio.sleep(0.2)
        await progress(5, 10)
        await progress(10, 10)

    jobs = Jobs(client, prefix="test", announce=announce)
    job = await jobs.enqueue("count", {})
    async with working(jobs, count):
        await ended(jobs, job)
        await until(lambda: told[-1].state is JobState.SUCCEEDED)
    assert [(one.state.value, one.done) for one in told] == [
        ("RUNNING", 0),
        ("RUNNING", 5),
        ("RUNNING", 10),
        ("SUCCEEDED", 10),
    ]


async def test_a_change_that_nobody_announced_is_seen(jobs: Jobs) -> None:
    """As where a worker died, or Redis refused, between the record of the end and its announcement."""

    async def work(progress: Progress) -> None:
        await going.wait()

    going = asyncio.Event()
    job = await jobs.enqueue("work", {})
    seen: list[JobState] = []
    async with Broker(jobs.client) as broker, working(jobs, work), within("the end to be seen"):
        async for found in follow_job(jobs, broker, job, every=0.01):
            seen.append(found.state)
            going.set()
    assert seen[-1] is JobState.SUCCEEDED
    assert len(seen) == len(set(seen))


async def test_a_long_job_is_not_taken_for_dead(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The heartbeat keeps a job with its worker although it runs longer than a silence may last."""
    monkeypatch.setattr(worker_module, "HEARTBEAT", 0.1)
    monkeypatch.setattr(delivery, "DEAD_AFTER", 1.5)
    monkeypatch.setattr(delivery, "BLOCK", 0.1)
    attempts = 0

    async def long(progress: Progress) -> None:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(2)

    job = await jobs.enqueue("long", {})
    async with working(jobs, long), working(jobs, long):
        assert (await ended(jobs, job)).attempt == 1
    assert attempts == 1


async def test_the_job_queue_survives_the_loss_of_its_consumer_group(jobs: Jobs) -> None:
    """After FLUSHALL a running worker makes its group again and goes on with new jobs."""

    async def work(progress: Progress) -> None:
        await progress(1, 1)

    async with working(jobs, work):
        await ended(jobs, await jobs.enqueue("work", {}))
        await jobs.client.execute("FLUSHALL", retry=True)
        assert (await ended(jobs, await jobs.enqueue("work", {}))).state is JobState.SUCCEEDED


async def test_a_job_that_nobody_knows_is_set_aside(jobs: Jobs) -> None:
    """A job of an unknown name does not vanish: it fails, and waits to be replayed."""

    async def known(progress: Progress) -> None:
        await progress(1, 1)

    job = await jobs.enqueue("who", {}, retries=0)
    async with working(jobs, known):
        failed = await ended(jobs, job)
    assert failed.state is JobState.FAILED
    assert "does not know" in (failed.error or "")


# --- entries that cannot be worked on ---


async def test_what_is_no_job_is_set_aside_and_stops_nothing(jobs: Jobs) -> None:
    """A stray entry leaves the queue for a place of its own, whose time is limited; the jobs behind it run."""

    async def work(progress: Progress) -> None:
        await progress(1, 1)

    queue, keys = jobs.client, jobs.keys
    await queue.execute("XADD", keys.queue, "*", "greeting", b"\xff\xfe", retry=False)
    await queue.execute("XADD", keys.queue, "*", "id", "", retry=False)
    job = await jobs.enqueue("work", {})
    async with working(jobs, work):
        assert (await ended(jobs, job)).state is JobState.SUCCEEDED
        async with within("the queue to be empty"):
            while await queue.execute("XLEN", keys.queue):
                await asyncio.sleep(0.01)
    assert await jobs.set_aside() == 2
    kept = await queue.execute("XRANGE", keys.aside, "-", "+")
    assert kept[0][1] == [b"why", b"it names no job", b"greeting", b"\xff\xfe"]
    assert await queue.execute("PTTL", keys.aside) > 0


async def test_a_record_that_makes_no_sense_is_set_aside_after_some_deliveries(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job whose record is of another type, or is garbage, is tried as often as a passing fault deserves."""
    monkeypatch.setattr(delivery, "DEAD_AFTER", 0.2)
    monkeypatch.setattr(delivery, "BLOCK", 0.05)

    async def work(progress: Progress) -> None:
        await progress(1, 1)

    wrong, garbage = await jobs.enqueue("work", {}), await jobs.enqueue("work", {})
    await jobs.client.execute("DEL", jobs.keys.record(wrong), retry=False)
    await jobs.client.execute("LPUSH", jobs.keys.record(wrong), "x", retry=False)
    await jobs.client.execute("HSET", jobs.keys.record(garbage), "attempt", "seven", retry=False)
    async with working(jobs, work):
        assert (await ended(jobs, await jobs.enqueue("work", {}))).state is JobState.SUCCEEDED
        async with within("the queue to be empty"):
            while await jobs.client.execute("XLEN", jobs.keys.queue):
                await asyncio.sleep(0.01)
    assert await jobs.set_aside() == 2
    damaged = [job for job in await jobs.list() if job.error == "its record is damaged"]
    assert {job.id for job in damaged} == {wrong, garbage}


async def test_the_index_lists_so_many_and_no_more(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """Finished jobs beyond the newest are listed no more, and their records go soon; unfinished ones always are."""
    monkeypatch.setattr(worker_module, "LISTED", 3)

    async def work(progress: Progress, *, fails: bool = False) -> None:
        if fails:
            raise GiveUp("no")
        await progress(1, 1)

    waiting = await jobs.enqueue("work", {})
    await jobs.client.execute("XTRIM", jobs.keys.queue, "MAXLEN", 0, retry=False)  # it is not delivered
    async with working(jobs, work):
        for fails in (True, False):
            ids = [await jobs.enqueue("work", {"fails": fails}, durable=False) for _ in range(8)]
            found = [await ended(jobs, job) for job in ids]
            assert len({job.state for job in found}) == 1
    listed = await jobs.list()
    assert await jobs.client.execute("ZCARD", jobs.keys.index) == len(listed) == 7
    assert listed[-1].id == waiting
    records = [key async for key in _keys(jobs, "test:{jobs}:job:*")]
    lives = [await jobs.client.execute("PTTL", key) for key in records]
    assert sorted(life > 3_600_000 for life in lives if life > 0) == [False] * 10 + [True] * 6


async def _keys(jobs: Jobs, pattern: str) -> AsyncGenerator[bytes]:
    cursor = b"0"
    while True:
        cursor, page = await jobs.client.send(Command(("SCAN", cursor, "MATCH", pattern), None, retry=True))
        for key in page:
            yield key
        if cursor == b"0":
            return


# --- attempts that are another's by now ---


async def test_a_job_that_is_cut_off_by_the_end_of_its_worker_is_taken_over_at_once(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose job does not finish while it drains cancels it and gives it away, not waiting for its silence."""
    monkeypatch.setattr(delivery, "DEAD_AFTER", 600.0)
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work(progress: Progress) -> None:
        if begun.is_set():
            return
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()

    job = await jobs.enqueue("work", {})
    async with working(jobs, work, drain=0.1) as stop:
        await asyncio.wait_for(begun.wait(), HANG)
        stop.set()
        await asyncio.wait_for(cancelled.wait(), HANG)
    async with working(jobs, work):
        done = await ended(jobs, job)
    assert (done.state, done.attempt, done.failures) == (JobState.SUCCEEDED, 2, 0)


async def test_an_attempt_that_lost_its_delivery_is_cancelled_though_it_reports_nothing(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The heartbeat notices that another worker has the delivery; the attempt ends and records nothing."""
    monkeypatch.setattr(worker_module, "HEARTBEAT", 0.05)
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def silent(progress: Progress) -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            cancelled.set()

    job = await jobs.enqueue("silent", {})
    async with working(jobs, silent):
        await asyncio.wait_for(begun.wait(), HANG)
        queue = jobs.keys.queue
        (entry,) = await jobs.client.execute("XRANGE", queue, "-", "+")
        await jobs.client.execute("XCLAIM", queue, GROUP, "another", 0, entry[0], "JUSTID", retry=False)
        await asyncio.wait_for(cancelled.wait(), HANG)
    found = await jobs.get(job)
    assert found is not None
    assert (found.state, found.attempt) == (JobState.RUNNING, 1)  # it is the other's to finish


async def test_an_attempt_that_clears_up_is_not_cancelled_again(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may take longer than a heartbeat to end a transaction: that is not cut off by the next one."""
    monkeypatch.setattr(worker_module, "HEARTBEAT", 0.005)
    begun, cleared = asyncio.Event(), asyncio.Event()
    beats = 0
    hold = delivery.Deliveries.hold

    async def counted(self: delivery.Deliveries, held: Collection[str]) -> list[str]:
        nonlocal beats
        beats += 1
        return await hold(self, held)

    monkeypatch.setattr(delivery.Deliveries, "hold", counted)

    async def thorough(progress: Progress) -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        finally:
            enough = beats + 3
            while beats < enough:
                await asyncio.sleep(0.001)
            cleared.set()

    await jobs.enqueue("thorough", {})
    async with working(jobs, thorough):
        await asyncio.wait_for(begun.wait(), HANG)
        queue = jobs.keys.queue
        (entry,) = await jobs.client.execute("XRANGE", queue, "-", "+")
        await jobs.client.execute("XCLAIM", queue, GROUP, "another", 0, entry[0], "JUSTID", retry=False)
        async with within("the attempt to clear up"):
            await cleared.wait()
