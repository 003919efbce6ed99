"""What executes the statements of a transaction past SQLAlchemy's execution.

A coroutine that awaits nothing but its statements does not care who executes them: here it is the driver, in the thread
of SQLite or over the connection of PostgreSQL. Statements fail with what SQLAlchemy raises for them, and with
`NotPlain` where only SQLAlchemy can execute one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.engines.plain.statement import NotPlain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.engine.interfaces import Dialect
    from sqlalchemy.ext.asyncio import AsyncConnection

    from graph.engines.direct import Run
    from graph.engines.plain.statement import PlainStatement

Statements: TypeAlias = "AsyncConnection | PlainTransaction"
"""What executes the statements of a transaction."""


class PlainRows(list[Any]):
    """The rows of a statement, with what is used of SQLAlchemy's result."""

    def all(self) -> list[Any]:
        """All rows."""
        return self

    def one_or_none(self) -> Any:
        """The only row; None if there is none."""
        assert len(self) <= 1
        return self[0] if self else None

    def scalar_one(self) -> Any:
        """The only value."""
        ((value,),) = self
        return value


class PlainTransaction:
    """Executes statements; each method has its counterpart in SQLAlchemy's `AsyncConnection`."""

    def __init__(
        self,
        run: Run,
        known: Callable[[Any], PlainStatement | None],
        dialect: Dialect,
        told: Callable[[Exception, str, Any], BaseException],
    ) -> None:
        """Let `run` execute what is `known`; `told` gives SQLAlchemy's exception for the driver's."""
        self._run = run
        self._known = known
        self._told = told
        self._errors = dialect.loaded_dbapi.Error
        self.dialect = dialect

    async def execute(
        self, statement: Any, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> PlainRows:
        """Run a statement, once for each of several `parameters`."""
        known = self._known(statement)
        if known is None:
            raise NotPlain
        each = (parameters or {},) if parameters is None or isinstance(parameters, Mapping) else parameters
        values = [known.values(given) for given in each]
        try:
            found = await self._run(known.text, values)
        except self._errors as error:
            raise self._told(error, known.text, values[0] if len(values) == 1 else values) from error
        return PlainRows(known.named(found))

    async def scalars(
        self, statement: Any, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> PlainRows:
        """The first value of each row."""
        return PlainRows(row[0] for row in await self.execute(statement, parameters))
