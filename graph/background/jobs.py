"""The background jobs of this product and their schedules: those of every feature, and tidying the queue."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from graph.jobs import Definition, Progress, Schedule
from graph.services import features

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.jobs import Jobs
    from graph.services import Services

TIDY = "tidy"


def definitions(services: Services) -> Sequence[Definition]:
    """Return all kinds of jobs of this product."""
    return [
        *(job for feature in features() for job in feature.jobs(services)),
        Definition(TIDY, partial(tidy, services.jobs)),
    ]


def schedules() -> Sequence[Schedule]:
    """Return the jobs that are queued automatically."""
    return [*(schedule for feature in features() for schedule in feature.schedules), Schedule(TIDY, 3600.0, {})]


async def tidy(jobs: Jobs, progress: Progress) -> None:
    """Remove jobs whose records have expired, and workers that are long gone.

    Event streams and sessions do not need this: they are trimmed when they are written, and expire by themselves.
    """
    await jobs.list(limit=10_000)
    await jobs.forget_workers()
    await progress(1, 1)
