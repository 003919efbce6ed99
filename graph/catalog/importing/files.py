"""Reads product files: CSV, NDJSON, or one JSON array, a row at a time.

Memory stays flat however large the file: a row of more than `MAX_ROW` bytes is skipped and reported, not held. A row
that cannot be read is a `Problem` with its line; reading goes on behind it. Only what leaves no way to find the next
row (an array that ends early, a file that is not text) ends the file, with `Unreadable`.

Files are UTF-8, with or without a byte order mark. CSV may be separated by commas, semicolons or tabs, and starts with
a line of column names.
"""

from __future__ import annotations

import codecs
import csv
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAX_ROW = 1 << 20
"""Bytes of the longest row that is read: far more than any product may hold."""

Format: TypeAlias = Literal["csv", "json", "ndjson"]
FORMATS: dict[str, Format] = {".csv": "csv", ".tsv": "csv", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson"}

_CHUNK = 1 << 18
_DELIMITERS = (",", ";", "\t")
_TOO_LONG = f"The row is longer than {MAX_ROW // (1 << 20)} MiB."
_STRUCTURE = re.compile(r'\\.|["{}\[\]]', re.DOTALL)  # an escaped character is none of them
_LONGEST_ESCAPE = len("\\ud83d\\ude00")
_SURROGATE = re.compile("[\ud800-\udfff]")


class Unreadable(Exception):
    """The file cannot be read, or no further."""

    def __init__(self, reason: str, line: int = 0) -> None:
        """Say why, and where if it is known."""
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line


@dataclass(frozen=True, slots=True)
class Row:
    """What one row says, by field; all text in CSV, JSON values otherwise."""

    line: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Problem:
    """A row that is not taken, and why."""

    line: int
    reason: str


def format_of(path: Path) -> Format:
    """What the file's name says it holds; raises `Unreadable`."""
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        raise Unreadable(f"{path.name}: the name ends in none of {', '.join(FORMATS)}.")
    return found


def read(file: BinaryIO, kind: Format) -> Iterator[Row | Problem]:
    """The rows of a file opened in binary."""
    start = file.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Unreadable("The file is UTF-16; save it as UTF-8.")
    file.seek(3 if start.startswith(codecs.BOM_UTF8) else 0)
    rows: Callable[[BinaryIO], Iterator[Row | Problem]] = {"csv": _csv, "json": _json, "ndjson": _ndjson}[kind]
    for row in rows(file):
        yield _checked(row) if isinstance(row, Row) else row


def _checked(row: Row) -> Row | Problem:
    """Refuse text that was not UTF-8, which was decoded into surrogates, or that escapes half a character."""
    for name, value in row.values.items():
        if isinstance(value, str) and not value.isascii() and _SURROGATE.search(value):
            return Problem(row.line, f"{name} is not valid UTF-8.")
    return row


# --- lines ---


class _Lines:
    """The lines of a file, numbered; one that is too long is emptied and noted."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._odd = False
        self.number = 0
        self.too_long = False

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._file.readline(MAX_ROW)
        if not line:
            raise StopIteration
        self.number += 1
        quotes = line.count(b'"')
        cut = len(line) == MAX_ROW and not line.endswith(b"\n")
        if cut:
            self.too_long = True
            while (rest := self._file.readline(MAX_ROW)) and not rest.endswith(b"\n"):
                quotes += rest.count(b'"')
            quotes += rest.count(b'"')
        self._odd = quotes % 2 == 1
        if cut:  # a quoted cell may begin or end in this line: leave the quotes open or closed as it does
            return '"\n' if self._odd else "\n"
        return line.decode("utf-8", "surrogateescape")

    def skip_cell(self) -> None:
        """Go past the line that ends a quoted cell of too many lines; perhaps it is the present one."""
        while not self._odd and next(self, None) is not None:
            pass


def _columns(lines: _Lines) -> tuple[str, list[str]]:
    """The delimiter and the names in the first line."""
    first = next((line for line in lines if line.strip()), "")
    delimiter = max(_DELIMITERS, key=first.count)
    try:
        names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), list[str]())]
    except csv.Error as error:
        raise Unreadable(f"Not CSV: {error}.", lines.number) from None
    if "sku" not in names:
        raise Unreadable("The first line must name the columns, sku among them.", lines.number)
    if len(set(names)) < len(names):
        raise Unreadable("The first line names a column twice.", lines.number)
    return delimiter, names


def _csv(file: BinaryIO) -> Iterator[Row | Problem]:
    csv.field_size_limit(MAX_ROW)  # of the whole process; the longest line does not exceed it
    lines = _Lines(file)
    delimiter, names = _columns(lines)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = lines.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            too_long = "field larger" in str(error)
            if too_long:
                lines.skip_cell()
            lines.too_long = False
            yield Problem(line, _TOO_LONG if too_long else f"Not CSV: {error}.")
            continue
        if lines.too_long:
            lines.too_long = False
            yield Problem(line, _TOO_LONG)
        elif cells is None:
            return
        elif not cells:
            continue
        elif len(cells) != len(names):
            yield Problem(line, f"{len(cells)} cells under {len(names)} columns.")
        else:
            yield Row(line, dict(zip(names, cells, strict=True)))


def _ndjson(file: BinaryIO) -> Iterator[Row | Problem]:
    lines = _Lines(file)
    for line in lines:
        if lines.too_long:
            lines.too_long = False
            yield Problem(lines.number, _TOO_LONG)
        elif line.strip():
            try:
                value = _DECODER.decode(line)
            except (ValueError, RecursionError) as error:
                yield Problem(lines.number, f"Not JSON: {_reason(error)}.")
            else:
                yield _row(lines.number, value)


def _integer(digits: str) -> int | Decimal:
    """A whole number; of one with absurdly many digits (which int() refuses) only that it is too large matters."""
    return int(digits) if len(digits) < 20 else Decimal("Infinity")  # noqa: PLR2004 - beyond 64 bits anyway


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=_integer, parse_constant=Decimal)


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"


def _row(line: int, value: Any) -> Row | Problem:
    if not isinstance(value, dict):
        return Problem(line, "Not a JSON object.")
    found: dict[Any, Any] = value  # pyright: ignore[reportUnknownVariableType] - JSON's own
    return Row(line, {str(name).lower(): item for name, item in found.items()})


# --- one array ---


def _json(file: BinaryIO) -> Iterator[Row | Problem]:
    array = _Array(file)
    array.expect("[", "The file must hold one JSON array.")
    if array.peek() == "]":
        array.position += 1
    else:
        while True:
            yield array.element()
            mark = array.peek()
            array.position += 1
            if mark == "]":
                break
            if mark != ",":
                raise Unreadable("Expected a comma or the end of the array.", array.line)
    if array.peek():
        raise Unreadable("Something follows the array.", array.line)


class _Array:
    """A JSON array, decoded an element at a time from a window of the text."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._window = ""
        self._ended = False
        self._lines_before = 1
        self._counted = 0
        self.position = 0

    @property
    def line(self) -> int:
        """The line of the present position."""
        self._lines_before += self._window.count("\n", self._counted, self.position)
        self._counted = self.position
        return self._lines_before

    def _more(self) -> None:
        """Let go of what is done and read another piece: as much as there is, so that few attempts are repeated."""
        self._lines_before = self.line
        size = max(_CHUNK, len(self._window) - self.position)
        data = self._file.read(size)
        self._ended = not data
        self._window = self._window[self.position :] + self._decoder.decode(data, final=self._ended)
        self.position = self._counted = 0

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            while self.position < len(self._window):
                character = self._window[self.position]
                if character not in " \t\r\n":
                    return character
                self.position += 1
            if self._ended:
                return ""
            self._more()

    def expect(self, character: str, complaint: str) -> None:
        """Go past `character`."""
        if self.peek() != character:
            raise Unreadable(complaint, self.line)
        self.position += 1

    def element(self) -> Row | Problem:
        """The next element; one that cannot be decoded is gone past if its brackets tell where it ends."""
        first = self.peek()
        line = self.line
        while True:
            try:
                value, self.position = _DECODER.raw_decode(self._window, self.position)
            except (json.JSONDecodeError, RecursionError) as error:
                too_long = len(self._window) - self.position > MAX_ROW
                if self._is_cut(error) and not too_long and not self._ended:
                    self._more()
                    continue
                if first not in "{[" or self._ended:
                    raise Unreadable(f"Not JSON: {_reason(error)}.", line) from error
                self._skip()
                return Problem(line, _TOO_LONG if too_long else f"Not JSON: {_reason(error)}.")
            return _row(line, value)

    def _is_cut(self, error: Exception) -> bool:
        """Whether more text may mend the error: it is about the window's end."""
        return isinstance(error, json.JSONDecodeError) and (
            error.msg.startswith("Unterminated string") or error.pos >= len(self._window) - _LONGEST_ESCAPE
        )

    def _skip(self) -> None:
        """Go past an element, following only its quotes and brackets."""
        depth, quoted = 0, False
        while True:
            mark = _STRUCTURE.search(self._window, self.position)
            if mark is None:
                left = self._window[self.position :]
                self.position = len(self._window) - left.endswith("\\")  # it escapes what comes next
                if self._ended:
                    raise Unreadable("The file ends inside an element.", self.line)
                self._more()
                continue
            self.position = mark.end()
            character = mark.group()
            if character == '"':
                quoted = not quoted
            elif not quoted:
                depth += 1 if character in "{[" else -1 if character in "}]" else 0
            if depth == 0 and not quoted:
                return
