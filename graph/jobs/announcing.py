"""Announces changes of jobs to their watchers, and follows a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.jobs.queue import UnknownJob
from graph.patterns.broker import Delivery, Topic

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graph.jobs.queue import Jobs
    from graph.jobs.records import Job
    from graph.patterns.broker import Broker, Position

DAY = 86_400.0


def job_topic(job: str) -> Topic:
    """Return the topic on which changes of `job` are announced; only the latest matters."""
    return Topic(f"job:{job}", Delivery.LATEST, max_age=DAY)


async def announce_job(broker: Broker, job: Job) -> Position:
    """Announce that `job` changed; watchers then read its record."""
    return await broker.publish(job_topic(job.id), {"state": job.state.value, "done": job.done, "total": job.total})


async def follow_job(jobs: Jobs, broker: Broker, job: str) -> AsyncGenerator[Job]:
    """Yield the current state of a job, then each change until it ends; raises `UnknownJob` if it does not exist."""
    async with broker.subscribe(job_topic(job)) as events:
        # Subscribe before reading, so that a change in between arrives as an event.
        ended = False
        while not ended:
            found = await jobs.get(job)
            if found is None:
                raise UnknownJob(f"there is no job {job}")
            yield found
            ended = found.state.finished or await anext(events, None) is None
