"""Imports products from a file: an upsert by sku, in batches, that can be repeated at will.

A column (or JSON field) that the file has is written, one that it lacks stays as it is; a new product needs a name and
a price. What is so already is left alone, so that importing a file again changes nothing. Each batch is one
transaction; between batches others may read and write. To readers an import is one write, acknowledged when it ends:
from then on, whether it succeeded, failed or was cancelled, they see all that is in. Until then what they get may be up
to some seconds old (`graph.catalog.importing.bulk`).

Rows that break a rule are reported with their line and left out. With `strict` the whole file is checked first, and
one bad row refuses all of it. A sku that comes again in the file is such a bad row: the first one counts. Memory stays
flat: the skus seen so far are kept on disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.catalog import rules, writing
from graph.catalog.importing import bulk
from graph.catalog.importing.files import Format, Problem, Row, Unreadable, format_of, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from graph.catalog.service import CatalogService

_FIELDS = frozenset({"sku", "name", "description", "category", "price", "currency", "stock", "active"})
_DECIMAL = re.compile(r"-?\d{1,18}(\.\d{1,9})?", re.ASCII)
_INTEGER = re.compile(r"-?\d{1,18}", re.ASCII)
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(slots=True)
class Report:
    """What an import has done so far; `refused` says that strict changed nothing.

    The rows of `bytes` of `size` are in, or, between batches, on their way in.
    """

    size: int = 0
    bytes: int = 0
    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    bad: int = 0
    checking: bool = False
    refused: bool = False


OnProgress: TypeAlias = "Callable[[Report], None]"
OnProblem: TypeAlias = "Callable[[Problem], None]"


async def import_products(
    catalog: CatalogService,
    path: Path,
    *,
    kind: Format | None = None,
    strict: bool = False,
    report: Report | None = None,
    on_progress: OnProgress = lambda _: None,
    on_problem: OnProblem = lambda _: None,
) -> Report:
    """Import the file at `path`, whose name tells its format unless `kind` does.

    A `report` that is handed in tells at any moment how far the import is. `on_progress` is called with it after each
    batch, `on_problem` with each bad row. Raises `Unreadable` when the file cannot
    be read (any further: what came before it is in, unless strict), OSError when it cannot be opened, and
    `graph.patterns.client.RedisUnavailable` when readers cannot be told.
    """
    chosen = kind or format_of(path)
    if strict:

        async def check(changes: Sequence[bulk.Change], on_way: bulk.OnWay) -> bulk.Outcome:
            return await bulk.write(catalog, changes, dry_run=True, on_way=on_way)

        checked = await _pass(check, path, chosen, Report(checking=True), (on_progress, on_problem))
        if checked.bad:
            checked.refused = True
            return checked
    async with bulk.acknowledged_once(catalog) as write:
        return await _pass(write, path, chosen, report or Report(), (on_progress, on_problem))


async def _pass(
    write: bulk.Write,
    path: Path,
    kind: Format,
    report: Report,
    told: tuple[OnProgress, OnProblem],
) -> Report:
    """Go through the file once. The next batch is read and checked in a thread while the last one is written."""
    with await asyncio.to_thread(path.open, "rb") as file, contextlib.closing(_Batches(file, kind)) as batches:
        report.size = os.fstat(file.fileno()).st_size
        on_progress, on_problem = told
        following = asyncio.create_task(asyncio.to_thread(batches.next))
        try:
            while (batch := await following) is not None:
                following = asyncio.create_task(asyncio.to_thread(batches.next))
                on_way = partial(_advance, report, report.bytes, batch.bytes)
                outcome = await write(batch.changes, on_way)
                problems = batch.problems + [
                    Problem(batch.lines[position], refused.message) for position, refused in outcome.refused.items()
                ]
                for problem in sorted(problems, key=lambda problem: problem.line):
                    on_problem(problem)
                report.bytes = batch.bytes
                report.rows += len(batch.changes) + len(batch.problems)
                report.bad += len(problems)
                report.created += outcome.created
                report.updated += outcome.updated
                report.unchanged += outcome.unchanged
                on_progress(report)
        finally:
            with contextlib.suppress(Exception):
                await following  # a thread cannot be stopped, and must not outlive the file
    return report


def _advance(report: Report, before: int, after: int, part: float) -> None:
    report.bytes = before + int((after - before) * part)


@dataclass(slots=True)
class _Batch:
    """Checked rows, the line of each, the bad ones, and how far the file is read."""

    changes: list[bulk.Change]
    lines: list[int]
    problems: list[Problem]
    bytes: int


class _Batches:
    """Reads a file batch by batch, remembering on disk which skus it has seen."""

    def __init__(self, file: BinaryIO, kind: Format) -> None:
        self._file = file
        self._rows = read(file, kind)
        self._unreadable: Unreadable | None = None
        # A database without a name is a temporary file that SQLite deletes by itself.
        self._seen = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._seen.execute("PRAGMA journal_mode = OFF")
        self._seen.execute("PRAGMA cache_size = -4000")
        self._seen.execute("CREATE TABLE seen (sku TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")

    def close(self) -> None:
        """Forget the skus."""
        self._seen.close()

    def next(self) -> _Batch | None:
        """The next batch; None at the end. Where the file cannot be read further, what was read before comes first."""
        if self._unreadable is not None:
            raise self._unreadable
        batch = _Batch([], [], [], 0)
        for row in self._some(bulk.BATCH):
            if isinstance(row, Problem):
                batch.problems.append(row)
                continue
            try:
                change = change_of(row.values)
            except rules.Invalid as problem:
                batch.problems.append(Problem(row.line, problem.message))
            else:
                batch.changes.append(change)
                batch.lines.append(row.line)
        self._set_duplicates_aside(batch)
        batch.bytes = self._file.tell()
        if batch.changes or batch.problems:
            return batch
        if self._unreadable is not None:
            raise self._unreadable
        return None

    def _some(self, count: int) -> Iterator[Row | Problem]:
        try:
            yield from islice(self._rows, count)
        except Unreadable as error:
            self._unreadable = error

    def _set_duplicates_aside(self, batch: _Batch) -> None:
        changes, lines = batch.changes, batch.lines
        batch.changes, batch.lines = [], []
        marks = ", ".join("?" * len(changes))
        known = dict(
            self._seen.execute(f"SELECT sku, line FROM seen WHERE sku IN ({marks})", [c.sku for c in changes])  # noqa: S608 - only question marks
        )
        fresh: list[tuple[str, int]] = []
        for change, line in zip(changes, lines, strict=True):
            first = known.get(change.sku)
            if first is not None:
                batch.problems.append(Problem(line, f"{change.sku} was on line {first} already."))
                continue
            known[change.sku] = line
            fresh.append((change.sku, line))
            batch.changes.append(change)
            batch.lines.append(line)
        self._seen.executemany("INSERT INTO seen VALUES (?, ?)", fresh)


# --- one row ---


def change_of(row: dict[str, Any]) -> bulk.Change:
    """What a row says of a product; raises `Invalid`. Fields that products do not have are ignored."""
    told = {name: value for name, value in row.items() if name in _FIELDS}
    price = told.get("price")
    if isinstance(price, dict):  # as the API writes it
        told["price"], told["currency"] = price.get("amount"), price.get("currency", told.get("currency", "USD"))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - JSON's own
    changes: writing.ProductChanges = {}
    if "name" in told:
        changes["name"] = _text(told, "name")
    if "description" in told:
        changes["description"] = _text(told, "description")
    if "price" in told:
        changes["price"] = (_decimal(told["price"]), _text(told, "currency").strip() or "USD")
    elif "currency" in told:
        raise rules.Invalid("price", "A currency needs a price.")
    if "stock" in told:
        changes["stock"] = _integer(told["stock"])
    if "active" in told:
        changes["active"] = _boolean(told["active"])
    slug = _text(told, "category").strip() or None
    if slug is not None:
        rules.check_slug(slug)
    return bulk.Change(rules.check_sku(_text(told, "sku")), writing.checked(changes), slug, "category" in told)


def _text(told: dict[str, Any], name: str) -> str:
    value = told.get(name)
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if name == "sku" and type(value) is int:
        return str(value)
    raise rules.Invalid(name, f"{name} must be text.")


def _decimal(value: Any) -> Decimal:
    if type(value) is int or isinstance(value, Decimal):
        return Decimal(value)
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        return Decimal(value.strip())
    raise rules.Invalid("price", "A price is a plain number, like 19.99.")


def _integer(value: Any) -> int:
    if type(value) is int:
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    raise rules.Invalid("stock", "A stock is a whole number.")


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    found = _TRUTH.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        raise rules.Invalid("active", "active is true or false.")
    return found
