"""Yields the numbered lines of a UTF-8 file; a line that is too long is skipped and noted, not kept in memory."""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

MAX_ROW = 1 << 20
"""Bytes of the longest row that is read, far more than any product needs."""
TOO_LONG = f"The row is longer than {MAX_ROW // (1 << 20)} MiB."


class RowTooLong(Exception):
    """A row of several lines, whose quotes do not end, is longer than `MAX_ROW`."""


class Lines:
    """The numbered lines of a file; one that is too long is replaced by an empty one and noted.

    `left` is how much more the current row may hold; a line beyond that raises `RowTooLong`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._odd = False
        self.number = 0
        self.left = math.inf
        self.too_long = False

    def __iter__(self) -> Lines:
        return self

    def __next__(self) -> str:
        line = self._next()
        self.left -= len(line)
        if self.left < 0:
            raise RowTooLong
        return line

    def _next(self) -> str:
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
        if cut:  # a quoted cell may begin or end in this line: keep the parity of its quotes
            return '"\n' if self._odd else "\n"
        return line.decode("utf-8", "surrogateescape")

    def skip_cell(self) -> None:
        """Skip to the end of the line that ends a quoted cell of too many lines; it may be the current line."""
        with contextlib.suppress(StopIteration):
            while not self._odd:
                self._next()
