"""The lines of a file of UTF-8, numbered; one that is too long is skipped and noted, not held."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import BinaryIO

MAX_ROW = 1 << 20
"""Bytes of the longest row that is read: far more than any product may hold."""
TOO_LONG = f"The row is longer than {MAX_ROW // (1 << 20)} MiB."


class Lines:
    """The lines of a file, numbered; one that is too long is emptied and noted."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._odd = False
        self.number = 0
        self.too_long = False

    def __iter__(self) -> Lines:
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
