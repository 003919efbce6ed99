"""What an engine's driver does past SQLAlchemy: a read, and a transaction as a whole, without a greenlet.

The two are `graph.engines.sqlite.SqliteDirect` and `graph.engines.postgres.PostgresDirect`; `graph.engines.plain` makes
use of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine

T = TypeVar("T")

Rows: TypeAlias = Sequence[Sequence[Any]]
Run: TypeAlias = Callable[[str, Rows], Awaitable[Rows]]
"""Executes a text once for each row of values, and returns the rows that come of all."""


class DirectDriver(Protocol):
    """Uses connections of SQLAlchemy's adapter, which the caller has to itself; fails with what the adapter raises."""

    ends_abandoned: bool
    """Whether a statement that nobody waits for ends by itself; otherwise its connection is of no more use."""

    async def read(self, connection: Any, text: str, values: Sequence[Any]) -> Rows:
        """Return the rows of a SELECT outside any transaction."""
        ...

    async def transact(self, connection: Any, work: Callable[[Run], Coroutine[Any, Any, T]]) -> T:
        """Do `work` in a transaction that writes, from its beginning to its commit; if it fails, nothing has changed.

        Raises `sqlalchemy.exc.DisconnectionError` if the connection proved to be lost before anything was done.
        """
        ...
