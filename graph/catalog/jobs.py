"""The catalog's background jobs: importing files, and keeping the most visited pages cached.

Each job may be killed at any point and run again with the same result. Imports are upserts that leave unchanged
products alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import TYPE_CHECKING

from graph.catalog.importing import Problem, Report, Told, Unreadable, import_products
from graph.catalog.keys import CATALOG_TTL, FORGET_UPLOADS, IMPORT_PRODUCTS, IMPORT_UPLOAD, WARM_CATALOG
from graph.catalog.reading.paging import Filter, PageRequest, Sort
from graph.jobs import (
    Definition,
    GiveUp,
    NotBelow,
    Progress,
    Schedule,
    file_below,
    forget_upload,
    forget_uploads,
    watched,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from graph.catalog.service import CatalogService

PROBLEMS_TOLD = 5

SCHEDULES = (Schedule(WARM_CATALOG, CATALOG_TTL * 0.8, {}), Schedule(FORGET_UPLOADS, 86_400.0, {}))


def definitions(catalog: CatalogService, imports: Path) -> Sequence[Definition]:
    """Return the catalog's kinds of jobs; files are read from the directory `imports`."""
    return [
        Definition(IMPORT_PRODUCTS, partial(import_file, catalog, imports), timeout=6 * 3600.0),
        Definition(IMPORT_UPLOAD, partial(import_upload, catalog, imports), timeout=6 * 3600.0),
        Definition(FORGET_UPLOADS, partial(tidy_uploads, imports)),
        Definition(WARM_CATALOG, partial(warm, catalog)),
    ]


async def import_upload(catalog: CatalogService, imports: Path, progress: Progress, *, path: str, name: str) -> None:
    """Import the uploaded file at `path`, which its sender calls `name`, and remove it once all of its rows are in."""
    await import_file(catalog, imports, progress, path=path, name=name)
    with contextlib.suppress(OSError, NotBelow):  # it will be forgotten
        await asyncio.to_thread(forget_upload, imports, path)


async def tidy_uploads(imports: Path, progress: Progress) -> None:
    """Remove the uploads that failed imports have left."""
    await asyncio.to_thread(forget_uploads, imports)
    await progress(1, 1)


async def import_file(
    catalog: CatalogService, imports: Path, progress: Progress, *, path: str, name: str | None = None
) -> None:
    """Import a file from the import directory; progress counts its bytes. `name` is what people call it.

    Like ``graph import``, it imports the good rows and then fails if there were bad ones, naming the first of them.
    """
    seen = _ImportNotes()
    try:
        file = file_below(imports, path)
        work = asyncio.create_task(import_products(catalog, file, report=seen.report, told=Told(problem=seen.problem)))
        report = await watched(work, progress, lambda: (seen.report.bytes, seen.report.size or None))
    except (NotBelow, Unreadable, OSError) as error:
        raise GiveUp(f"{name or path}: {error}") from error
    await progress(report.size, report.size)
    if report.bad:
        first = "; ".join(f"line {problem.line}: {problem}" for problem in seen.problems)
        raise GiveUp(f"{report.bad} of {report.rows} rows were left out, the others are in: {first}")


class _ImportNotes:
    """Collects the bad rows that an import reports."""

    def __init__(self) -> None:
        self.report = Report()
        self.problems: list[Problem] = []

    def problem(self, problem: Problem) -> None:
        if len(self.problems) < PROBLEMS_TOLD:
            self.problems.append(problem)


async def warm(catalog: CatalogService, progress: Progress) -> None:
    """Read into the cache what visitors ask for first: the categories, and the first page of each and of every sort."""
    categories = [count.category.slug for count in await catalog.categories()]
    pages = [PageRequest.of(sort=sort) for sort in Sort]
    pages += [PageRequest.of(filter=Filter(category=slug)) for slug in categories]
    for done, page in enumerate(pages, 1):
        await catalog.page(page)
        await progress(done, len(pages))
