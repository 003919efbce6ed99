"""What this product does in the background, and when.

Each job may be killed at any point and run again: the end is the same. Imports are upserts that leave alone what is so
already; a rebuild replaces an index by what SQL says; tidying deletes what is past its time.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from graph.api.jobs import IMPORT
from graph.catalog.importer import Report, import_products
from graph.catalog.reading import Problem, Unreadable
from graph.jobs.files import NotBelow, file_below
from graph.jobs.worker import Definition, GiveUp, Progress, Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.services import Services

TIDY = "tidy"
REPORT_EVERY = 0.5
PROBLEMS_TOLD = 5
DAY = 86_400.0


def definitions(services: Services) -> Sequence[Definition]:
    """Every job of this product."""
    return [
        Definition(IMPORT, partial(import_file, services), timeout=6 * 3600.0),
        Definition(TIDY, partial(tidy, services)),
    ]


def schedules() -> Sequence[Schedule]:
    """The jobs that come by themselves."""
    return [Schedule(TIDY, DAY / 24, {})]


async def import_file(services: Services, progress: Progress, *, path: str) -> None:
    """Import a file below the import directory; progress counts its bytes.

    Like ``graph import``, it puts the good rows in and then fails if there were bad ones, naming the first of them.
    """
    seen = _Seen()
    try:
        file = file_below(services.imports, path)
        work = asyncio.create_task(
            import_products(services.catalog, file, on_progress=seen.report_is, on_problem=seen.problem)
        )
        report = await _watched(work, progress, seen)
    except (NotBelow, Unreadable, OSError) as error:
        raise GiveUp(f"{path}: {error}") from error
    await progress(report.size, report.size)
    if report.bad:
        first = "; ".join(f"line {problem.line}: {problem.reason}" for problem in seen.problems)
        raise GiveUp(f"{report.bad} of {report.rows} rows were left out, the others are in: {first}")


class _Seen:
    """What an import has told so far."""

    def __init__(self) -> None:
        self.report = Report()
        self.problems: list[Problem] = []

    def report_is(self, report: Report) -> None:
        self.report = report

    def problem(self, problem: Problem) -> None:
        if len(self.problems) < PROBLEMS_TOLD:
            self.problems.append(problem)


async def _watched(work: asyncio.Task[Report], progress: Progress, seen: _Seen) -> Report:
    """Report twice a second while `work` goes on; end it when the attempt is not wanted any more."""
    try:
        while not work.done():
            await progress(seen.report.bytes, seen.report.size or None)
            await asyncio.wait((work,), timeout=REPORT_EVERY)
        return await work
    finally:
        work.cancel()
        await asyncio.wait((work,))


async def tidy(services: Services, progress: Progress) -> None:
    """Forget what is past its time: records of old jobs, published events."""
    await services.jobs.list(limit=10_000)
    await progress(1, 1)
