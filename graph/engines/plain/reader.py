"""Executes statements as the driver takes them, past SQLAlchemy's execution: for those that are run again and again.

SQLAlchemy says what a statement is (`PlainStatement`): its text, its parameters in order, and what has to be done to
values on their way in and out. That is asked once for each statement object and kept. What is left is to take a
connection from SQLAlchemy's pool, to send the text and the values (`graph.engines.direct`), and to convert the columns
that need it: no greenlet, no compiled cache, no result object.

`Database.rows` gives the same rows so as `Database.execute`, as tuples or lists, under the same time-outs and turns,
and fails alike; `Database.transact` does the same work so as `Database.transaction`. Left to these is what is not known
here: statements whose text depends on the parameters (`IN`), columns that are text, types that convert by what the
database says of a column (numbers with decimals, on PostgreSQL), statements that somebody listens to (traces), a pool
that has to open a connection first.

A connection is not tried before it is lent, which would be a trip more on PostgreSQL. If it proves to be lost,
SQLAlchemy does the same once more, over one that it has tried: a SELECT outside any transaction may be repeated, and of
a transaction that could not begin nothing was done.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy import Delete, Insert, Select, Update, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, MissingGreenlet

from graph.engines import postgres, sqlite
from graph.engines.plain.statement import NotPlain, PlainStatement
from graph.engines.plain.transaction import PlainTransaction

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from sqlalchemy import Engine, Executable
    from sqlalchemy.pool import PoolProxiedConnection, QueuePool

    from graph.engines.direct import DirectDriver, Rows, Run
    from graph.engines.plain.transaction import Statements
    from graph.engines.sqlite import Member

T = TypeVar("T")

_KEPT = 1024
"""Statements that are kept, of which each has a few kilobytes."""

_DRIVERS: dict[str, Callable[[], DirectDriver]] = {"sqlite": sqlite.SqliteDirect, "postgresql": postgres.PostgresDirect}


class PlainReader:
    """Reads from one engine, and does transactions; use `Database.rows` and `Database.transact`."""

    def __init__(self, engine: Engine) -> None:
        """Take connections of `engine`."""
        self._engine = engine
        self._pool = cast("QueuePool", engine.pool)
        self._known = lru_cache(maxsize=_KEPT)(self._prepare)
        self._driver = _DRIVERS[engine.dialect.name]()
        self._errors = engine.dialect.loaded_dbapi.Error
        self._near = sqlite.near_reader(engine.url)
        self._was_opened = False
        if self._near is not None:
            event.listen(engine, "connect", self._note_opened)
        self.listened: Callable[[], bool] = lambda: True
        """Whether those who listen to the engine want to hear of what is executed now."""

    def _prepare(self, statement: Any) -> PlainStatement | None:
        if not isinstance(statement, (Select, Insert, Update, Delete)):
            return None
        dialect = self._engine.dialect
        if isinstance(statement, Insert):
            statement = statement.inline()  # what was not asked for, as the id of the new row, is not returned
        try:
            return PlainStatement(statement, statement.compile(dialect=dialect), dialect)
        except NotPlain:
            return None

    def _may(self) -> bool:
        """Whether there is an open connection, and nobody who has to hear of what is executed over it."""
        return self._pool.checkedin() > 0 and not self._is_heard()

    def _is_heard(self) -> bool:
        return bool(cast("Any", self._engine).dispatch.before_cursor_execute) and self.listened()

    def _lend(self) -> PoolProxiedConnection | None:
        """A connection of the pool; None if the one that it had must be opened anew first."""
        try:
            return self._pool.connect()
        except MissingGreenlet:
            return None

    def plain(self, statement: Executable) -> PlainStatement | None:
        """What the driver gets for a SELECT; None where SQLAlchemy must execute it."""
        return self._select(statement) if self._may() else None

    def at_once(self, statement: Executable, parameters: Mapping[str, Any]) -> Rows | None:
        """The rows of a SELECT that is read here and now (`graph.engines.sqlite.near`); None where it is not."""
        if self._near is None or not self._was_opened or self._is_heard():
            return None
        if (plain := self._select(statement)) is None:
            return None
        found = self._near.read(plain.text, plain.values(parameters))
        return None if found is None else plain.rows(found)

    def _select(self, statement: Executable) -> PlainStatement | None:
        return self._known(cast("Any", statement)) if isinstance(statement, Select) else None

    def _note_opened(self, *_: object) -> None:
        """Let reads at once begin: whoever opens a file first makes it, or restores it after a kill."""
        self._was_opened = True

    def close(self) -> None:
        """Close what reads at once."""
        if self._near is not None:
            self._near.close()

    async def read(self, plain: PlainStatement, parameters: Mapping[str, Any]) -> Rows | None:
        """The rows; None if there is no connection that works. Raises what SQLAlchemy raises."""
        values = plain.values(parameters)
        if (lent := self._lend()) is None:
            return None
        try:
            found = await self._driver.read(lent.dbapi_connection, plain.text, values)
        except Exception as error:
            if self._is_lost(lent, error):
                lent.invalidate(error)
                return None
            if isinstance(error, self._errors):
                raise self._told(error, plain.text, values) from error
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._abandon(lent)
            raise
        finally:
            lent.close()
        return plain.rows(found)

    async def transact(self, work: Callable[[Statements], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`; raises `NotPlain`, with nothing changed, where it must be done over SQLAlchemy.

        Raises what `work` and SQLAlchemy raise.
        """
        if not self._may() or (lent := self._lend()) is None:
            raise NotPlain

        def told(error: Exception, text: str, values: Sequence[Any]) -> BaseException:
            return self._told(error, text, values, lost=self._is_lost(lent, error))

        def begun(run: Run) -> Coroutine[Any, Any, T]:
            return work(PlainTransaction(run, self._known, self._engine.dialect, told))

        try:
            return await self._driver.transact(lent.dbapi_connection, begun)
        except DisconnectionError as error:
            lent.invalidate(error)
            raise NotPlain from error
        except Exception as error:
            if lost := self._is_lost(lent, error):
                lent.invalidate(error)
            if isinstance(error, self._errors):  # it was to begin, or to be committed
                raise self._told(error, "COMMIT", (), lost=lost) from error
            raise
        except (asyncio.CancelledError, GeneratorExit):
            self._abandon(lent)
            raise
        finally:
            lent.close()

    def member(self, work: Callable[[Statements], Coroutine[Any, Any, T]]) -> Member[T]:
        """`work` for `share`, on SQLite alone; raises `NotPlain` where somebody has to hear of it."""
        if self._is_heard():
            raise NotPlain
        return sqlite.member_of(lambda run: work(PlainTransaction(run, self._known, self._engine.dialect, self._told)))

    async def share(self, members: Sequence[Member[Any]]) -> None:
        """Do what `members` want on SQLite, in one transaction; each has its result or its error then.

        Raises what SQLAlchemy raises for the transaction itself, which has changed nothing.
        """
        if (lent := self._lend() if self._pool.checkedin() else None) is None:
            _leave(members)
            return
        try:
            await cast("sqlite.SqliteConnection", lent.dbapi_connection).transact(members)
        except Exception as error:
            if self._is_lost(lent, error):  # before anything was done over it
                lent.invalidate(error)
                _leave(members)
            elif isinstance(error, self._errors):  # it was to begin, or to be committed
                raise self._told(error, "COMMIT", ()) from error
            else:
                raise
        finally:
            lent.close()

    def _is_lost(self, lent: PoolProxiedConnection, error: Exception) -> bool:
        told = error.orig if isinstance(error, DBAPIError) else error
        return self._engine.dialect.is_disconnect(cast("Any", told), lent.dbapi_connection, None)

    def _abandon(self, lent: PoolProxiedConnection) -> None:
        if not self._driver.ends_abandoned:
            lent.invalidate()

    def _told(self, error: Exception, text: str, values: Sequence[Any], *, lost: bool = False) -> BaseException:
        """The exception that SQLAlchemy raises for the driver's."""
        dialect = self._engine.dialect
        base = dialect.loaded_dbapi.Error
        return DBAPIError.instance(text, tuple(values), error, base, dialect=dialect, connection_invalidated=lost)


def _leave(members: Sequence[Member[Any]]) -> None:
    """Leave what `members` want to SQLAlchemy."""
    for member in members:
        member.error = NotPlain()
