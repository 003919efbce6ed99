"""Announces changes of jobs to their watchers; follows a job, or the newest ones."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from graph.jobs.queue import UnknownJob
from graph.patterns.broker import Delivery, Topic
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graph.jobs.queue import Jobs
    from graph.jobs.records import Job
    from graph.patterns.broker import Broker, Position

_KEPT = 600.0
"""Seconds for which a change is kept for a server that lost its connection meanwhile.

Everybody else reads the record; a history takes 5 kB, so those of 10,000 jobs a day would be most of what Redis holds.
"""


def job_topic(job: str) -> Topic:
    """Return the topic on which changes of `job` are announced; only the latest matters."""
    return Topic(f"job:{job}", Delivery.LATEST, max_age=_KEPT)


async def announce_job(broker: Broker, job: Job) -> Position:
    """Announce that `job` changed; watchers then read its record."""
    return await broker.publish(job_topic(job.id), {"state": job.state.value, "done": job.done, "total": job.total})


async def follow_jobs(jobs: Jobs, *, limit: int, every: float = 1.0) -> AsyncGenerator[list[Job]]:
    """Yield the newest `limit` jobs, then again whenever one of them has changed or another has come.

    They are read every so many seconds, whoever changes them; while Redis is away, the last list stands.
    """
    known: list[Job] | None = None
    while True:
        try:
            found = await jobs.list(limit=limit)
        except RedisUnavailable:
            if known is None:
                raise
        else:
            if found != known:
                known = found
                yield found
        await asyncio.sleep(every)


async def follow_job(jobs: Jobs, broker: Broker, job: str, *, every: float = 5.0) -> AsyncGenerator[Job]:
    """Yield the current state of a job, then each change until it ends; raises `UnknownJob` if it does not exist.

    It is read every so many seconds, too: whoever changed it may have died before that was announced. While Redis is
    away, the last state stands.
    """
    async with broker.subscribe(job_topic(job)) as events:
        # Subscribe before reading, so that a change in between arrives as an event.
        known: Job | None = None
        while True:
            try:
                found = await jobs.get(job)
            except RedisUnavailable:
                if known is None:
                    raise
            else:
                if found is None:
                    raise UnknownJob(f"there is no job {job}")
                if found != known:
                    known = found
                    yield found
                if found.state.finished:
                    return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    if await anext(events, None) is None:
                        return
