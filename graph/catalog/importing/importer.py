"""Imports products from a file: an upsert by sku, in batches, which can be repeated safely.

Values in a row are written; a blank cell or a missing column leaves the product's value as it is. A new product needs a
name and a price. Unchanged products are left alone, so importing a file again changes nothing. Each batch is one
transaction; between batches others may read and write. To readers an import is one write, acknowledged when it ends:
from then on, whether it succeeded, failed or was cancelled, they see everything that was written. Until then they may
get values that are some seconds old (`graph.catalog.importing.bulk`).

Rows that break a rule are reported with their line, the value and the reason, and are left out. With `strict` the whole
file is checked first, and a single bad row refuses all of it; with `dry_run` it is only checked. A repeated sku is also
a bad row: the first one counts. Memory stays flat: the skus seen so far are kept on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.catalog.importing import bulk
from graph.catalog.importing.batches import Batches, CheckedBatch
from graph.catalog.importing.problems import Problem
from graph.catalog.importing.reading import Found, ImportOptions, Products
from graph.catalog.records import decimal_of, images_of, pairs_of
from graph.patterns.tasks import to_its_end

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from graph.catalog.service import CatalogService

EXAMPLES = 3
"""How many products a report keeps as examples."""


@dataclass(slots=True)
class Report:
    """What an import has done so far; `refused` says that a strict import changed nothing.

    `bytes` of `size` have been read, and their rows written up to the current batch. Of `rows`, `merged` belong to
    other rows' products (a picture, a group, a translation), and `bad` were left out.
    """

    size: int = 0
    bytes: int = 0
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    merged: int = 0
    bad: int = 0
    notes: int = 0
    checking: bool = False
    refused: bool = False
    found: Found | None = None
    """What was found out about the file: its format, columns and doubts."""
    examples: list[bulk.ImportedProduct] = field(default_factory=list[bulk.ImportedProduct])
    """The first products as they would be written."""


OnProgress: TypeAlias = "Callable[[Report], None]"
OnProblem: TypeAlias = "Callable[[Problem], None]"


@dataclass(frozen=True, slots=True)
class Told:
    """Callbacks of an import: after each batch, for each bad row, and for each oddity of a good row."""

    progress: OnProgress = lambda _: None
    problem: OnProblem = lambda _: None
    note: OnProblem = lambda _: None


async def import_products(
    catalog: CatalogService,
    path: Path,
    options: ImportOptions | None = None,
    *,
    strict: bool = False,
    dry_run: bool = False,
    report: Report | None = None,
    told: Told | None = None,
) -> Report:
    """Import the file at `path`; `options` override what the file itself says.

    A `report` that is passed in shows the progress at any time. Raises `Unreadable` if the file cannot be read (or not
    to its end; what came before is written then, unless strict), OSError if it cannot be opened, and
    `graph.patterns.client.RedisUnavailable` if the cache cannot be invalidated.
    """
    chosen, hearing, counted = options or ImportOptions(), told or Told(), report or Report()

    async def check(changes: Sequence[bulk.ImportedProduct], on_way: bulk.OnWay) -> bulk.BatchOutcome:
        return await bulk.write(catalog, changes, dry_run=True, on_way=on_way)

    if dry_run:
        return await _pass(check, path, chosen, counted, hearing)
    if strict:
        checked = await _pass(check, path, chosen, Report(checking=True), hearing)
        if checked.bad:
            checked.refused = True
            return checked
        hearing = Told(progress=hearing.progress)  # the other problems have just been reported
    async with bulk.acknowledged_once(catalog) as write:
        return await _pass(write, path, chosen, counted, hearing)


@dataclass(frozen=True, slots=True)
class Preview:
    """What the first rows of a file would do; `complete` says that there are no others."""

    found: Found
    rows: int
    complete: bool
    created: int
    updated: int
    unchanged: int
    problems: Sequence[Problem]
    examples: Sequence[bulk.ImportedProduct]


async def preview_products(catalog: CatalogService, path: Path) -> Preview:
    """Find out what the file at `path` is, and what its first batch of rows would do; nothing is written.

    Raises `Unreadable` and OSError as `import_products` does.
    """

    def read() -> tuple[Found, CheckedBatch, bool]:
        with Products(path, ImportOptions()) as products:
            batches = Batches(products)
            batch = batches.next() or CheckedBatch()
            return products.found, batch, batches.next() is None

    found, batch, complete = await to_its_end(asyncio.to_thread(read))
    outcome = await bulk.write(catalog, batch.changes, dry_run=True)
    refused = [
        Problem(batch.drafts[position].line, error.message, error.field) for position, error in outcome.refused.items()
    ]
    return Preview(
        found,
        len(batch.changes) + len(batch.problems) + batch.merged,
        complete,
        outcome.created,
        outcome.updated,
        outcome.unchanged,
        sorted([*batch.problems, *refused], key=lambda one: one.line),
        batch.changes[:EXAMPLES],
    )


async def _pass(write: bulk.Write, path: Path, options: ImportOptions, report: Report, told: Told) -> Report:
    """Process the file once. The next batch is read and checked in a thread while the last one is written."""
    with await asyncio.to_thread(Products, path, options) as products:
        batches = Batches(products)
        report.size, report.found = products.size, products.found
        loop = asyncio.get_running_loop()
        following = loop.run_in_executor(None, batches.next)
        try:
            while (batch := await asyncio.shield(following)) is not None:
                following = loop.run_in_executor(None, batches.next)
                on_way = partial(_advance, report, report.bytes, batch.bytes)
                outcome = await write(batch.changes, on_way)
                problems = batch.problems + [
                    batches.problem(batch.drafts[position], refused) for position, refused in outcome.refused.items()
                ]
                for problem in sorted(problems, key=lambda problem: problem.line):
                    told.problem(problem)
                for note in batch.notes:
                    told.note(note)
                report.bytes = batch.bytes
                report.rows += len(batch.changes) + len(batch.problems) + batch.merged
                report.merged += batch.merged
                report.bad += len(problems)
                report.notes += len(batch.notes)
                report.created += outcome.created
                report.updated += outcome.updated
                report.unchanged += outcome.unchanged
                report.examples += batch.changes[: max(0, EXAMPLES - len(report.examples))]
                told.progress(report)
        finally:
            # While the thread reads, the file must not be closed: SQLite's library, which keeps what was read, crashes
            # the process then.
            with contextlib.suppress(Exception):
                await to_its_end(following)
    return report


def readable(change: bulk.ImportedProduct) -> list[tuple[str, Any]]:
    """Return the values of a change in readable form; values that it does not set are left out."""
    values, currency = change.values, change.values.get("currency", "")

    def money(column: str) -> str | None:
        return None if values.get(column) is None else f"{decimal_of(values[column], currency)} {currency}"

    def pairs(column: str) -> str:
        return ", ".join(f"{name}={value}" for name, value in pairs_of(values.get(column, "[]")))

    def yes(column: str) -> str | None:
        return None if column not in values else str(values[column]).lower()

    stock = values.get("stock") if values.get("tracked", True) else "not counted"
    told: list[tuple[str, Any]] = [
        *(("name", values.get("name")), ("price", money("price")), ("compareAtPrice", money("compare_at_price"))),
        *(("category", " > ".join(change.path) or change.category), ("stock", stock), ("inStock", yes("in_stock"))),
        *(("active", yes("active")), ("groupId", values.get("group_id")), ("options", pairs("options"))),
        *(("brand", values.get("brand")), ("gtin", values.get("gtin")), ("attributes", pairs("attributes"))),
        ("images", ", ".join(image.url for image in images_of(values.get("images", "[]")))),
        ("description", values.get("description")),
    ]
    return [(name, value) for name, value in told if value not in (None, "")]


def _advance(report: Report, before: int, after: int, part: float) -> None:
    report.bytes = before + int((after - before) * part)
