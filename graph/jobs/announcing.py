"""Tells those who watch a job that it changed, and follows one."""

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
    """Where the state of `job` is told: the latest counts."""
    return Topic(f"job:{job}", Delivery.LATEST, max_age=DAY)


async def announce_job(broker: Broker, job: Job) -> Position:
    """Tell those who watch `job` that it changed; they read its record."""
    return await broker.publish(job_topic(job.id), {"state": job.state.value, "done": job.done, "total": job.total})


async def follow_job(jobs: Jobs, broker: Broker, job: str) -> AsyncGenerator[Job]:
    """The job as it stands, then whenever it gets on, until it ends; raises `UnknownJob` when there is none (left)."""
    async with broker.subscribe(job_topic(job)) as events:
        # Subscribed first, read then: what changes in between is told by an event.
        ended = False
        while not ended:
            found = await jobs.get(job)
            if found is None:
                raise UnknownJob(f"there is no job {job}")
            yield found
            ended = found.state.finished or await anext(events, None) is None
