"""Reads JSON: one object per line, or one array of objects, which may be nested in other objects.

An array is decoded element by element from a window of the text. An element that cannot be decoded is a `Problem`;
reading continues after it if its brackets show where it ends.
"""

from __future__ import annotations

import codecs
import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

from graph.catalog.importing.files.lines import MAX_ROW, TOO_LONG, Lines
from graph.catalog.importing.problems import Problem, Row, Unreadable, as_object

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 1 << 18
_STRUCTURE = re.compile(r'\\.|["{}\[\]]', re.DOTALL)  # an escaped character does not count
_BLANKS = re.compile(r"[ \t\r\n]*")
_DEEPEST = 20
_MOST_SKIPPED = 16 * MAX_ROW
"""Longest unreadable element, in characters, whose end is still searched for."""
_LONGEST_ESCAPE = len("\\ud83d\\ude00")


def ndjson(file: BinaryIO) -> Iterator[Row | Problem]:
    """Yield the rows of a file with one object per line."""
    lines = Lines(file)
    for line in lines:
        if lines.too_long:
            lines.too_long = False
            yield Problem(lines.number, TOO_LONG)
        elif line.strip():
            try:
                value = _DECODER.decode(line)
            except (ValueError, RecursionError) as error:
                yield Problem(lines.number, f"Not JSON: {_reason(error)}.")
            else:
                yield _row(lines.number, value)


def _integer(digits: str) -> int | Decimal:
    """Read a whole number; one with more than 19 digits is too large in any case and becomes infinity."""
    return int(digits) if len(digits) < 20 else Decimal("Infinity")  # noqa: PLR2004 - beyond 64 bits anyway


_DECODER = json.JSONDecoder(parse_float=Decimal, parse_int=_integer, parse_constant=Decimal)


def _reason(error: Exception) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else "nested too deep"


def _row(line: int, value: Any) -> Row | Problem:
    found = as_object(value)
    if found is None:
        return Problem(line, "Not a JSON object.")
    if len(found) <= 2 and (node := as_object(found.get("node"))) is not None:  # noqa: PLR2004 - an edge of a GraphQL page, and its cursor
        found = node
    return Row(line, [], found)


# --- one array ---


def array(file: BinaryIO) -> Iterator[Row | Problem]:
    """Yield the rows of a file that is one array, or of the first array of objects inside an object."""
    read = _Array(file)
    mark = read.peek()
    wrapped = mark == "{"
    if wrapped:
        if not read.descend():
            raise Unreadable("The file holds no array of objects.", read.line)
    else:
        read.expect("[", "The file must hold a JSON array.")
    if read.peek() == "]":
        read.position += 1
    else:
        while True:
            yield read.element()
            mark = read.peek()
            read.position += 1
            if mark == "]":
                break
            if mark != ",":
                raise Unreadable("Expected a comma or the end of the array.", read.line)
    if read.peek() and not wrapped:
        raise Unreadable("Something follows the array.", read.line)


class _Array:
    """A JSON array, decoded element by element from a window of the text."""

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
        """The line number of the current position."""
        self._lines_before += self._window.count("\n", self._counted, self.position)
        self._counted = self.position
        return self._lines_before

    def _more(self) -> None:
        """Drop the decoded text and read as much again as the window holds, so that few attempts are repeated."""
        self._lines_before = self.line
        size = max(_CHUNK, len(self._window) - self.position)
        data = self._file.read(size)
        self._ended = not data
        self._window = self._window[self.position :] + self._decoder.decode(data, final=self._ended)
        self.position = self._counted = 0

    def peek(self) -> str:
        """Return the next character that is not white space; empty at the end."""
        while True:
            self.position = _BLANKS.match(self._window, self.position).end()  # pyright: ignore[reportOptionalMemberAccess] - it matches nothing, too
            if self.position < len(self._window):
                return self._window[self.position]
            if self._ended:
                return ""
            self._more()

    def expect(self, character: str, complaint: str) -> None:
        """Skip `character`; raises `Unreadable` with `complaint` if another one comes next."""
        if self.peek() != character:
            raise Unreadable(complaint, self.line)
        self.position += 1

    def descend(self, depth: int = 0) -> bool:
        """Enter an object up to its first array of objects; if it has none, skip the object and return False."""
        self.expect("{", "Expected an object.")
        if depth > _DEEPEST:
            raise Unreadable("nested too deep", self.line)
        while (mark := self.peek()) != "}":
            if mark == ",":
                self.position += 1
                continue
            self._scalar()
            self.expect(":", "Expected a colon.")
            mark = self.peek()
            if mark == "{":
                if self.descend(depth + 1):
                    return True
            elif mark == "[":
                self.position += 1
                if self.peek() == "{":
                    return True
                self.position -= 1
                self._skip()
            else:
                self._scalar()
        self.position += 1
        return False

    def _scalar(self) -> None:
        """Skip a string, a number or a literal name."""
        self.peek()
        while True:
            try:
                _, self.position = _DECODER.raw_decode(self._window, self.position)
            except json.JSONDecodeError as error:
                if self._ended or len(self._window) - self.position > MAX_ROW or not self._is_cut(error):
                    raise Unreadable(f"Not JSON: {_reason(error)}.", self.line) from error
                self._more()
            else:
                return

    def element(self) -> Row | Problem:
        """Return the next element; one that cannot be decoded is skipped if its brackets show where it ends."""
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
                return Problem(line, TOO_LONG if too_long else f"Not JSON: {_reason(error)}.")
            return _row(line, value)

    def _is_cut(self, error: Exception) -> bool:
        """Whether the error is at the window's end, so that more text may resolve it."""
        return isinstance(error, json.JSONDecodeError) and (
            error.msg.startswith("Unterminated string") or error.pos >= len(self._window) - _LONGEST_ESCAPE
        )

    def _skip(self) -> None:
        """Skip an element by following only its quotes and brackets."""
        depth, quoted, begins = 0, False, self.position
        while True:
            if self.position - begins > _MOST_SKIPPED:
                raise Unreadable("An element does not end.", self.line)
            mark = _STRUCTURE.search(self._window, self.position)
            if mark is None:
                left = self._window[self.position :]
                self.position = len(self._window) - left.endswith("\\")  # a backslash escapes the next character
                if self._ended:
                    raise Unreadable("The file ends inside an element.", self.line)
                begins -= self.position
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
