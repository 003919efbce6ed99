"""SQLite past SQLAlchemy: a read, and a whole transaction, in one trip to the connection's thread.

The work of a transaction awaits nothing but its statements. In the thread they are executed as it asks for them, so
that it never waits, and the event loop is woken once for all of them.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from graph.engines.sqlite.trips import Member

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Coroutine, Sequence

    from graph.engines.direct import Rows, Run
    from graph.engines.sqlite.driver import SqliteConnection

T = TypeVar("T")


class SqliteDirect:
    """A `graph.engines.direct.DirectDriver`."""

    ends_abandoned = True

    async def read(self, connection: SqliteConnection, text: str, values: Sequence[Any]) -> Rows:
        """Return the rows of a SELECT outside any transaction."""
        return await connection.read(text, values)

    async def transact(self, connection: SqliteConnection, work: Callable[[Run], Coroutine[Any, Any, T]]) -> T:
        """Do `work` in one trip, from BEGIN to COMMIT; RuntimeError if it awaits anything but its statements."""
        member = member_of(work)
        try:
            await connection.transact((member,))
        except asyncio.CancelledError:
            member.abandoned = True
            raise
        if member.error is not None:
            raise member.error
        return member.result


def member_of(work: Callable[[Run], Coroutine[Any, Any, T]]) -> Member[T]:
    """`work` for a transaction that it may share with others; its error is RuntimeError if it awaits anything else."""

    def do(raw: sqlite3.Connection) -> T:
        async def run(text: str, each: Rows) -> Rows:
            if not raw.in_transaction:  # SQLite gave it up, and the work went on: this would be committed by itself
                raise RuntimeError("a statement has ended the transaction by its failure")
            found: list[Any] = []
            for values in each:
                found += raw.execute(text, values)
            return found

        return _at_once(work(run))

    return Member(do)


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    try:
        work.send(None)
    except StopIteration as done:
        return done.value
    work.close()
    raise RuntimeError("what is done in SQLite's thread can wait for nothing but its statements")
