"""Runs jobs: timeouts, retries with backoff, progress, schedules, draining.

A job's function takes a `Progress` and its arguments, and is made so that running it again, whole or after a crash at
any point, comes to the same end. An attempt whose worker fell silent is superseded by the next one: it can neither
report nor finish any more, and stops at its next report.

Failure: an error or a timeout is retried after 1 s, 2 s, 4 s … (at most 5 minutes; less up to half of it, at random).
After the last retry the job is set aside as FAILED with its error and trace, where `graph jobs` shows and replays it. A
job that raises `GiveUp` is not retried. One whose workers die again and again is given up after 25 attempts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import secrets
import socket
import time
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prometheus_client import Counter, Histogram
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from taskiq.acks import AcknowledgeType
from taskiq.receiver import Receiver

from graph.jobs.delivery import UNKNOWN, JobBroker
from graph.jobs.queue import GROUP
from graph.jobs.records import FAILED_KEPT_MS, KEPT_MS, JobState
from graph.patterns.client.commands import Script
from graph.patterns.client.pending import Unavailable
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graph.jobs.queue import Jobs

MAX_ATTEMPTS = 25
MAX_BACKOFF = 300.0
REPORT_EVERY = 0.25
"""Least seconds between two reports of one job that reach Redis."""
_PATIENCE = (0.1, 0.2, 0.5, 1.0, 2.0, 2.0, 2.0)
"""Seconds between attempts to record the end of a job while Redis is away."""
QUIET = 0.1
"""A job that ends sooner than this many seconds is announced only when it ends."""

_START = Script(__name__, "start")
_PROGRESS = Script(__name__, "progress", idempotent=True)
# Run twice for one attempt it changes nothing the second time: the job is not RUNNING any more.
_FINISH = Script(__name__, "finish", idempotent=True)
_DROP = Script(__name__, "drop", idempotent=True)
_DUE = Script(__name__, "due")

_RUNS = Counter("graph_jobs_total", "Attempts at jobs by name and outcome.", ["name", "outcome"])
_SECONDS = Histogram("graph_job_seconds", "Duration of attempts at jobs.", ["name"])

_log = logging.getLogger(__name__)


class GiveUp(Exception):
    """Trying again would not help: the job fails at once, with this message for people."""


class Superseded(Exception):
    """Another attempt has taken over, or the job was discarded: stop."""


async def _unknown(progress: Progress, **_arguments: Any) -> None:
    raise LookupError(f"job {progress.job} is of a kind that this worker does not know")


class Progress:
    """How a running job says how far it has come."""

    def __init__(self, jobs: Jobs, job: str, attempt: int) -> None:
        """Report as attempt `attempt` of `job`."""
        self.job = job
        self.attempt = attempt
        self._jobs = jobs
        self._told = 0.0

    async def __call__(self, done: int, total: int | None = None) -> None:
        """Report `done` of `total` units; reports that come too fast are skipped, the last of all is not.

        Raises `Superseded` when the attempt is not wanted any more. While Redis is away the report is lost.
        """
        now = time.monotonic()
        if now - self._told < REPORT_EVERY and done != total:
            return
        self._told = now
        args = [self.attempt, done, "" if total is None else total]
        try:
            wanted: int = await self._jobs.client.run(_PROGRESS, [self._jobs.keys.record(self.job)], args)
        except Unavailable:
            return
        if not wanted:
            raise Superseded(self.job)
        await announce(self._jobs, self.job)


@dataclass(frozen=True, slots=True)
class Definition:
    """A kind of job: its function, and the seconds an attempt may take."""

    name: str
    run: Callable[..., Awaitable[object]]
    timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that is queued by itself once in every `every` seconds, by whichever worker comes first."""

    name: str
    every: float
    arguments: Mapping[str, Any]


async def announce(jobs: Jobs, job: str) -> None:
    """Tell those who watch `job` how it stands; while Redis is away nobody can be told."""
    if jobs.announce is None:
        return
    with contextlib.suppress(Unavailable):
        record = await jobs.get(job)
        if record is not None:
            await jobs.announce(record)


