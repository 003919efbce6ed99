"""Reads product files row by row: CSV, NDJSON, one JSON array or an XML feed, in any encoding and packing.

Memory stays flat however large the file: a row of more than `lines.MAX_ROW` bytes is skipped and reported. A row that
cannot be read is a `Problem` with its line, and reading continues after it. Only a fault after which the next row
cannot be found (an array that ends early, a file that is not text) ends the reading, with `Unreadable`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from graph.catalog.importing.files import container, documents, markup
from graph.catalog.importing.files.tables import preamble, table
from graph.catalog.importing.problems import Problem, Row, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

    from graph.catalog.importing.files.tables import NamesColumns

FileShape: TypeAlias = Literal["csv", "json", "ndjson", "xml"]
SHAPES: dict[str, FileShape] = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    **dict.fromkeys((".ndjson", ".jsonl"), "ndjson"),
    ".json": "json",
    **dict.fromkeys((".xml", ".rss", ".atom"), "xml"),
}
"""Shapes by file extension; files with other extensions are inspected."""
ENDINGS = (*SHAPES, ".txt", ".gz", ".zip")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SNIFFED = 1 << 16


@dataclass(slots=True)
class RowSource:
    """An open file: its rows, and what was found out about it. `columns` and `delimiter` apply to CSV."""

    opened: container.UnpackedFile
    shape: FileShape
    columns: list[str]
    delimiter: str
    rows: Iterator[Row | Problem]

    def close(self) -> None:
        """Close the file."""
        self.opened.close()


def open_source(
    path: Path,
    *,
    shape: FileShape | None = None,
    encoding: str | None = None,
    header: bool = True,
    names: NamesColumns | None = None,
) -> RowSource:
    """Open the file at `path`; its name determines its shape unless `shape` is given.

    `names` counts the names of columns among cells: it finds the header of a table that begins with other lines.
    Raises `Unreadable` if it has no rows, OSError if it cannot be opened.
    """
    opened = container.open_file(path, encoding)
    try:
        kind = shape or _shape_of(opened, path)
        if kind == "csv":
            above = preamble(_peek(opened), names) if header and names is not None else 0
            read = table(opened.text, header=header, above=above)
            return RowSource(opened, kind, read.columns, read.delimiter, _checked(read.rows, read.columns))
        read_rows = {"ndjson": documents.ndjson, "xml": markup.feed}.get(kind, documents.array)
        rows = read_rows(opened.text)
        return RowSource(opened, kind, [], "", _checked(rows, []))
    except BaseException:
        opened.close()
        raise


def shape_of(name: str) -> FileShape | None:
    """Return the shape that a file's name indicates; None for an unknown extension."""
    bare = name.lower()
    for packing in (".gz", ".gzip", ".zip"):
        bare = bare.removesuffix(packing)
    return SHAPES.get(PurePath(bare).suffix)


def _shape_of(opened: container.UnpackedFile, path: Path) -> FileShape:
    told = shape_of(opened.name) or shape_of(path.name)
    begins = _peek(opened)
    first = begins.lstrip()[:1]
    if told == "xml" or (told is None and first == b"<"):
        return "xml"
    if told is None and first not in (b"[", b"{"):
        return "csv"
    if told in ("ndjson", "csv"):
        return told
    if first != b"{" or (told == "json" and not _is_lines(begins)):
        return "json"
    return "ndjson" if _is_lines(begins) else "json"


def _peek(opened: container.UnpackedFile) -> bytes:
    """Return the beginning of the text without consuming it."""
    return cast("BufferedReader", opened.text).peek(_SNIFFED)


def _is_lines(begins: bytes) -> bool:
    """Whether the first line is a complete object and another one follows."""
    lines = [line for line in begins.split(b"\n")[:20] if line.strip()]
    return (
        len(lines) > 1 and all(line.strip().startswith(b"{") for line in lines[:2]) and lines[0].rstrip()[-1:] == b"}"
    )


def _checked(rows: Iterator[Row | Problem], columns: list[str]) -> Iterator[Row | Problem]:
    """Refuse text with lone surrogates: bytes that were not UTF-8, or an escape of half a character."""
    for row in rows:
        if isinstance(row, Row):
            if row.fields is None and all(map(str.isascii, row.cells)):  # most rows of a table, by a fast path
                yield row
                continue
            cells = zip(columns, row.cells, strict=False) if row.fields is None else _texts(row.fields)
            for name, value in cells:
                if not value.isascii() and _SURROGATE.search(value):
                    yield Problem(row.line, f"{name} is not valid UTF-8.")
                    break
            else:
                yield row
        else:
            yield row


def _texts(fields: dict[str, Any], within: str = "") -> Iterator[tuple[str, str]]:
    """Yield all strings in an object, at any depth."""
    for name, value in fields.items():
        if isinstance(value, str):
            yield f"{within}{name}", value
        elif (inner := as_object(value)) is not None:
            yield from _texts(inner, f"{within}{name}.")
