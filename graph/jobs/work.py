"""Kinds of jobs, and what a job's function receives and may raise.

A job's function takes a `Progress` and its arguments. Running it again, completely or after a crash at any point, must
give the same result.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from graph.patterns.client import Script

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from graph.jobs.queue import Jobs

REPORT_EVERY = 0.25
"""Least seconds between two reports of one job that are sent to Redis."""

_PROGRESS = Script(__name__, "progress", idempotent=True)


class GiveUp(Exception):
    """Retrying would not help: the job fails at once, with this readable message."""


class Superseded(Exception):
    """Another attempt has taken over, or the job was discarded, so this attempt has to stop."""


class Progress:
    """Reports the progress of a running job."""

    def __init__(self, jobs: Jobs, job: str, attempt: int) -> None:
        """Report as attempt `attempt` of `job`."""
        self.job = job
        self.attempt = attempt
        self._jobs = jobs
        self._told = 0.0

    async def __call__(self, done: int, total: int | None = None) -> None:
        """Report `done` of `total` units; reports that come too fast are skipped, except the final one.

        Raises `Superseded` if the attempt has to stop, and nothing else: a report is lost if Redis is away or refuses
        it.
        """
        now = time.monotonic()
        if now - self._told < REPORT_EVERY and done != total:
            return
        self._told = now
        args = [self.attempt, done, "" if total is None else total]
        try:
            wanted: int = await self._jobs.client.run(_PROGRESS, [self._jobs.keys.record(self.job)], args)
        except RedisError:
            return
        if not wanted:
            raise Superseded(self.job)
        await announce(self._jobs, self.job)


@dataclass(frozen=True, slots=True)
class Definition:
    """A kind of job: its function, and how many seconds an attempt may take."""

    name: str
    run: Callable[..., Awaitable[object]]
    timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job that is queued automatically every `every` seconds, by the first worker to notice."""

    name: str
    every: float
    arguments: Mapping[str, Any]


async def announce(jobs: Jobs, job: str) -> None:
    """Announce a change of `job` to its watchers; the announcement is lost if Redis is away or refuses it."""
    if jobs.announce is None:
        return
    with contextlib.suppress(RedisError):
        record = await jobs.get(job)
        if record is not None:
            await jobs.announce(record)
