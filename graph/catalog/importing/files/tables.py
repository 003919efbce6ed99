"""Reads CSV: separated by commas, semicolons, tabs or bars, padded or not, with or without a header line.

The header is the first line that is not empty, or a later one (`preamble`). Rows may be shorter than the header
(missing cells are blank) and have empty cells beyond it. A row with other cells beyond it, or with broken quotes, is a
`Problem`.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from graph.catalog.importing.files.lines import MAX_ROW, TOO_LONG, Lines, RowTooLong
from graph.catalog.importing.problems import Problem, Row, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    NamesColumns: TypeAlias = Callable[[Sequence[str]], int]

DELIMITERS = (",", ";", "\t", "|")
_TOLD = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
_TEMPLATES = ("TemplateType=", "settings=")
"""How Amazon's flat files begin. They name their columns twice: first for people, then for programs."""
_LOOKED_AT = 12
"""Lines, from the top, in which the column names may stand."""
_FEW, _SOME = 2, 3
"""Known column names that make the first line the header, and that make a later line the header instead."""
_PADDED = 3
"""One column in so many, at least, is padded in a file that is aligned for reading."""


class Table(NamedTuple):
    """A table of rows, and the names of its columns as written (their numbers without a header)."""

    columns: list[str]
    delimiter: str
    rows: Iterator[Row | Problem]


def preamble(begins: bytes, names: NamesColumns) -> int:
    """Return how many lines, empty ones not counted, come before the header.

    The header is the first line, unless that has too few known column names and a line soon after it has enough.
    `begins` is the beginning of the file; `names` counts the known column names in a list of cells.
    """
    lines = [line for line in begins.decode("utf-8", "replace").split("\n")[:-1] if line.strip()][:_LOOKED_AT]
    if not lines:
        return 0
    told = [names(_cells(line, _delimiter(line))) for line in lines]
    found = [place for place, count in enumerate(told) if count >= _SOME]
    if lines[0].lstrip('"').startswith(_TEMPLATES):
        return found[1] if len(found) > 1 else 0
    return 0 if told[0] >= _FEW or not found else found[0]


def _delimiter(line: str) -> str:
    return max(DELIMITERS, key=lambda mark: len(_cells(line, mark)))


def table(file: BinaryIO, *, header: bool = True, above: int = 0) -> Table:
    """Begin to read `file`; without `header` the first line is a row, and `above` says how many lines to skip."""
    csv.field_size_limit(MAX_ROW)  # a setting of the whole process; no line exceeds it
    lines = Lines(file)
    for _ in range(above):
        next((line for line in lines if line.strip()), "")
    first = next((line for line in lines if line.strip()), "")
    told = _TOLD.fullmatch(first.strip("\r\n"))
    if told is not None:  # a directive for spreadsheets
        first = next((line for line in lines if line.strip()), "")
    delimiter = told.group(1) if told is not None else _delimiter(first)
    cells = _cells(first, delimiter)
    if not any(cell.strip() for cell in cells):
        raise Unreadable("The first line must name the columns, sku among them.", lines.number)
    while cells and not cells[-1].strip():
        cells.pop()
    padded = sum(cell != cell.strip() for cell in cells) * _PADDED >= len(cells)
    names = [cell.strip() for cell in cells] if header else [str(number) for number in range(1, len(cells) + 1)]
    before = None if header else (first, lines.number)
    return Table(names, delimiter, _rows(lines, delimiter, len(names), padded=padded, before=before))


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=delimiter != "\t"), list[str]())
    except csv.Error as error:
        raise Unreadable(f"Not CSV: {error}.", 1) from None


class _Pushed:
    """An iterator over lines with one pushed back in front."""

    def __init__(self, lines: Lines, first: str) -> None:
        self._lines = lines
        self._first: str | None = first

    def __iter__(self) -> _Pushed:
        return self

    def __next__(self) -> str:
        if (first := self._first) is not None:
            self._first = None
            return first
        return next(self._lines)


def _rows(
    lines: Lines, delimiter: str, width: int, *, padded: bool, before: tuple[str, int] | None
) -> Iterator[Row | Problem]:
    source = lines if before is None else _Pushed(lines, before[0])
    # In a padded file quotes are not next to the delimiters, so csv cannot be strict.
    reader = csv.reader(source, delimiter=delimiter, strict=not padded, skipinitialspace=padded)
    line = before[1] if before is not None else lines.number + 1
    while True:
        lines.left = MAX_ROW
        try:
            cells = next(reader, None)
        except (csv.Error, RowTooLong) as error:
            too_long = isinstance(error, RowTooLong) or "field larger" in str(error)
            if too_long:
                lines.skip_cell()
            lines.too_long = False
            yield Problem(line, TOO_LONG if too_long else f"Not CSV: {error}.")
        else:
            if lines.too_long:
                lines.too_long = False
                yield Problem(line, TOO_LONG)
            elif cells is None:
                return
            elif len(cells) == width:
                yield Row(line, cells)
            elif cells and any(cells):
                excess = cells[width:]
                if any(cell.strip() for cell in excess):
                    yield Problem(line, f"{len(cells)} cells under {width} columns.")
                else:
                    yield Row(line, (cells + [""] * (width - len(cells)))[:width])
        line = lines.number + 1
