"""SQLite for SQLAlchemy through aiosqlite, with one trip to the connection's thread for a statement.

SQLAlchemy's own adapter makes four (cursor, execute, fetch, close), as many again for BEGIN, and one for ROLLBACK; each
wakes the thread and then the event loop. Here a transaction that only reads begins in the trip of its first statement,
and nobody waits for its end. Rows are fetched whole.

Connections are in WAL mode with foreign keys on and every commit on disk (synchronous=FULL). A statement whose task was
cancelled does not begin, or ends within milliseconds: SQLite asks every `_STEPS` instructions whether anybody waits,
and a thread that waits for the write lock looks up every `_SLICE` milliseconds.

It fails as the driver does, with the exceptions of `sqlite3`.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_dbapi
from sqlalchemy.util import await_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PAGE_CACHE = 16 << 20
"""Bytes of SQLite pages that a connection may keep; the default of 2 MiB makes writers read indexes again and again."""

_STEPS = 100_000
"""Instructions of SQLite's machine between two looks at whether anybody waits: a few milliseconds."""

_BEGIN_WRITING = "BEGIN IMMEDIATE"
_SLICE = 50
"""Milliseconds of waiting for the write lock between two such looks."""


class Driver(AsyncAdapt_aiosqlite_dbapi):
    """What `create_async_engine` takes as its ``module``."""

    def __init__(self, *, busy: float) -> None:
        """Let connections wait `busy` seconds for locks."""
        super().__init__(aiosqlite, sqlite3)
        self._busy = busy

    def connect(self, *args: Any, **options: Any) -> SqliteConnection:
        """Open a file and set it up, in one trip."""
        thread = _Thread(self._busy)
        opened: Any = aiosqlite.Connection(partial(_open, thread, *args, **options), iter_chunk_size=64)
        opened._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does: it must not outlive the program
        return SqliteConnection(self, await_only(opened), thread)


def _open(thread: _Thread, *args: Any, **options: Any) -> sqlite3.Connection:
    connection = sqlite3.connect(*args, **options, isolation_level=None)  # who uses it says when a transaction begins
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(thread.busy * 1000)}")
        deadline = time.monotonic() + thread.busy
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError:  # another process is switching the same new file: not what is waited for
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE >> 10}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.set_progress_handler(thread.is_in_vain, _STEPS)
    except BaseException:
        connection.close()
        raise
    return connection


class _Thread:
    """What a connection's thread is at, and for how many seconds it waits for locks."""

    __slots__ = ("busy", "trip")

    def __init__(self, busy: float) -> None:
        self.busy = busy
        self.trip: _Trip | None = None

    def is_in_vain(self) -> bool:
        """Whether nobody waits for the statement that runs; SQLite then ends it."""
        return self.trip is not None and self.trip.abandoned


class _Trip:
    """A statement on its way through the thread and, once it is back, what it brought."""

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
        self.run = run
        self.statement = statement
        self.parameters = parameters
        self.begins = begins
        self.abandoned = False
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self.rows: Sequence[Any] = ()

    def go(self, connection: sqlite3.Connection, thread: _Thread) -> None:
        """Run it; in the thread."""
        if self.abandoned:
            return
        thread.trip = self
        try:
            if self.begins:
                connection.execute("BEGIN")
            if self.statement == _BEGIN_WRITING:
                self._take_lock(connection, thread.busy)
                return
            cursor = self.run(self.statement, self.parameters)
            if cursor.description is not None:
                self.rows = cursor.fetchall()
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
            cursor.close()
        finally:
            thread.trip = None

    def _take_lock(self, connection: sqlite3.Connection, busy: float) -> None:
        """Begin in short waits: SQLite, while it waits for a lock, does not ask whether anybody still wants it."""
        deadline = time.monotonic() + busy
        connection.execute(f"PRAGMA busy_timeout = {_SLICE}")
        try:
            while True:
                try:
                    connection.execute(_BEGIN_WRITING)
                except sqlite3.OperationalError as error:
                    if self.abandoned or not _is_busy(error) or time.monotonic() > deadline:
                        raise
                else:
                    return
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(busy * 1000)}")


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


