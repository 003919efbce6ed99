"""The SQL database: SQLite through aiosqlite or PostgreSQL through asyncpg, depending on the URL.

`Database.session` reads and `Database.transaction` writes; a service's method opens one of them, so one method is one
transaction. A read that is a single statement needs neither: `Database.execute` takes a third of the time. On SQLite
(`graph.engines.sqlite`) every commit is on disk, and a writer takes the write lock when it begins (BEGIN IMMEDIATE), in
turn within the process and by waiting for other processes, so a transaction never fails half-way because it read before
it wrote. Callers take turns at the connections, and at writing (`graph.patterns.fair_queue`).

It fails with `graph.errors.Unavailable` if the database cannot be reached, is locked for longer than `BUSY_TIMEOUT`, or
has no free connection within `POOL_TIMEOUT` (seconds). A task must not open a transaction inside another one.

A process that hangs or is cut off does not block others for long: PostgreSQL ends a transaction that has been idle for
`IDLE_TIMEOUT` seconds, and within a second a statement whose client is gone; a process that waited for a row in vain
ends the remaining cases (`graph.engines.postgres`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from sqlalchemy import event, text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import NullPool
from sqlalchemy.util import greenlet_spawn

from graph.engines import postgres, sqlite
from graph.engines.commits import WholeTransactions
from graph.engines.disk import OpenedFile, make_private
from graph.engines.failures import closing, opening, takes_no_writes, unavailable
from graph.engines.plain import NotPlain, PlainReader
from graph.engines.revisions import OURS, current_revision, upgrade
from graph.engines.urls import async_url
from graph.errors import Unavailable
from graph.patterns.fair_queue import FairQueue
from graph.patterns.outage import Outage
from graph.patterns.tasks import to_its_end

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence

    from sqlalchemy import Executable, Row
    from sqlalchemy.engine import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncEngine
    from sqlalchemy.pool import QueuePool

    from graph.engines.plain import Statements
    from graph.engines.revisions import Migrations

T = TypeVar("T")

BUSY_TIMEOUT = 5.0
"""Seconds to wait for a lock."""
IDLE_TIMEOUT = 6.0
"""Seconds: less than the time after which a job goes to another worker, which needs the same rows."""
POOL_SIZE = 8
"""Connections of a process."""
PER_CALLER = 2
"""Connections that one caller uses at a time: a page and its count."""
POOL_TIMEOUT = 5.0
"""Seconds to wait for a free connection."""
MIGRATION_TIMEOUT = 120.0
"""Seconds to wait for a lock before a migration."""
GOODBYE = 3.0
"""Seconds that closing may take."""

logger = logging.getLogger(__name__)

_MIGRATION_LOCK = 0x67726170_68  # any number that nothing else in the database uses as an advisory lock
_READING = {"sqlite": {"graph_begin": "BEGIN"}, "postgresql": {"isolation_level": "READ COMMITTED"}}
_WRITING = {"sqlite": {"graph_begin": "BEGIN IMMEDIATE"}, "postgresql": {"isolation_level": "READ COMMITTED"}}
"""Options for beginning a transaction; an engine without them begins none."""

_SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}


def _create_engine(url: URL, *, busy: float, **options: Any) -> AsyncEngine:
    """Create an engine without transactions: each statement is its own, including PostgreSQL's connection test."""
    if url.get_backend_name() != "sqlite":
        options["connect_args"] = postgres.options(url)
        engine = create_async_engine(url, isolation_level="AUTOCOMMIT", **options)
        postgres.set_up(engine, lock=busy, idle=IDLE_TIMEOUT)
        return engine
    engine = create_async_engine(url, module=sqlite.Driver(busy=busy), **options)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    how = connection.get_execution_options().get("graph_begin")
    raw = cast("sqlite.SqliteConnection", connection.connection.dbapi_connection)
    if how == "BEGIN":
        raw.begin_reading()
    elif how is not None:
        connection.exec_driver_sql(how)
        raw.began_writing()


