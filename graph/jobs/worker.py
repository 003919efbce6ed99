"""Runs jobs: timeouts, retries with backoff, schedules, draining.

An attempt whose worker stopped sending heartbeats is superseded by the next one: it can neither report nor finish any
more. It is cancelled when it reports, or when the worker notices that its delivery was taken over, whichever comes
first.

Failure: an error or a timeout is retried after 1 s, 2 s, 4 s … (at most 5 minutes, randomly reduced by up to half).
After the last retry the job is FAILED with its error and trace; `graph jobs` shows and retries it. A job that raises
`GiveUp` is not retried. One whose workers die repeatedly is given up after 25 attempts. If Redis is away or answers
with errors, jobs keep running, and their end is recorded as soon as possible.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import socket
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from prometheus_client import Counter, Gauge, Histogram
from redis.exceptions import RedisError, ResponseError

from graph.jobs.delivery import HEARTBEAT, Deliveries, JobDelivery
from graph.jobs.endings import OUTCOMES, SUCCEEDED, End, failure
from graph.jobs.queue import GROUP
from graph.jobs.records import FAILED_KEPT_MS, KEPT_MS, LISTED, UNLISTED_KEPT_MS, JobState
from graph.jobs.work import Definition, Progress, Superseded, announce
from graph.patterns.client import Script, command, error_word
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from contextlib import AbstractContextManager

    from graph.jobs.queue import Jobs
    from graph.jobs.work import Schedule

MAX_ATTEMPTS = 25
CLOSING = 2.0
"""Seconds that a cancelled attempt may take to end; after that the worker stops waiting for it."""
QUIET = 0.1
"""A job that ends within this many seconds is announced only at its end."""
_PATIENCE = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Seconds between attempts to record the end of a job; the last value is repeated."""
_BROKEN = frozenset({"ERR", "WRONGTYPE"})
"""First words of errors that mean that the stored data is damaged; after other errors a retry may succeed."""

_START = Script(__name__, "start")
# May be sent twice: the second time the job is not RUNNING any more, so nothing changes.
_FINISH = Script(__name__, "finish", idempotent=True)
_DROP = Script(__name__, "drop", idempotent=True)
_DUE = Script(__name__, "due")

_RUNS = Counter("graph_jobs_total", "Attempts at jobs by name and outcome.", ["name", "outcome"])
_SECONDS = Histogram(
    "graph_job_seconds",
    "Duration of attempts at jobs.",
    ["name"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600),
)
_UNDER_WAY = Gauge("graph_jobs_running", "Attempts at jobs under way.", multiprocess_mode="livesum")
_WAITING = Gauge(
    "graph_jobs_waiting",
    "Jobs that no worker has taken yet, retries included; every worker tells of the one queue.",
    multiprocess_mode="livemax",
)

logger = logging.getLogger(__name__)


Around: TypeAlias = "Callable[[str, str, int, str], AbstractContextManager[object]]"
_NOTHING: AbstractContextManager[None] = nullcontext()


