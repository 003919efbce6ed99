"""The connection of work that is done in SQLite's thread, a whole transaction in one trip.

A coroutine that awaits nothing but its connection does not care who executes its statements. Here they are executed as
they are asked for, in the thread, so that it never waits, and the event loop is woken once for all of them.

It fails with what the driver raises, and with `NotPlain` for a statement that only SQLAlchemy can execute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Coroutine, Sequence

    from sqlalchemy.engine.interfaces import Dialect

T = TypeVar("T")


class NotPlain(Exception):
    """Only SQLAlchemy knows how the statement is executed."""


class KnownStatement(Protocol):
    """A statement as the driver takes it: `graph.engines.plain.PlainStatement`."""

    @property
    def text(self) -> str:
        """The text."""
        ...

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the text."""
        ...

    def named(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        """The rows that the driver found, their values converted and named."""
        ...


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
    """Executes statements at once; each method has its counterpart in SQLAlchemy's `AsyncConnection`."""

    def __init__(
        self, connection: sqlite3.Connection, known: Callable[[Any], KnownStatement | None], dialect: Dialect
    ) -> None:
        """Execute on `connection` what is `known`."""
        self._connection = connection
        self._known = known
        self.dialect = dialect
        self.last: tuple[str, list[Any]] = ("COMMIT", [])
        """The statement that was executed last, and its values."""

    async def execute(
        self, statement: Any, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> PlainRows:
        """Run a statement, once for each of several `parameters`."""
        known = self._known(statement)
        if known is None:
            raise NotPlain
        run, text = self._connection.execute, known.text
        found: list[Any] = []
        each = (parameters or {},) if parameters is None or isinstance(parameters, Mapping) else parameters
        for given in each:
            values = known.values(given)
            self.last = text, values
            found += run(text, values)
        self.last = "COMMIT", []
        return PlainRows(known.named(found))

    async def scalars(
        self, statement: Any, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> PlainRows:
        """The first value of each row."""
        return PlainRows(row[0] for row in await self.execute(statement, parameters))


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which awaits nothing that has to be waited for."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise RuntimeError("what is done in SQLite's thread can wait for nothing but its statements")
