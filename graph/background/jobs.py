"""The background jobs of an application and their schedules: those of every feature, and tidying the queue."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from graph.jobs import Definition, Progress, Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.feature import App
    from graph.jobs import Jobs
    from graph.services import Services

TIDY = "tidy"


def definitions(services: Services) -> Sequence[Definition]:
    """Return all kinds of jobs of the application that is open."""
    return [
        *(job for feature in services.app.features for job in feature.jobs(services)),
        Definition(TIDY, partial(tidy, services.jobs)),
    ]


def schedules(app: App) -> Sequence[Schedule]:
    """Return the jobs of `app` that are queued automatically."""
    return [*(schedule for feature in app.features for schedule in feature.schedules), Schedule(TIDY, 3600.0, {})]


async def tidy(jobs: Jobs, progress: Progress) -> None:
    """Remove jobs whose records have expired, and workers that are long gone.

    Event streams and sessions do not need this: they are trimmed when they are written, and expire by themselves.
    """
    await jobs.list(limit=10_000)
    await jobs.forget_workers()
    await progress(1, 1)
