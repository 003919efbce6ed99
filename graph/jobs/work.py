"""Kinds of jobs, and what a job's function is given and may raise.

A job's function takes a `Progress` and its arguments, and is made so that running it again, whole or after a crash at
any point, comes to the same end.
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
"""Least seconds between two reports of one job that reach Redis."""

_PROGRESS = Script(__name__, "progress", idempotent=True)


class GiveUp(Exception):
    """Trying again would not help: the job fails at once, with this message for people."""


class Superseded(Exception):
    """Another attempt has taken over, or the job was discarded: stop."""


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

        Raises `Superseded` when the attempt is not wanted any more, and nothing else: while Redis is away, or refuses
        it, the report is lost.
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
    """Tell those who watch `job` how it stands; while Redis is away, or refuses it, nobody can be told."""
    if jobs.announce is None:
        return
    with contextlib.suppress(RedisError):
        record = await jobs.get(job)
        if record is not None:
            await jobs.announce(record)
