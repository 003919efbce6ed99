"""Reads rows as the driver has them, past SQLAlchemy's execution: for statements that are run again and again.

SQLAlchemy says what a statement is (`PlainStatement`): its text, its parameters in order, and what has to be done to
values on their way in and out. That is asked once for each statement object and kept. What is left for a read is to
take a connection from SQLAlchemy's pool, send the text and the values, and convert the columns that need it: no
greenlet, no compiled cache, no result object.

`Database.rows` gives the same rows so as `Database.execute`, as tuples or lists, under the same time-outs and turns,
and fails alike. Left to that is what is not known here: statements whose text depends on the parameters (`IN`), columns
that are text, types that convert by what the database says of a column (numbers with decimals, on PostgreSQL),
statements that somebody listens to (traces), a pool that has to open a connection first.

A connection to PostgreSQL is not tried before it is lent, which would be a trip more. If it proves to be lost,
SQLAlchemy reads once more, over one that it has tried: a SELECT outside any transaction may be repeated.
"""

from __future__ import annotations

import asyncio
from collections import namedtuple
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar, cast

from sqlalchemy import Insert, Select, Update
from sqlalchemy.exc import DBAPIError, MissingGreenlet

from graph.engines import postgres, sqlite
from graph.engines.sqlite import NotPlain, PlainTransaction, at_once

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence

    from sqlalchemy import Engine, Executable
    from sqlalchemy.engine.interfaces import Dialect
    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.pool import PoolProxiedConnection, QueuePool

T = TypeVar("T")

Statements: TypeAlias = "AsyncConnection | PlainTransaction"
"""What executes the statements of a transaction."""

_KEPT = 1024
"""Statements that are kept, of which each has a few kilobytes."""

_READS: dict[str, Callable[[Any, str, Sequence[Any]], Awaitable[Sequence[Sequence[Any]]]]] = {
    "sqlite": sqlite.SqliteConnection.read,
    "postgresql": postgres.read,
}
"""How a SELECT is run outside any transaction, without a greenlet: as the connection's exceptions have it."""


def padded(items: Sequence[T]) -> list[T]:
    """`items`, of which there is one at least, and the last of them again and again, up to a power of two.

    So that a statement with a parameter for each of them has few texts, of which each is prepared once.
    """
    return [*items, *[items[-1]] * ((1 << (len(items) - 1).bit_length()) - len(items))]


class _Parameter(NamedTuple):
    """What a place in the text gets: the value of this name, or else `default`."""

    name: str
    default: Any
    required: bool
    process: Callable[[Any], Any] | None


class _Unsaid:
    """Stands for the type that the database says a column has, which is known once it was read."""

    def __eq__(self, other: object) -> bool:
        raise NotPlain

    __hash__ = cast("Any", __eq__)


