"""Reads a file as products: detects the format, maps the columns, joins rows of one product.

`Found` holds what was detected, and is what a dry run shows. The first `SAMPLE` rows of the file decide, column by
column, how ambiguous amounts are read.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from graph.catalog.importing import numbers
from graph.catalog.importing.files.rows import open_source
from graph.catalog.importing.formats import FORMATS, names_columns, recognised
from graph.catalog.importing.formats.plain import PLAIN
from graph.catalog.importing.headers import PRICES
from graph.catalog.importing.mapping import ColumnPlan
from graph.catalog.importing.meaning import Reading
from graph.catalog.importing.objects import bounded, flat, opened, variants
from graph.catalog.importing.problems import Problem, Row, Unreadable
from graph.catalog.importing.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from graph.catalog.importing.files.rows import FileShape, RowSource
    from graph.catalog.importing.formats.base import Draft

SAMPLE = 1000
"""Rows from which the decimal marks of amounts and the fields of JSON are determined."""
_MARKS = {".": numbers.DecimalMark.POINT, ",": numbers.DecimalMark.COMMA}
_KEYS = frozenset(("sku", "id", "handle"))
_ENOUGH = 2


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What the user says about a file, which overrides detection; see ``graph import --help``."""

    shape: FileShape | None = None
    format: str | None = None
    encoding: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    """``--map``: meaning → column."""
    defaults: Mapping[str, str] = field(default_factory=dict[str, str])
    """``--default``: meaning → value for rows that have none."""
    decimal: str | None = None
    """``--decimal``: ``.`` or ``,``."""


@dataclass(slots=True)
class Found:
    """What was detected about a file."""

    format: str
    title: str
    shape: str
    encoding: str
    packed: str | None
    delimiter: str
    columns: list[tuple[str, str]]
    """Columns and their meanings, in the file's order."""
    ignored: list[str]
    doubts: list[str]
    """Sentences about what the file leaves open, and how it is read."""