class Database:
    """A pool of connections. Use it as a context manager, or `close` it."""

    def __init__(self, url: str, *, pool_size: int = POOL_SIZE) -> None:
        """Prepare for the database at `url`; nothing is opened before the first session."""
        parsed = async_url(url)
        self.url = parsed.render_as_string(hide_password=False)
        self.engine = _create_engine(
            parsed,
            busy=BUSY_TIMEOUT,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT,
            pool_use_lifo=True,  # the connection used last has warm pages and an awake thread
        )
        self.dialect = self.engine.dialect.name
        if self.dialect == "postgresql":
            postgres.try_before_use(self.engine)
        self._plain = PlainReader(self.engine.sync_engine)
        self._reading = self._sessions(_READING)
        self._writing = self._sessions(_WRITING)
        self._connections = FairQueue(pool_size, PER_CALLER, POOL_TIMEOUT)
        self._writer = FairQueue(1, 1) if self.dialect == "sqlite" else None
        self._whole = WholeTransactions(self._plain, self._writer, self._connections)
        self._outage = Outage("SQL is away", "SQL is back", logger)
        self._refusal = Outage("SQL takes no writes", "SQL takes writes again", logger)
        self._file = OpenedFile(Path(parsed.database or "")) if self.dialect == "sqlite" else None
        if self._file is not None:
            event.listen(self.engine.sync_engine, "connect", self._file.note)

    def listened(self, when: Callable[[], bool]) -> None:
        """Say that who listens to the engine has to hear of a statement `when()` only: `rows` is faster for others."""
        self._plain.listened = when

    def _sessions(self, options: Mapping[str, Mapping[str, str]]) -> async_sessionmaker[AsyncSession]:
        engine = self.engine.execution_options(**options[self.dialect])
        return async_sessionmaker(engine, expire_on_commit=False, autoflush=False)

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncGenerator[AsyncSession]:
        """Open a session for reading; anything written is rolled back.

        On SQLite all statements see one snapshot; on PostgreSQL each sees what was committed when it began, unless the
        first one sets another isolation level.
        """
        async with self._opened(self._reading) as session:
            yield session

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncSession]:
        """Open a session for reading and writing; commits at the end of the block, rolls back if it raises."""
        turn = self._writer.place() if self._writer is not None else contextlib.nullcontext()
        async with self._told(), turn, self._opened(self._writing) as session:
            yield session
            await session.commit()

    async def transact(self, work: Callable[[Statements], Coroutine[Any, Any, T]], *, stays: bool = False) -> T:
        """Do `work` in a transaction, past SQLAlchemy where that can be: on SQLite in one trip, with all who wait.

        It awaits nothing but its statements, lets their errors pass, and may begin again when it has changed nothing.
        The caller `stays` if it is not cancelled meanwhile.
        """
        with contextlib.suppress(NotPlain):
            async with self._told():
                return await self._whole.transact(work, stays=stays)
        async with self.transaction() as session:
            return await work(await session.connection())

    @contextlib.asynccontextmanager
    async def _told(self) -> AsyncGenerator[None]:
        """Note what becomes of a transaction that writes, and end those that hang and have what it waited for."""
        try:
            yield
        except Unavailable as error:
            if takes_no_writes(error.__cause__):
                self._refusal.began(str(getattr(error.__cause__, "orig", "")))
            if postgres.waited_in_vain(error.__cause__):
                await postgres.end_silent(self.engine, silent=IDLE_TIMEOUT)
            raise
        self._refusal.ended()

    async def execute(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """Return the rows of one SELECT, which sees everything committed before; no transaction is opened around it."""
        with unavailable(OSError, PoolTimeoutError):
            async with self._connections.place():
                return await self._execute(statement, parameters)

    async def rows(self, statement: Executable, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
        """Do `execute` with less work for a statement object that comes again and again; a row has places, no names."""
        if (short := self._plain.at_once(statement, parameters)) is not None:
            return short
        with unavailable(OSError, PoolTimeoutError):
            async with self._connections.place():
                plain = self._plain.plain(statement)
                if plain is not None and (rows := await self._plain.read(plain, parameters)) is not None:
                    return rows
                return await self._execute(statement, parameters)

    async def _execute(self, statement: Executable, parameters: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
        if self._must_open():
            await to_its_end(self._open())  # half open, nobody would close it
        return await greenlet_spawn(self._fetch, statement, parameters)

    def _fetch(self, statement: Executable, parameters: Mapping[str, Any] | None) -> Sequence[Row[Any]]:
        with contextlib.ExitStack() as stack:
            with opening(self._outage):
                connection = stack.enter_context(self.engine.sync_engine.connect())
            return connection.execute(statement, parameters).all()

    @contextlib.asynccontextmanager
    async def _opened(self, maker: async_sessionmaker[AsyncSession]) -> AsyncGenerator[AsyncSession]:
        async with contextlib.AsyncExitStack() as stack:
            with unavailable(TimeoutError):
                await stack.enter_async_context(self._connections.place())
            session = await stack.enter_async_context(closing(maker()))
            with opening(self._outage):
                connecting = session.connection()
                await (to_its_end(connecting) if self._must_open() else connecting)
            with unavailable():
                yield session

    def _must_open(self) -> bool:
        """Whether the pool has to open a connection for the next caller."""
        pool = cast("QueuePool", self.engine.pool)
        return pool.checkedin() == 0 and pool.overflow() < 0

    async def _open(self) -> None:
        with opening(self._outage):
            async with self.engine.connect():
                pass

    async def ping(self) -> None:
        """Check the database; raises `Unavailable` if it is away.

        An SQLite file that was removed or replaced counts as away too: open connections keep using the old file, and
        what they write is lost.
        """
        await self.execute(text("SELECT 1"))
        if self._file is not None and self._file.replaced:
            raise Unavailable("the database's file is another one than was opened; start again")

    async def size(self) -> int:
        """Return how many bytes the database takes on its disk."""
        return int((await self.execute(text(_SIZE[self.dialect])))[0][0])

    async def revision(self, migrations: Migrations = OURS) -> str | None:
        """Return which of `migrations` the database is at; None for an empty one."""
        with unavailable(OSError, PoolTimeoutError):
            async with self.engine.connect() as connection:
                return await connection.run_sync(current_revision, migrations)

    async def damage(self) -> str:
        """Return the damage of an SQLite file, page by page; empty if there is none, or if the engine checks itself."""
        if self.dialect != "sqlite":
            return ""
        try:
            found = await self.execute(text("PRAGMA quick_check(3)"))
        except Unavailable as error:
            return str(error)
        told = "; ".join(" ".join(str(row[0]).split()) for row in found)
        return "" if told == "ok" else told

    async def close(self) -> None:
        """Close all connections; do not wait longer than `GOODBYE` seconds for a server that does not respond."""
        await self._whole.close()
        self._plain.close()
        self._outage.close()
        self._refusal.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self.engine.dispose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


# --- migrations ---


async def migrate(url: str, revision: str = "head", *, more: Sequence[Migrations] = ()) -> None:
    """Bring the database at `url` to `revision`, then to the newest of `more`; an SQLite file is created if missing.

    All or nothing: the migrations run in one transaction. If several processes do it at once, one does the work while
    the others wait for it. Raises `Unavailable` if the database cannot be reached.
    """
    parsed = async_url(url)
    await asyncio.to_thread(_migrate, parsed, revision, more)


_in_turn = threading.Lock()  # Alembic keeps the running migration in module globals


def _migrate(url: URL, revision: str, more: Sequence[Migrations]) -> None:
    with _in_turn:
        asyncio.run(_migrate_locked(url, revision, more))


async def _migrate_locked(url: URL, revision: str, more: Sequence[Migrations]) -> None:
    engine = _create_engine(
        url, busy=MIGRATION_TIMEOUT, poolclass=NullPool, execution_options=_WRITING[url.get_backend_name()]
    )
    try:
        with unavailable(OSError):
            if url.get_backend_name() == "sqlite":
                make_private(Path(url.database or ""))
            async with engine.begin() as connection:
                if engine.dialect.name == "postgresql":
                    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
                await connection.run_sync(upgrade, revision, more)
    finally:
        await engine.dispose()