class PlainStatement:
    """A statement as the driver takes it: a SELECT, or one that changes rows."""

    __slots__ = ("_parameters", "_processors", "_row", "text")

    def __init__(self, statement: Any, compiled: Any, dialect: Dialect) -> None:
        """Keep what `compiled`, which was made of `statement`, says of it; raises `NotPlain`."""
        self.text = str(compiled)
        binds = compiled.binds
        reads = isinstance(statement, Select)
        columns: Any = statement.selected_columns if reads else statement.exported_columns
        if (
            compiled.post_compile_params
            or compiled.literal_execute_params
            or any(bind.callable is not None for bind in binds.values())
            or (reads and len(cast("Any", statement).column_descriptions) != len(columns))
        ):
            raise NotPlain
        self._parameters = tuple(
            _Parameter(name, binds[name].value, binds[name].required, _inwards(binds[name], dialect))
            for name in compiled.positiontup or ()
        )
        outwards = [_outwards(column, dialect) for column in columns]
        self._row: Any = cast("Any", namedtuple)("Row", columns.keys(), rename=True)  # noqa: PYI024 - no types are known
        self._processors = [(place, one) for place, one in enumerate(outwards) if one is not None]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the text; raises `KeyError` for one that is missing."""
        values: list[Any] = []
        for name, default, required, process in self._parameters:
            value = given[name] if required or name in given else default
            values.append(value if process is None else process(value))
        return values

    def rows(self, found: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """The rows that the driver `found`, with the values that their columns are declared to have."""
        if not self._processors:
            return found
        rows = [list(row) for row in found]
        for place, process in self._processors:
            for row in rows:
                row[place] = process(row[place])
        return rows

    def named(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        """The same rows, with the names of their columns."""
        return list(map(self._row._make, self.rows(found)))


def _inwards(bind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    return bind.type.dialect_impl(dialect).bind_processor(dialect)


def _outwards(column: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    return column.type.dialect_impl(dialect).result_processor(dialect, _Unsaid())


class PlainReader:
    """Reads from one engine; use `graph.engines.database.Database.rows`."""

    def __init__(self, engine: Engine) -> None:
        """Take connections of `engine`."""
        self._engine = engine
        self._pool = cast("QueuePool", engine.pool)
        self._known = lru_cache(maxsize=_KEPT)(self._prepare)
        self._fetch = _READS[engine.dialect.name]
        self._again = engine.dialect.name == "postgresql"
        self.listened: Callable[[], bool] = lambda: True
        """Whether those who listen to the engine want to hear of what is read now."""

    def _prepare(self, statement: Any) -> PlainStatement | None:
        if not isinstance(statement, (Select, Insert, Update)):
            return None
        dialect = self._engine.dialect
        try:
            return PlainStatement(statement, statement.compile(dialect=dialect), dialect)
        except NotPlain:
            return None

    def plain(self, statement: Executable) -> PlainStatement | None:
        """What the driver gets for `statement`; None where SQLAlchemy must execute it."""
        if not isinstance(statement, Select) or self._pool.checkedin() == 0:
            return None
        heard = cast("Any", self._engine).dispatch.before_cursor_execute
        return None if heard and self.listened() else self._known(cast("Any", statement))

    async def read(self, plain: PlainStatement, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]] | None:
        """The rows; None if there is no connection that works. Raises what SQLAlchemy raises."""
        values = plain.values(parameters)
        dialect = self._engine.dialect
        try:
            lent: PoolProxiedConnection = self._pool.connect()
        except MissingGreenlet:  # the one that was lent had to be opened anew
            return None
        try:
            found = await self._fetch(lent.dbapi_connection, plain.text, values)
        except (dialect.loaded_dbapi.Error, OSError) as error:
            gone = dialect.is_disconnect(cast("Any", error), lent.dbapi_connection, None)
            if gone:
                lent.invalidate(error)
                if self._again:
                    return None
            if isinstance(error, OSError):
                raise
            raise self._told(error, plain.text, values, gone=gone) from error
        except (asyncio.CancelledError, GeneratorExit):
            if self._again:  # the server still answers the statement that nobody waits for
                lent.invalidate()
            raise
        finally:
            lent.close()
        return plain.rows(found)

    async def transact(self, work: Callable[[Statements], Coroutine[Any, Any, T]]) -> tuple[T] | None:
        """The result of `work`, done on SQLite in one trip; None, with nothing changed, where it takes several.

        Raises what `work` and SQLAlchemy raise.
        """
        heard = cast("Any", self._engine).dispatch.before_cursor_execute
        if self._again or self._pool.checkedin() == 0 or (heard and self.listened()):
            return None
        dialect = self._engine.dialect
        statements: list[PlainTransaction] = []

        def do(connection: sqlite3.Connection) -> T:
            statements.append(PlainTransaction(connection, self._known, dialect))
            return at_once(work(statements[0]))

        try:
            lent: PoolProxiedConnection = self._pool.connect()
        except MissingGreenlet:
            return None
        try:
            return (await cast("sqlite.SqliteConnection", lent.dbapi_connection).transact(do),)
        except NotPlain:
            return None
        except dialect.loaded_dbapi.Error as error:
            gone = dialect.is_disconnect(cast("Any", error), lent.dbapi_connection, None)
            if gone:
                lent.invalidate(error)
            text, values = statements[0].last if statements else ("BEGIN IMMEDIATE", [])
            raise self._told(error, text, values, gone=gone) from error
        finally:
            lent.close()

    def _told(self, error: Exception, text: str, values: list[Any], *, gone: bool) -> BaseException:
        """The exception that SQLAlchemy raises for the driver's."""
        dialect = self._engine.dialect
        base = dialect.loaded_dbapi.Error
        return DBAPIError.instance(text, tuple(values), error, base, dialect=dialect, connection_invalidated=gone)