class Worker:
    """One process's share of the work."""

    def __init__(
        self,
        jobs: Jobs,
        definitions: Sequence[Definition],
        *,
        schedules: Sequence[Schedule] = (),
        concurrency: int = 4,
        drain: float = 25.0,
    ) -> None:
        """Run up to `concurrency` jobs at a time; at the end wait `drain` seconds for those that run."""
        self._jobs = jobs
        self._schedules = schedules
        self._concurrency = concurrency
        self._drain = drain
        self._ticked: dict[str, int] = {}
        self._announcing = Tasks()
        consumer = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        self._broker = JobBroker(jobs, consumer, page=min(50, 2 * concurrency))
        for definition in definitions:
            self._broker.register_task(self._task(definition), task_name=definition.name)
        # A newer worker may know the job, so it is retried like any other failure.
        self._broker.register_task(self._task(Definition(UNKNOWN, _unknown)), task_name=UNKNOWN)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set, then finish what runs; a job that does not finish in time is another's."""
        receiver = Receiver(
            self._broker,
            validate_params=False,
            max_async_tasks=self._concurrency,
            ack_type=AcknowledgeType.WHEN_EXECUTED,
            wait_tasks_timeout=self._drain,
        )
        await self._started()
        helpers = [
            asyncio.create_task(self._broker.keep_alive(), name="jobs-heartbeat"),
            asyncio.create_task(self._tend(), name="jobs-tend"),
        ]
        try:
            await receiver.listen(stop)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.wait(helpers)
            await self._announcing.close()
            await self._broker.hand_over()
            await self._broker.shutdown()

    async def _started(self) -> None:
        while True:
            try:
                return await self._broker.startup()
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                _log.debug("the job queue is away: %s", error)
            await asyncio.sleep(0.5)

    # --- one job ---

    def _task(self, definition: Definition) -> Callable[..., Awaitable[None]]:
        async def task(job: str, **arguments: Any) -> None:
            delivery = self._broker.deliveries.get(job, "")
            try:
                await self._attempt(definition, job, delivery, arguments)
            except Unavailable as error:
                _log.warning("job %s %s: Redis is away, it will be delivered again: %s", definition.name, job, error)
            finally:
                if self._broker.deliveries.get(job) == delivery:  # else it has been delivered here once more
                    del self._broker.deliveries[job]

        return task

    async def _attempt(self, definition: Definition, job: str, delivery: str, arguments: Mapping[str, Any]) -> None:
        keys = self._jobs.keys
        attempt, failures, retries, unique = await self._jobs.client.run(_START, [keys.record(job)], [MAX_ATTEMPTS])
        if attempt == 0:
            await self._jobs.client.run(_DROP, [keys.queue], [GROUP, delivery])
            return
        if attempt < 0:
            end = _End(JobState.FAILED, "its workers died again and again")
            await self._finish(job, delivery, failures, unique, end)
            return
        loud = asyncio.get_running_loop().call_later(QUIET, self._announce_soon, job)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(definition.timeout):
                await definition.run(Progress(self._jobs, job, attempt), **arguments)
            end = _SUCCEEDED
        except Superseded:
            _RUNS.labels(definition.name, "superseded").inc()
            _log.warning("job %s %s: superseded by another attempt", definition.name, job)
            return
        except Exception as error:  # noqa: BLE001 - whatever a job raises is its failure, not the worker's
            end = _failure(definition, job, error, retries - failures, failures)
        finally:
            loud.cancel()
            _SECONDS.labels(definition.name).observe(time.perf_counter() - began)
        _RUNS.labels(definition.name, _OUTCOMES[end.state]).inc()
        await self._finish(job, delivery, attempt, unique, end)

    async def _finish(self, job: str, delivery: str, attempt: int, unique: bytes, end: _End) -> None:
        """Record the end; through an outage of some seconds, too, for it would cost more to do the job again."""
        keys = self._jobs.keys
        args = [
            attempt, delivery, GROUP, end.state.value, end.error, end.trace,
            int(end.delay * 1000), FAILED_KEPT_MS if end.state is JobState.FAILED else KEPT_MS,
        ]  # fmt: skip
        finish = _FINISH([keys.record(job), unique, keys.queue, keys.due, keys.failed], args)
        for pause in _PATIENCE:
            try:
                recorded: int = await self._jobs.client.send(finish)
                break
            except Unavailable:
                await asyncio.sleep(pause)
        else:
            recorded = await self._jobs.client.send(finish)
        if recorded:
            await announce(self._jobs, job)

    def _announce_soon(self, job: str) -> None:
        self._announcing.spawn(announce(self._jobs, job))

    # --- what goes on beside the jobs ---

    async def _tend(self) -> None:
        """Queue what is due: retries, and the jobs of schedules."""
        keys, client = self._jobs.keys, self._jobs.client
        while True:
            try:
                await client.run(_DUE, [keys.due, keys.queue], [100])
                seconds, _ = await client.execute("TIME")
                for schedule in self._schedules:
                    if self._ticked.get(schedule.name) != (period := int(int(seconds) // schedule.every)):
                        await self._jobs.tick(
                            schedule.name, schedule.every, schedule.name, schedule.arguments, now=float(seconds)
                        )
                        self._ticked[schedule.name] = period
            except (Unavailable, ResponseError) as error:
                _log.debug("nothing could be queued: %s", error)
            await asyncio.sleep(1)


@dataclass(frozen=True, slots=True)
class _End:
    """How an attempt ended."""

    state: JobState
    error: str = ""
    trace: str = ""
    delay: float = 0.0


_SUCCEEDED = _End(JobState.SUCCEEDED)
_OUTCOMES = {JobState.SUCCEEDED: "succeeded", JobState.FAILED: "failed", JobState.QUEUED: "retried"}


def _failure(definition: Definition, job: str, error: Exception, left: int, failures: int) -> _End:
    """What becomes of a job that raised `error`, with `left` retries left after `failures`."""
    message = f"no end after {definition.timeout:g} s" if isinstance(error, TimeoutError) else str(error)
    message = message or type(error).__name__
    trace = "".join(traceback.format_exception(error))
    if left <= 0 or isinstance(error, GiveUp):
        _log.error("job %s %s: %s; set aside", definition.name, job, message)
        return _End(JobState.FAILED, message, trace)
    delay = min(MAX_BACKOFF, 2.0**failures) * random.uniform(0.5, 1)  # noqa: S311 - jitter, not a secret
    _log.warning("job %s %s: %s; again in %.1f s", definition.name, job, message, delay)
    return _End(JobState.QUEUED, message, trace, delay)
