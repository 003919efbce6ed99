"""Short reads of an SQLite file in the event loop's own thread.

A trip to a connection's thread costs more than what is read there: two wake-ups and, beside a busy loop, up to the
interpreter's switch interval (5 ms) at each row, because `sqlite3` gives up the interpreter's lock for each and has to
get it back. What takes an index to a few rows is read in less time than that. So a SELECT is first tried here, over a
connection of its own, and ended by SQLite itself once it has taken `LONGEST` seconds of the processor; the same text
is then left to the threads for the next `SPARED` times. Some take longer at a single step, which nothing ends, as the
count of a whole table: the longer, the more often they are spared. A full-text search is not even tried.

A read that stands still for `SLOW` seconds, beside a disk that is slow or a thread that keeps the interpreter, is ended
at its next row, and everything is left to the threads for `PAUSE` seconds.

It sees what every other connection sees, all that was committed before, and waits for no lock; for a disk that hangs
it would, as WAL mode works on local ones only. Failure: whatever does not succeed at once is left to the caller (None),
who learns the reason over an ordinary connection.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.engine import URL

LONGEST = 0.0005
"""Seconds of the processor that a read may take."""
SPARED = 64
"""How often a statement that took longer is not tried again, for each time that it took as long."""
SLOW = 0.02
"""Seconds that a read may stand still: more than two threads need to give each other the interpreter once."""
PAUSE = 1.0
"""Seconds for which nothing is read here after that, or after the file could not be opened."""
PAGE_CACHE = 16 << 20
"""Bytes of pages that the connection may cache."""
_SEARCH = " MATCH "
"""What is in a full-text search: FTS5 reads all that begins with a word in one step, which nothing ends."""
_STEPS = 1000
"""SQLite VM instructions between two looks at the time: some 50 µs."""
_KNOWN = 1024
"""Statements that are noted as long."""


def near_reader(url: URL) -> NearReader | None:
    """Return what reads the database at `url` at once; None if it is no file, or one with options."""
    is_file = url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"} and not url.query
    return NearReader(str(url.database)) if is_file else None


class NearReader:
    """Reads one file, from one thread."""

    def __init__(self, path: str) -> None:
        """Read the file at `path`; it is opened with the first read."""
        self._path = os.path.abspath(path)  # noqa: PTH100 - as SQLAlchemy does, now: the working directory may be another one then
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        self._long: dict[str, int] = {}
        self._ends = self._wakes = 0.0
        self._not_before = 0.0

    def read(self, text: str, values: Sequence[Any]) -> Sequence[tuple[Any, ...]] | None:
        """The rows of a SELECT; None where it takes a thread."""
        if self._long and (left := self._long.get(text)):
            self._long[text] = left - 1
            return None
        began = time.monotonic()
        if began < self._not_before or self._is_closed or _SEARCH in text:
            return None
        try:
            connection = self._connection or self._open()
        except sqlite3.Error:
            self._not_before = time.monotonic() + PAUSE
            return None
        busy = time.thread_time()
        self._ends, self._wakes = busy + LONGEST, began + LONGEST + SLOW
        rows = self._rows(connection, text, values)
        took, ended = time.thread_time() - busy, time.monotonic()
        if ended - began - took > SLOW:
            self._not_before = ended + PAUSE
        elif (times := int(took / LONGEST)) > (0 if rows is None else 1):  # the first time it is prepared as well
            self._note(text, times)
        return rows

    def close(self) -> None:
        """Close the connection; nothing is read any more."""
        self._is_closed = True
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _rows(self, connection: sqlite3.Connection, text: str, values: Sequence[Any]) -> list[tuple[Any, ...]] | None:
        rows: list[tuple[Any, ...]] = []
        try:
            with contextlib.closing(connection.execute(text, values)) as cursor:
                for row in cursor:
                    rows.append(row)
                    if time.monotonic() > self._wakes:  # each row gives other threads the interpreter
                        return None
        except Exception:  # noqa: BLE001 - whatever it is, who reads over a thread is told of it
            return None
        return rows

    def _open(self) -> sqlite3.Connection:
        path = f"{Path(self._path).as_uri()}?mode=ro"
        connection = sqlite3.connect(path, uri=True, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE >> 10}")
        except sqlite3.Error:
            connection.close()
            raise
        connection.set_progress_handler(self._is_late, _STEPS)
        self._connection = connection
        return connection

    def _is_late(self) -> bool:
        return time.thread_time() > self._ends or time.monotonic() > self._wakes

    def _note(self, text: str, times: int) -> None:
        self._long.pop(text, None)
        self._long[text] = SPARED * times
        if len(self._long) > _KNOWN:
            del self._long[next(iter(self._long))]
