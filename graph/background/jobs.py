"""What this product does in the background, and when: the jobs of every feature, and tidying the queue itself."""

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
    """Every job of this product."""
    return [
        *(job for feature in features() for job in feature.jobs(services)),
        Definition(TIDY, partial(tidy, services.jobs)),
    ]


def schedules() -> Sequence[Schedule]:
    """The jobs that come by themselves."""
    return [*(schedule for feature in features() for schedule in feature.schedules), Schedule(TIDY, 3600.0, {})]


async def tidy(jobs: Jobs, progress: Progress) -> None:
    """Forget jobs whose records have expired, and workers long gone.

    Event streams and sessions need none of this: they are trimmed as they are written, and expire by themselves.
    """
    await jobs.list(limit=10_000)
    await jobs.forget_workers()
    await progress(1, 1)