class Worker:
    """Runs jobs in one process."""

    def __init__(
        self,
        jobs: Jobs,
        definitions: Sequence[Definition],
        *,
        schedules: Sequence[Schedule] = (),
        concurrency: int = 4,
        drain: float = 25.0,
        around: Around | None = None,
    ) -> None:
        """Run up to `concurrency` jobs at a time; when stopping, wait `drain` seconds for running jobs.

        Each attempt runs inside the block that `around` gives for its name, its job, its number and its trace.
        """
        self._jobs = jobs
        self._definitions = {definition.name: definition for definition in definitions}
        self._schedules = schedules
        self._concurrency = concurrency
        self._drain = drain
        self._around = around
        self._ticked: dict[str, int] = {}
        self._announcing = Tasks()
        self._running: dict[str, asyncio.Task[None]] = {}
        """The running attempts, by the id of the delivery."""
        self._deliveries = Deliveries(jobs, f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}")

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish running jobs; those that take too long are left to other workers."""
        beside = [
            asyncio.create_task(self._again_and_again(self._hold, HEARTBEAT), name="jobs-heartbeat"),
            asyncio.create_task(self._again_and_again(self._tend, 1.0), name="jobs-tend"),
        ]
        taking = asyncio.create_task(self._take(), name="jobs-take")
        stopping = asyncio.create_task(stop.wait())
        try:
            async with self._deliveries:
                await asyncio.wait((taking, stopping), return_when=asyncio.FIRST_COMPLETED)
                await _end(taking)  # re-raises its exception, which is a bug
                if self._running:
                    await asyncio.wait(list(self._running.values()), timeout=self._drain)
        finally:
            running = list(self._running.values())
            for task in (taking, stopping, *beside, *running):
                task.cancel()
            await asyncio.wait((taking, stopping, *beside, *running), timeout=CLOSING)
            await self._announcing.close()
            await self._deliveries.release()

    async def _take(self) -> None:
        while True:
            room = self._concurrency - len(self._running)
            if not room:
                await asyncio.wait(list(self._running.values()), return_when=asyncio.FIRST_COMPLETED)
                continue
            for delivery in await self._deliveries.take(room, self._running):
                if delivery.id not in self._running:
                    task = asyncio.create_task(self._work_on(delivery), name=f"job-{delivery.job}")
                    self._running[delivery.id] = task
                    _UNDER_WAY.inc()

    async def _again_and_again(self, step: Callable[[], Awaitable[None]], pause: float) -> None:
        while True:
            try:
                await step()
            except RedisError as error:
                logger.debug("%s: %s", step.__name__, error)
            except Exception:  # a bug in one step must not silence the others
                logger.exception("the job worker's %s failed and is restarted", step.__name__)
            await asyncio.sleep(pause)

    # --- one job ---

    async def _work_on(self, delivery: JobDelivery) -> None:
        try:
            await self._attempt(delivery)
        except ResponseError as error:
            if error_word(error) in _BROKEN:
                await self._deliveries.set_aside(delivery.id, f"the record of job {delivery.job} is damaged: {error}")
            else:
                logger.warning("job %s: Redis refuses, it will be delivered again: %s", delivery.job, error)
        except RedisError as error:
            logger.warning("job %s: Redis is away, it will be delivered again: %s", delivery.job, error)
        except Exception:  # a bug in one delivery must not end the others
            logger.exception("job %s: the worker failed, it will be delivered again", delivery.job)
        finally:
            self._running.pop(delivery.id, None)
            _UNDER_WAY.dec()

    async def _attempt(self, delivery: JobDelivery) -> None:
        keys, client = self._jobs.keys, self._jobs.client
        attempt, failures, retries, unique, name, arguments, trace = await client.run(
            _START, [keys.record(delivery.job)], [MAX_ATTEMPTS]
        )
        if attempt == 0:
            await client.run(_DROP, [keys.queue], [GROUP, delivery.id])
            return
        attempted = _Attempt(delivery, attempt if attempt > 0 else failures, unique)
        if attempt < 0:
            await self._finish(attempted, End(JobState.FAILED, "its workers died again and again"))
            return
        # A newer worker may know a kind of job that this one does not, so this is retried like any other failure.
        definition = self._definitions.get(name.decode()) or Definition(name.decode(), _unknown)
        loud = asyncio.get_running_loop().call_later(QUIET, self._announce_soon, delivery.job)
        began = time.perf_counter()
        try:
            around = self._around(definition.name, delivery.job, attempt, trace.decode()) if self._around else _NOTHING
            with around:
                async with asyncio.timeout(definition.timeout):
                    await definition.run(Progress(self._jobs, delivery.job, attempt), **json.loads(arguments))
            end = SUCCEEDED
        except Superseded:
            _RUNS.labels(definition.name, "superseded").inc()
            logger.warning("job %s %s: superseded by another attempt", definition.name, delivery.job)
            return
        except Exception as error:  # noqa: BLE001 - whatever a job raises is its failure, not the worker's
            end = failure(definition, delivery.job, error, retries - failures, failures)
        finally:
            loud.cancel()
            _SECONDS.labels(definition.name).observe(time.perf_counter() - began)
        _RUNS.labels(definition.name, OUTCOMES[end.state]).inc()
        await self._finish(attempted, end)

    async def _finish(self, attempt: _Attempt, end: End) -> None:
        """Record the end, however long Redis is away or refuses, because running the job again would cost more."""
        keys, (delivery, number, unique) = self._jobs.keys, attempt
        succeeded = end.state is JobState.SUCCEEDED
        args = [
            delivery.job, number, delivery.id, GROUP, end.state.value, end.error, end.trace,
            int(end.delay * 1000), KEPT_MS if succeeded else FAILED_KEPT_MS, LISTED,
            int(end.counts),
        ]  # fmt: skip
        ended = keys.succeeded if succeeded else keys.failed
        finish = _FINISH([keys.record(delivery.job), unique, keys.queue, keys.due, ended, keys.index], args)
        tries = 0
        while True:
            try:
                recorded, *unlisted = await self._jobs.client.send(finish)
                break
            except RedisError as error:
                if error_word(error) in _BROKEN:
                    raise
                if not tries:
                    logger.warning("the end of job %s cannot be recorded yet: %s", delivery.job, error)
            await asyncio.sleep(_PATIENCE[min(tries, len(_PATIENCE) - 1)])
            tries += 1
        if recorded:
            await announce(self._jobs, delivery.job)
        if unlisted:
            await self._jobs.client.batch(
                *(command("PEXPIRE", keys.record(job.decode()), UNLISTED_KEPT_MS, retry=True) for job in unlisted)
            )

    def _announce_soon(self, job: str) -> None:
        self._announcing.spawn(announce(self._jobs, job))

    # --- beside the jobs ---

    async def _hold(self) -> None:
        """Send heartbeats, and cancel the attempts whose deliveries were taken over, once each."""
        for delivery in await self._deliveries.hold(list(self._running)):
            task = self._running.get(delivery)
            if task is not None and not task.cancelling():
                logger.warning("%s: superseded by another attempt", task.get_name())
                task.cancel()

    async def _tend(self) -> None:
        """Queue retries and scheduled jobs that are due, and tell how many jobs wait."""
        keys, client = self._jobs.keys, self._jobs.client
        await client.run(_DUE, [keys.due, keys.queue], [100])
        clock, queued, taken, due = await client.batch(
            command("TIME", retry=True),
            command("XLEN", keys.queue, retry=True),
            command("XPENDING", keys.queue, GROUP, retry=True),
            command("ZCARD", keys.due, retry=True),
        )
        if isinstance(clock, Exception):
            raise clock
        if not any(isinstance(reply, Exception) for reply in (queued, taken, due)):
            _WAITING.set(max(0, queued - taken[0]) + due)
        seconds, _ = clock
        for schedule in self._schedules:
            if self._ticked.get(schedule.name) != (period := int(int(seconds) // schedule.every)):
                await self._jobs.tick(
                    schedule.name, schedule.every, schedule.name, schedule.arguments, now=float(seconds)
                )
                self._ticked[schedule.name] = period


class _Attempt(NamedTuple):
    """The delivery, the number of the attempt, and the unique key of the job."""

    delivery: JobDelivery
    number: int
    unique: bytes


async def _unknown(progress: Progress, **_arguments: Any) -> None:
    raise LookupError(f"job {progress.job} is of a kind that this worker does not know")


async def _end(task: asyncio.Task[None]) -> None:
    """Cancel `task`, wait for its end and raise its exception if it had failed."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
