"""What this product does in the background, and when.

Each job may be killed at any point and run again: the end is the same. Imports are upserts that leave alone what is so
already; a rebuild replaces an index by what SQL says; tidying deletes what is past its time.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from graph.api.jobs import IMPORT
from graph.catalog.importing.files import Problem, Unreadable
from graph.catalog.importing.importer import Report, import_products
from graph.catalog.reading.paging import Filter, PageRequest, Sort
from graph.catalog.service import TTL
from graph.jobs import Definition, GiveUp, NotBelow, Progress, Schedule, file_below
from graph.leaderboard.seasons.upkeep import CLOSE_SEASONS
from graph.patterns.lock import LockTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.services import Services

T = TypeVar("T")

TIDY = "tidy"
WARM = "warmCatalog"
REBUILD = "rebuildLeaderboard"
REPORT_EVERY = 0.25
PROBLEMS_TOLD = 5


def definitions(services: Services) -> Sequence[Definition]:
    """Every job of this product."""
    return [
        Definition(IMPORT, partial(import_file, services), timeout=6 * 3600.0),
        Definition(REBUILD, partial(rebuild_leaderboard, services), timeout=3600.0),
        Definition(CLOSE_SEASONS, partial(close_seasons, services), timeout=3600.0),
        Definition(WARM, partial(warm_catalog, services)),
        Definition(TIDY, partial(tidy, services)),
    ]


def schedules() -> Sequence[Schedule]:
    """The jobs that come by themselves."""
    return [
        Schedule(WARM, TTL * 0.8, {}),
        Schedule(TIDY, 3600.0, {}),
    ]


async def import_file(services: Services, progress: Progress, *, path: str) -> None:
    """Import a file below the import directory; progress counts its bytes.

    Like ``graph import``, it puts the good rows in and then fails if there were bad ones, naming the first of them.
    """
    seen = _Seen()
    try:
        file = file_below(services.imports, path)
        work = asyncio.create_task(import_products(services.catalog, file, report=seen.report, on_problem=seen.problem))
        report = await _watched(work, progress, lambda: (seen.report.bytes, seen.report.size or None))
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

    def problem(self, problem: Problem) -> None:
        if len(self.problems) < PROBLEMS_TOLD:
            self.problems.append(problem)


async def _watched(work: asyncio.Task[T], progress: Progress, state: Callable[[], tuple[int, int | None]]) -> T:
    """Report the state four times a second while `work` goes on; end it when the attempt is not wanted any more."""
    try:
        while not work.done():
            await progress(*state())
            await asyncio.wait((work,), timeout=REPORT_EVERY)
        return await work
    finally:
        work.cancel()
        await asyncio.wait((work,))


async def rebuild_leaderboard(services: Services, progress: Progress, *, slug: str) -> None:
    """Build the ranking index of a board anew from SQL."""
    board = await services.leaderboards.board(slug)
    if board is None:
        raise GiveUp(f"there is no leaderboard {slug}")
    done = 0

    def on_progress(rows: int) -> None:
        nonlocal done
        done = rows

    async with services.locks.hold(f"rebuild:{slug}", wait=30.0):
        work = asyncio.create_task(services.leaderboards.rebuild(board, on_progress=on_progress))
        await _watched(work, progress, lambda: (done, None))
    await progress(done, done)


async def close_seasons(services: Services, progress: Progress) -> None:
    """Close the seasons that are over and archive their ranks; the boards' upkeep asks for it when there are some.

    The lock saves two workers the same look. What makes the closing happen once is the fence: every chunk that is
    archived checks its closer's token in the same transaction (`leaderboard.archive`).
    """
    try:
        async with services.locks.hold("seasons", wait=0):
            await services.leaderboards.upkeep.close_seasons()
    except LockTimeout:
        return
    await progress(1, 1)


async def warm_catalog(services: Services, progress: Progress) -> None:
    """Read what visitors come in by: the categories, and the first page of each and of every order."""
    catalog = services.catalog
    categories = [count.category.slug for count in await catalog.categories()]
    pages = [PageRequest.of(sort=sort) for sort in Sort]
    pages += [PageRequest.of(filter=Filter(category=slug)) for slug in categories]
    for done, page in enumerate(pages, 1):
        await catalog.page(page)
        await progress(done, len(pages))


async def tidy(services: Services, progress: Progress) -> None:
    """Forget what is past its time: keys of old submissions, jobs whose records have expired, workers long gone.

    Event streams and sessions need none of this: they are trimmed as they are written, and expire by themselves.
    """
    await services.leaderboards.upkeep.forget_keys()
    await services.jobs.list(limit=10_000)
    await services.jobs.forget_workers()
    await progress(1, 1)
