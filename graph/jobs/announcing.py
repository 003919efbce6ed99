"""Tells those who watch a job that it changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.patterns.broker import Delivery, Topic

if TYPE_CHECKING:
    from graph.jobs.records import Job
    from graph.patterns.broker import Broker, Position

DAY = 86_400.0


def job_topic(job: str) -> Topic:
    """Where the state of `job` is told: the latest counts."""
    return Topic(f"job:{job}", Delivery.LATEST, max_age=DAY)


async def announce_job(broker: Broker, job: Job) -> Position:
    """Tell those who watch `job` that it changed; they read its record."""
    return await broker.publish(job_topic(job.id), {"state": job.state.value, "done": job.done, "total": job.total})