class Products:
    """The products of a file. Close it, or use it in a ``with``."""

    def __init__(self, path: Path, options: ImportOptions) -> None:
        """Open the file and detect its format. Raises `Unreadable`, and OSError if it cannot be opened."""
        self._path = path
        self._options = options
        self._header = not options.columns or not all(one.isdigit() for one in options.columns.values())
        with contextlib.ExitStack() as stack:
            self.shelf = Shelf()
            stack.callback(self.shelf.close)
            if not self._header:
                self._header = self._names_columns()
            self._source = self._open()
            stack.callback(self._source.close)
            self.size = self._source.opened.size
            sample = self._sample()
            self.plan = self._plan([row for row in sample if isinstance(row, Row)])
            self._joiner = self.plan.known.joiner(self.shelf)
            self.reading, self.found = self._decide(sample)
            if self._joiner.surveys:
                self._survey()
            self._rows = chain(sample, self._rest())
            self._closing = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file and delete what was kept on disk about it."""
        self._closing.close()

    @property
    def position(self) -> int:
        """How many bytes of the file have been read, out of `size`."""
        return self._source.opened.position()

    @property
    def merged(self) -> int:
        """Rows so far that belong to other rows' products: pictures, groups, translations."""
        return self._joiner.merged + self._joiner.translations

    @property
    def translations(self) -> int:
        """Those of `merged` that are translations, which are left out."""
        return self._joiner.translations

    def __iter__(self) -> Iterator[Draft | Problem]:
        """Yield the products, and a problem for each bad row. Raises `Unreadable` if reading cannot go on."""
        feed, drafts = self._joiner.feed, self.plan.drafts
        for row in self._rows:
            if isinstance(row, Row):
                for draft in drafts(row):
                    for one in feed(draft):
                        yield self._with_row(one, draft) if isinstance(one, Problem) else one
            else:
                yield row
        yield from self._joiner.end()

    def _with_row(self, problem: Problem, draft: Draft) -> Problem:
        """Add the row to a problem that a joiner has with it, so that it can be mended and imported."""
        if problem.raw is not None or problem.line != draft.line:
            return problem
        return replace(problem, raw=self.plan.raw(draft), tabular=draft.row.fields is None)

    def _rest(self) -> Iterator[Row | Problem]:
        """Yield the rows after the sample."""
        if self._broken is not None:
            raise self._broken
        yield from self._source.rows

    # --- detection ---

    def _sample(self) -> list[Row | Problem]:
        """Return the first rows; an error while reading them is kept and raised when iteration gets there."""
        sample: list[Row | Problem] = []
        self._broken: Unreadable | None = None
        try:
            sample.extend(islice(self._source.rows, SAMPLE))
        except Unreadable as error:
            self._broken = error
            if not sample:
                raise
        return sample

    def _open(self) -> RowSource:
        options = self._options
        names = partial(names_columns, chosen=frozenset(options.columns.values()))
        source = open_source(
            self._path, shape=options.shape, encoding=options.encoding, header=self._header, names=names
        )
        source.rows = bounded(source.rows)
        return source

    def _names_columns(self) -> bool:
        """Whether the first line is a header although the columns are mapped by numbers."""
        with contextlib.closing(
            open_source(self._path, shape=self._options.shape, encoding=self._options.encoding)
        ) as s:
            return s.shape != "csv" or sum(PLAIN.meaning(column) is not None for column in s.columns) >= _ENOUGH

    def _plan(self, rows: Sequence[Row]) -> ColumnPlan:
        columns = self._source.columns
        if self._source.shape != "csv":
            listed: dict[str, None] = {}
            for row in rows:
                for fields in variants(opened(row.fields or {})):
                    listed |= dict.fromkeys(path for path, _ in flat(fields))
            columns = list(listed)
        options = self._options
        known = FORMATS[options.format] if options.format else recognised(columns)
        plan = ColumnPlan(known, columns, options.columns, options.defaults)
        if not (_KEYS & plan.meanings) and (self._source.shape == "csv" or rows):
            shown = ", ".join(columns[:12])
            raise Unreadable(
                f"The first line must name the columns, sku (or id or handle) among them; it has {shown}. "
                "--map sku=COLUMN names one; without such a line, --map sku=1,name=2 counts them."
            )
        return plan

    def _decide(self, sample: Sequence[Row | Problem]) -> tuple[Reading, Found]:
        cells: dict[str, list[Any]] = {name: [] for name in (*PRICES, "stock")}
        currencies = False
        for row in sample:
            if isinstance(row, Row):
                for draft in self.plan.drafts(row):
                    for name, found in cells.items():
                        if (value := draft.told.get(name)) is not None:
                            found.append(value)
                    currencies = currencies or "currency" in draft.told
        options, plan = self._options, self.plan
        marks, doubts = _decided(cells, _MARKS.get(options.decimal or ""))
        symbols = any(_has_currency(value) for name in PRICES for value in cells[name])
        reading = Reading(
            plan.known,
            plan.meanings,
            (options.defaults.get("currency") or plan.currency or "USD").upper(),
            marks,
            defaulted=frozenset(options.defaults),
        )
        if not (currencies or symbols or plan.currency) and any(cells[name] for name in PRICES):
            doubts.append("No currency is told: prices are taken as USD (--default currency=EUR says otherwise).")
        source = self._source
        columns = [(column.name, column.meaning) for column in plan.columns if column.meaning is not None]
        opened = source.opened
        found = Found(
            *(plan.known.name, plan.known.title, source.shape, opened.encoding, opened.packed, source.delimiter),
            *(columns, plan.ignored, doubts),
        )
        return reading, found

    def _survey(self) -> None:
        """Let the joiner see the whole file before it is read."""
        with contextlib.closing(self._open()) as source, contextlib.suppress(Unreadable):
            for row in source.rows:
                if isinstance(row, Row):
                    for draft in self.plan.drafts(row):
                        self._joiner.survey(draft)


def _decided(
    cells: Mapping[str, Sequence[Any]], told: numbers.DecimalMark | None
) -> tuple[dict[str, numbers.DecimalMark], list[str]]:
    """Return the decimal mark of each column, and remarks on doubtful ones."""
    if told is not None:
        return dict.fromkeys(cells, told), []
    decided = {name: numbers.decide(values) for name, values in cells.items()}
    known = {mark for mark, _ in decided.values() if mark in (numbers.DecimalMark.POINT, numbers.DecimalMark.COMMA)}
    marks: dict[str, numbers.DecimalMark] = {}
    doubts: list[str] = []
    for name, (mark, doubtful) in decided.items():
        chosen = mark
        if mark is numbers.DecimalMark.UNKNOWN and len(known) == 1:
            chosen = next(iter(known))
        marks[name] = chosen
        if doubtful is None:
            continue
        if chosen is numbers.DecimalMark.BOTH or (chosen is numbers.DecimalMark.UNKNOWN and name == "stock"):
            doubts.append(
                f"{name}: {doubtful} can be read in two ways; such rows are refused unless --decimal is given."
            )
            continue
        why = "as the column's other cells are written" if mark is chosen else "as the file's other columns are written"
        if chosen is numbers.DecimalMark.UNKNOWN:
            why = "as its currency has no three decimals"
        doubts.append(f"{name}: {doubtful} is read as {_read(doubtful, chosen)}, {why} (--decimal says otherwise).")
    return marks, doubts


def _read(cell: str, mark: numbers.DecimalMark) -> str:
    try:
        return f"{numbers.amount(cell, mark)[0]:f}"
    except numbers.NotANumber:
        return "nothing"


def _has_currency(value: Any) -> bool:
    try:
        return numbers.amount(value, numbers.DecimalMark.POINT)[1] is not None
    except numbers.NotANumber:
        return False