class _Cursor:
    """A cursor (PEP 249), as far as SQLAlchemy uses it."""

    __slots__ = ("_connection", "_next", "_rows", "arraysize", "description", "lastrowid", "rowcount")

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._rows: Sequence[Any] = ()
        self._next = 0
        self.arraysize = 1
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    def execute(self, statement: str, parameters: Any = ()) -> None:
        """Run it and fetch all that it gives."""
        self._go("execute", statement, parameters or ())

    def executemany(self, statement: str, parameters: Any) -> None:
        """Run it for each of the parameters."""
        self._go("executemany", statement, parameters)

    def _go(self, how: str, statement: str, parameters: Any) -> None:
        trip = self._connection.go(how, statement, parameters)
        self._rows, self._next = trip.rows, 0
        self.description, self.rowcount, self.lastrowid = trip.description, trip.rowcount, trip.lastrowid

    def fetchone(self) -> Any:
        """The next row, or None."""
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """The next rows, `size` at most."""
        start, self._next = self._next, self._next + (size or self.arraysize)
        return self._rows[start : self._next]

    def fetchall(self) -> Sequence[Any]:
        """The rest."""
        rows, start = self._rows, self._next
        self._next = len(rows)
        return rows[start:] if start else rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def close(self) -> None:
        """Forget the rows."""
        self._rows = ()

    async def _async_soft_close(self) -> None:
        """Keep the rows: SQLAlchemy asks for it where a cursor is left open behind them."""


class SqliteConnection(AsyncAdapt_aiosqlite_connection):
    """A connection, and how far its transaction is."""

    __slots__ = ("_thread", "_transaction")

    def __init__(self, driver: Driver, connection: Any, thread: _Thread) -> None:
        """Wrap what `Driver.connect` opened."""
        super().__init__(driver, connection)
        self._thread = thread
        self._transaction: Literal["none", "begins", "reads", "writes"] = "none"

    def begin_reading(self) -> None:
        """Let the next statement begin a transaction, as it sees the database then."""
        self._transaction = "begins"

    def began_writing(self) -> None:
        """Know that a transaction was begun by a statement."""
        self._transaction = "writes"

    def cursor(self, server_side: bool = False) -> Any:  # noqa: FBT001, FBT002 - the base class's
        """A cursor; one that streams (`server_side`) is SQLAlchemy's own."""
        if not server_side:
            return _Cursor(self)
        if self._transaction == "begins":
            self.go("execute", "SELECT 1", ())
        return super().cursor(server_side=True)

    def go(self, how: str, statement: str, parameters: Any) -> _Trip:
        """Run a statement in the thread."""
        begins = self._transaction == "begins"
        if begins:
            self._transaction = "reads"
        try:
            return await_only(self._travel(how, statement, parameters, begins=begins))
        except Exception as error:  # noqa: BLE001 - SQLAlchemy's own way
            self._handle_exception(error)

    async def _travel(self, how: str, statement: str, parameters: Any, *, begins: bool) -> _Trip:
        raw: Any = self._connection
        trip = _Trip(getattr(raw._conn, how), statement, parameters, begins=begins)  # noqa: SLF001 - so does SQLAlchemy
        try:
            await raw._execute(trip.go, raw._conn, self._thread)  # noqa: SLF001 - aiosqlite runs nothing else in one trip
        except asyncio.CancelledError:
            trip.abandoned = True
            raise
        return trip

    def create_function(self, *args: Any, **options: Any) -> None:
        """Without waiting, for what comes next comes after it."""
        self._later("create_function", *args, **options)

    def rollback(self) -> None:
        """End the transaction, if there is one; nobody waits for the end of one that only reads."""
        ended, self._transaction = self._transaction, "none"
        if ended == "reads":
            self._later("rollback")
        elif ended == "writes":
            super().rollback()

    def commit(self) -> None:
        """End the transaction, if there is one; one that cannot be committed is rolled back."""
        ended, self._transaction = self._transaction, "none"
        if ended in ("reads", "writes"):
            try:
                super().commit()
            except Exception:
                self._later("rollback")  # SQLite leaves it open, and SQLAlchemy rolls back nothing after a COMMIT
                raise

    def _later(self, name: str, *args: Any, **options: Any) -> None:
        raw: Any = self._connection
        if raw._connection is not None:  # noqa: SLF001 - as SQLAlchemy asks whether it is open
            raw._tx.put_nowait((None, partial(getattr(raw._conn, name), *args, **options)))  # noqa: SLF001 - as it does
