"""SQLite for SQLAlchemy through aiosqlite, with one trip to the connection's thread for a statement.

SQLAlchemy's own adapter makes four (cursor, execute, fetch, close), four more for BEGIN, and one for ROLLBACK; each
wakes the thread and then the event loop. Here a transaction that only reads begins in the trip of its first statement,
and its end is not waited for. All rows are fetched at once.

Connections are in WAL mode with foreign keys on and every commit on disk (synchronous=FULL). A statement whose task was
cancelled does not begin, or ends within milliseconds (`trips`).

It fails like the driver, with the exceptions of `sqlite3`.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import aiosqlite
from sqlalchemy.dialects.sqlite.aiosqlite import AsyncAdapt_aiosqlite_connection, AsyncAdapt_aiosqlite_dbapi
from sqlalchemy.util import await_only

from graph.engines.sqlite.trips import STEPS, SqliteThread, Statement, Whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Sequence

    from graph.engines.sqlite.trips import Member, Trip

PAGE_CACHE = 16 << 20
"""Bytes of SQLite pages that a connection may cache; with the default of 2 MiB writers keep rereading indexes."""


_TAKEN = ("SQLITE_BUSY", "SQLITE_LOCKED")


class Driver(AsyncAdapt_aiosqlite_dbapi):
    """The ``module`` argument of `create_async_engine`."""

    def __init__(self, *, busy: float) -> None:
        """Let connections wait `busy` seconds for locks."""
        super().__init__(aiosqlite, sqlite3)
        self._busy = busy
        self._unwanted: set[asyncio.Future[Any]] = set()

    def connect(self, *args: Any, **options: Any) -> SqliteConnection:
        """Open a file and set it up, in one trip."""
        thread = SqliteThread(self._busy)
        opened: Any = aiosqlite.Connection(partial(_open, thread, *args, **options), iter_chunk_size=64)
        opened._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does: it must not outlive the program
        return SqliteConnection(self, await_only(self._opened(opened)), thread)

    async def _opened(self, opening: Awaitable[aiosqlite.Connection]) -> aiosqlite.Connection:
        """Wait until it is open; if this is cancelled it is closed as soon as it is."""
        task = asyncio.ensure_future(opening)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            closing = asyncio.ensure_future(_closed(task))
            self._unwanted.add(closing)
            closing.add_done_callback(self._unwanted.discard)
            raise


async def _closed(opening: asyncio.Future[aiosqlite.Connection]) -> None:
    with contextlib.suppress(sqlite3.Error):
        await (await opening).close()


def _open(thread: SqliteThread, *args: Any, **options: Any) -> sqlite3.Connection:
    connection = sqlite3.connect(*args, **options, isolation_level=None)  # callers begin transactions explicitly
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(thread.busy * 1000)}")
        deadline = time.monotonic() + thread.busy
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:  # another process is switching the same new file
                if not getattr(error, "sqlite_errorname", "").startswith(_TAKEN) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE >> 10}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.set_progress_handler(thread.is_in_vain, STEPS)
    except BaseException:
        connection.close()
        raise
    return connection


class _Cursor:
    """The part of a cursor (PEP 249) that SQLAlchemy uses."""

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
        """Run a statement and fetch all of its rows."""
        self._go("execute", statement, parameters or ())

    def executemany(self, statement: str, parameters: Any) -> None:
        """Run a statement for each of the parameters."""
        self._go("executemany", statement, parameters)

    def _go(self, how: str, statement: str, parameters: Any) -> None:
        trip = self._connection.go(how, statement, parameters)
        self._rows, self._next = trip.rows, 0
        self.description, self.rowcount, self.lastrowid = trip.description, trip.rowcount, trip.lastrowid

    def fetchone(self) -> Any:
        """Return the next row, or None."""
        if self._next >= len(self._rows):
            return None
        self._next += 1
        return self._rows[self._next - 1]

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """Return the next rows, at most `size`."""
        start, self._next = self._next, self._next + (size or self.arraysize)
        return self._rows[start : self._next]

    def fetchall(self) -> Sequence[Any]:
        """Return the remaining rows."""
        rows, start = self._rows, self._next
        self._next = len(rows)
        return rows[start:] if start else rows

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def close(self) -> None:
        """Drop the rows."""
        self._rows = ()

    async def _async_soft_close(self) -> None:
        """Do nothing: SQLAlchemy calls this to close a cursor whose rows it still needs."""


class SqliteConnection(AsyncAdapt_aiosqlite_connection):
    """A connection, and the state of its transaction."""

    __slots__ = ("_thread", "_transaction")

    def __init__(self, driver: Driver, connection: Any, thread: SqliteThread) -> None:
        """Wrap a connection that `Driver.connect` opened."""
        super().__init__(driver, connection)
        self._thread = thread
        self._transaction: Literal["none", "begins", "reads", "writes"] = "none"

    def begin_reading(self) -> None:
        """Let the next statement begin a transaction, which sees the database as it is then."""
        self._transaction = "begins"

    def began_writing(self) -> None:
        """Record that a statement began a transaction."""
        self._transaction = "writes"

    def cursor(self, server_side: bool = False) -> Any:  # noqa: FBT001, FBT002 - the base class's
        """Return a cursor; for streaming (`server_side`) it is SQLAlchemy's own."""
        if not server_side:
            return _Cursor(self)
        if self._transaction == "begins":
            self.go("execute", "SELECT 1", ())
        return super().cursor(server_side=True)

    def go(self, how: str, statement: str, parameters: Any) -> Statement:
        """Run a statement in the thread."""
        begins = self._transaction == "begins"
        if begins:
            self._transaction = "reads"
        try:
            return await_only(self._travel(how, statement, parameters, begins=begins))
        except Exception as error:  # noqa: BLE001 - SQLAlchemy's own way
            self._handle_exception(error)

    async def read(self, statement: str, parameters: Sequence[Any]) -> Sequence[tuple[Any, ...]]:
        """Run a SELECT outside any transaction, without a greenlet, and return its rows as they are."""
        try:
            return (await self._travel("execute", statement, parameters, begins=False)).rows
        except Exception as error:  # noqa: BLE001 - SQLAlchemy's own way
            self._handle_exception(error)

    async def transact(self, members: Sequence[Member[Any]]) -> None:
        """Do what `members` want in the thread, in one transaction: one trip from BEGIN to COMMIT.

        Each has its result or its error then. If the transaction itself fails, nothing has changed.
        """
        try:
            await self._ride(Whole(members))
        except Exception as error:  # noqa: BLE001 - SQLAlchemy's own way
            self._handle_exception(error)

    async def _travel(self, how: str, statement: str, parameters: Any, *, begins: bool) -> Statement:
        raw: Any = self._connection
        trip = Statement(getattr(raw._conn, how), statement, parameters, begins=begins)  # noqa: SLF001 - so does SQLAlchemy
        try:
            await self._ride(trip)
        except asyncio.CancelledError:
            trip.abandoned = True
            raise
        return trip

    async def _ride(self, trip: Trip) -> None:
        raw: Any = self._connection
        await raw._execute(trip.go, raw._conn, self._thread)  # noqa: SLF001 - aiosqlite runs nothing else in one trip

    def create_function(self, *args: Any, **options: Any) -> None:
        """Register a function, without waiting: the thread runs later statements after it."""
        self._later("create_function", *args, **options)

    def rollback(self) -> None:
        """Roll back the transaction, if there is one; the end of one that only read is not waited for."""
        ended, self._transaction = self._transaction, "none"
        if ended == "reads":
            self._later("rollback")
        elif ended == "writes":
            super().rollback()

    def commit(self) -> None:
        """Commit the transaction, if there is one; if that fails, it is rolled back."""
        ended, self._transaction = self._transaction, "none"
        if ended in ("reads", "writes"):
            try:
                super().commit()
            except Exception:
                self._later("rollback")  # SQLite leaves it open, and SQLAlchemy does not roll back after a COMMIT
                raise

    def _later(self, name: str, *args: Any, **options: Any) -> None:
        raw: Any = self._connection
        if raw._connection is not None:  # noqa: SLF001 - as SQLAlchemy asks whether it is open
            raw._tx.put_nowait((None, partial(getattr(raw._conn, name), *args, **options)))  # noqa: SLF001 - as it does
