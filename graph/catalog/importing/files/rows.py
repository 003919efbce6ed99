"""Reads product files: CSV, NDJSON, or one JSON array, a row at a time, in whatever encoding and packing.

Memory stays flat however large the file: a row of more than `lines.MAX_ROW` bytes is skipped and reported, not held. A
row that cannot be read is a `Problem` with its line; reading goes on behind it. Only what leaves no way to find the
next row (an array that ends early, a file that is not text) ends the file, with `Unreadable`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from graph.catalog.importing.files import container, documents
from graph.catalog.importing.files.tables import table
from graph.catalog.importing.problems import Problem, Row, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

FileShape: TypeAlias = Literal["csv", "json", "ndjson"]
SHAPES: dict[str, FileShape] = {
    **dict.fromkeys((".csv", ".tsv", ".tab"), "csv"),
    **dict.fromkeys((".ndjson", ".jsonl"), "ndjson"),
    ".json": "json",
}
"""What the end of a file's name says it holds; others are looked into."""
ENDINGS = (*SHAPES, ".txt", ".gz", ".zip")
_SURROGATE = re.compile("[\ud800-\udfff]")
_SNIFFED = 1 << 16


@dataclass(slots=True)
class RowSource:
    """A file that is open: its rows, and what was found out about it. `columns` and `delimiter` are those of CSV."""

    opened: container.UnpackedFile
    shape: FileShape
    columns: list[str]
    delimiter: str
    rows: Iterator[Row | Problem]

    def close(self) -> None:
        """Close the file."""
        self.opened.close()


def open_source(
    path: Path, *, shape: FileShape | None = None, encoding: str | None = None, header: bool = True
) -> RowSource:
    """Open the file at `path`, whose name tells its shape unless `shape` does.

    Raises `Unreadable` when it holds no rows, OSError when it cannot be opened.
    """
    opened = container.open_file(path, encoding)
    try:
        kind = shape or _shape_of(opened, path)
        if kind == "csv":
            read = table(opened.text, header=header)
            return RowSource(opened, kind, read.columns, read.delimiter, _checked(read.rows, read.columns))
        rows = documents.ndjson(opened.text) if kind == "ndjson" else documents.array(opened.text)
        return RowSource(opened, kind, [], "", _checked(rows, []))
    except BaseException:
        opened.close()
        raise


def shape_of(name: str) -> FileShape | None:
    """What a file's name says it holds; None when it does not tell."""
    bare = name.lower()
    for packing in (".gz", ".gzip", ".zip"):
        bare = bare.removesuffix(packing)
    return SHAPES.get(PurePath(bare).suffix)


def _shape_of(opened: container.UnpackedFile, path: Path) -> FileShape:
    told = shape_of(opened.name) or shape_of(path.name)
    begins = _peek(opened)
    first = begins.lstrip()[:1]
    if told is None and first not in (b"[", b"{"):
        return "csv"
    if told in ("ndjson", "csv"):
        return told
    if first != b"{" or (told == "json" and not _is_lines(begins)):
        return "json"
    return "ndjson" if _is_lines(begins) else "json"


def _peek(opened: container.UnpackedFile) -> bytes:
    """How the text begins; it is read again from there."""
    return cast("BufferedReader", opened.text).peek(_SNIFFED)


def _is_lines(begins: bytes) -> bool:
    """Whether the first line is a whole object and another one follows it."""
    lines = [line for line in begins.split(b"\n")[:20] if line.strip()]
    return (
        len(lines) > 1 and all(line.strip().startswith(b"{") for line in lines[:2]) and lines[0].rstrip()[-1:] == b"}"
    )


def _checked(rows: Iterator[Row | Problem], columns: list[str]) -> Iterator[Row | Problem]:
    """Refuse text that was not UTF-8, which was decoded into surrogates, or that escapes half a character."""
    for row in rows:
        if isinstance(row, Row):
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
    """The texts of an object, however deep."""
    for name, value in fields.items():
        if isinstance(value, str):
            yield f"{within}{name}", value
        elif (inner := as_object(value)) is not None:
            yield from _texts(inner, f"{within}{name}.")
