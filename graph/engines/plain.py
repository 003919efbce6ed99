"""Reads rows as the driver has them, past SQLAlchemy's execution: for statements that are run again and again.

SQLAlchemy says what a statement is (`PlainStatement`): its text, its parameters in order, and what has to be done to
values on their way in and out. That is asked once for each statement object and kept. What is left for a read is to
take a connection from SQLAlchemy's pool, send the text and the values, and convert the columns that need it: no
greenlet, no compiled cache, no result object.

`Database.rows` gives the same rows so as `Database.execute`, as tuples or lists, under the same time-outs and turns,
and fails alike. Left to that is what is not known here: PostgreSQL, statements whose text depends on the parameters
(`IN`), engines that somebody listens to (traces), a pool that has to open a connection first.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import Select
from sqlalchemy.exc import DBAPIError, MissingGreenlet

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Engine, Executable
    from sqlalchemy.engine.interfaces import Dialect
    from sqlalchemy.pool import PoolProxiedConnection, QueuePool

    from graph.engines.sqlite import SqliteConnection

_KEPT = 1024
"""Statements that are kept, of which each has a few kilobytes."""


class _Parameter(NamedTuple):
    """What a place in the text gets: the value of this name, or else `default`."""

    name: str
    default: Any
    required: bool
    process: Callable[[Any], Any] | None


class PlainStatement:
    """A SELECT as a driver of SQLite takes it."""

    __slots__ = ("_parameters", "_processors", "text")

    def __init__(self, statement: Any, compiled: Any, dialect: Dialect) -> None:
        """Keep what `compiled`, which was made of the SELECT `statement`, says of it."""
        self.text = str(compiled)
        binds = compiled.binds
        self._parameters = tuple(
            _Parameter(name, binds[name].value, binds[name].required, _inwards(binds[name], dialect))
            for name in compiled.positiontup or ()
        )
        outwards = [_outwards(column, dialect) for column in statement.selected_columns]
        self._processors = [(place, one) for place, one in enumerate(outwards) if one is not None]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the text; raises `KeyError` for one that is missing."""
        values: list[Any] = []
        for name, default, required, process in self._parameters:
            value = given[name] if required or name in given else default
            values.append(value if process is None else process(value))
        return values

    def rows(self, found: Sequence[tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
        """The rows that the driver `found`, with the values that their columns are declared to have."""
        if not self._processors:
            return found
        rows = [list(row) for row in found]
        for place, process in self._processors:
            for row in rows:
                row[place] = process(row[place])
        return rows


def _inwards(bind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    return bind.type.dialect_impl(dialect).bind_processor(dialect)


def _outwards(column: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    return column.type.dialect_impl(dialect).result_processor(dialect, None)


class PlainReader:
    """Reads from one engine; use `graph.engines.database.Database.plain`."""

    def __init__(self, engine: Engine) -> None:
        """Take connections of `engine`."""
        self._engine = engine
        self._pool = cast("QueuePool", engine.pool)
        self._known = lru_cache(maxsize=_KEPT)(self._prepare)
        self._able = engine.dialect.name == "sqlite"

    def _prepare(self, statement: Any) -> PlainStatement | None:
        dialect = self._engine.dialect
        compiled = statement.compile(dialect=dialect)
        if compiled.post_compile_params or compiled.literal_execute_params:
            return None
        return PlainStatement(statement, compiled, dialect)

    def plain(self, statement: Executable) -> PlainStatement | None:
        """What the driver gets for `statement`; None where SQLAlchemy must execute it."""
        if not self._able or not isinstance(statement, Select) or self._pool.checkedin() == 0:
            return None
        heard = cast("Any", self._engine).dispatch.before_cursor_execute
        return None if heard else self._known(cast("Any", statement))

    async def read(self, plain: PlainStatement, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]] | None:
        """The rows; None if there is no open connection. Raises what SQLAlchemy raises."""
        values = plain.values(parameters)
        try:
            lent: PoolProxiedConnection = self._pool.connect()
        except MissingGreenlet:  # the one that was lent had to be opened anew
            return None
        try:
            connection = cast("SqliteConnection", lent.dbapi_connection)
            found = await connection.read(plain.text, values)
        except sqlite3.Error as error:
            raise self._told(error, plain, values, lent) from error
        finally:
            lent.close()
        return plain.rows(found)

    def _told(
        self, error: sqlite3.Error, plain: PlainStatement, values: list[Any], lent: PoolProxiedConnection
    ) -> BaseException:
        """The exception that SQLAlchemy raises for the driver's."""
        dialect = self._engine.dialect
        gone = dialect.is_disconnect(cast("Any", error), None, None)
        if gone:
            lent.invalidate(error)
        return DBAPIError.instance(
            plain.text, tuple(values), error, sqlite3.Error, dialect=dialect, connection_invalidated=gone
        )
