"""What a connection's thread is given to do, and when it stops doing it.

A `Statement` is run and its rows are fetched; a `Whole` transaction begins, does what its members want and is
committed. What nobody waits for any more does not begin, or ends within milliseconds: SQLite checks every `STEPS`
instructions whether a caller is still waiting, and a thread that waits for the write lock checks every `_SLICE`
milliseconds.
"""

from __future__ import annotations

import sqlite3
import time
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

STEPS = 100_000
"""SQLite VM instructions between two checks whether a caller is still waiting: a few milliseconds."""

BEGIN_WRITING = "BEGIN IMMEDIATE"
_SLICE = 50
"""Milliseconds of waiting for the write lock between two such checks."""


class Trip(Protocol):
    """What the thread is given."""

    @property
    def abandoned(self) -> bool:
        """Whether no caller waits for it any more."""
        ...

    def go(self, connection: sqlite3.Connection, thread: SqliteThread) -> None:
        """Do it, in the thread."""
        ...


class SqliteThread:
    """What a connection's thread is running, and for how many seconds it waits for locks."""

    __slots__ = ("busy", "trip")

    def __init__(self, busy: float) -> None:
        """Begin with nothing to do."""
        self.busy = busy
        self.trip: Trip | None = None

    def is_in_vain(self) -> bool:
        """Whether no caller waits for the running statement any more; SQLite then ends it."""
        return self.trip is not None and self.trip.abandoned


class Statement:
    """A statement that the thread is to run, and afterwards its result."""

    __slots__ = (
        "abandoned",
        "begins",
        "description",
        "lastrowid",
        "parameters",
        "rowcount",
        "rows",
        "run",
        "statement",
    )

    def __init__(self, run: Callable[..., sqlite3.Cursor], statement: str, parameters: Any, *, begins: bool) -> None:
        """Have `run` called with `statement` and `parameters`, after beginning a transaction if it `begins` one."""
        self.run = run
        self.statement = statement
        self.parameters = parameters
        self.begins = begins
        self.abandoned = False
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.rows: Sequence[Any] = ()

    def go(self, connection: sqlite3.Connection, thread: SqliteThread) -> None:
        """Run the statement, in the thread."""
        if self.abandoned:
            return
        thread.trip = self
        try:
            if self.begins:
                connection.execute("BEGIN")
            if self.statement == BEGIN_WRITING:
                _take_lock(connection, thread.busy, self)
                return
            cursor = self.run(self.statement, self.parameters)
            if cursor.description is not None:
                self.rows = cursor.fetchall()
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
            cursor.close()
        finally:
            thread.trip = None


class Member(Generic[T]):
    """What one caller wants done in a transaction that it may share with others; afterwards its result or its error."""

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        """Have `work` done, which must not keep the connection, and may be done again after nothing of it was kept."""
        self._work = work
        self.abandoned = False
        """Whether its caller has gone."""
        self.result = cast("T", None)  # stays so where the caller went before it was begun
        self.error: BaseException | None = None

    def work(self, connection: sqlite3.Connection) -> bool:
        """Do it, in the thread; False if it failed and may have left something.

        Raises what made SQLite give up the transaction as a whole, such as a disk that is full.
        """
        self.error = None
        changes = connection.total_changes
        try:
            self.result = self._work(connection)
        except BaseException as error:
            if not (connection.in_transaction or self.abandoned):
                raise
            self.error = error
            return connection.in_transaction and connection.total_changes == changes
        return True


class Whole:
    """A transaction that the thread is to run from its beginning to its commit, for all of its members.

    A member that fails, or whose caller has gone, fails alone: if it has changed something, all is rolled back and the
    others begin anew without it. If the transaction itself fails, nothing has changed.
    """

    __slots__ = ("_at_work", "_members")

    def __init__(self, members: Sequence[Member[Any]]) -> None:
        self._members = members
        self._at_work: Member[Any] | None = None

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for what is being done now: one member's work, or getting the lock for all of them."""
        one = self._at_work
        return one.abandoned if one is not None else all(member.abandoned for member in self._members)

    def go(self, connection: sqlite3.Connection, thread: SqliteThread) -> None:
        """Begin, do the work and commit, in the thread."""
        left = [member for member in self._members if not member.abandoned]
        while left:
            failed = self._attempt(connection, thread, left)
            if failed is None:
                return
            left.remove(failed)

    def _attempt(
        self, connection: sqlite3.Connection, thread: SqliteThread, members: Sequence[Member[Any]]
    ) -> Member[Any] | None:
        """Commit what `members` want; or give the one for whose sake all of it was rolled back."""
        try:
            thread.trip = self
            try:
                _take_lock(connection, thread.busy, self)
                failed = self._work(connection, members)
            finally:
                thread.trip = None  # what follows is not ended half-way
            if failed is None:
                connection.execute("COMMIT")
            elif connection.in_transaction:  # SQLite itself rolls back where it cannot go on
                connection.execute("ROLLBACK")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return failed

    def _work(self, connection: sqlite3.Connection, members: Sequence[Member[Any]]) -> Member[Any] | None:
        for member in members:
            if member.abandoned:
                continue
            self._at_work = member
            try:
                if not member.work(connection):
                    return member
            finally:
                self._at_work = None
        return None


def _take_lock(connection: sqlite3.Connection, busy: float, trip: Trip) -> None:
    """Begin with short waits, because SQLite does not check for a cancellation while it waits for a lock."""
    deadline = time.monotonic() + busy
    connection.execute(f"PRAGMA busy_timeout = {_SLICE}")
    try:
        while True:
            try:
                connection.execute(BEGIN_WRITING)
            except sqlite3.OperationalError as error:
                if trip.abandoned or not _is_busy(error) or time.monotonic() > deadline:
                    raise
            else:
                return
    finally:
        connection.execute(f"PRAGMA busy_timeout = {int(busy * 1000)}")


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
