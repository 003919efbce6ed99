"""Whole transactions: each awaits nothing but its statements. On SQLite those that wait share one commit.

SQLite has one writer, and a commit waits for the disk. While one transaction is in the thread, others arrive; all of
them go in the next trip, each one's statements after the other's, as if they had been committed in that order. One that
fails has changed nothing, and the others notice nothing of it. PostgreSQL lets many write at a time, each over a
connection of its own, and groups their commits itself.

It fails with `NotPlain` where only SQLAlchemy can execute the statements, with `graph.errors.Unavailable`, and with
what the work and SQLAlchemy raise.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar, cast

from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from graph.engines.commits.groups import Groups
from graph.engines.failures import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from graph.engines.plain import PlainReader, Statements
    from graph.engines.sqlite import Member
    from graph.patterns.fair_queue import FairQueue

T = TypeVar("T")

LIMIT = 64
"""Most transactions that share a commit: about 10 ms of writing, unless they are large."""


class WholeTransactions:
    """The transactions of one database; `close` it at the end."""

    def __init__(self, plain: PlainReader, writer: FairQueue | None, connections: FairQueue) -> None:
        """Have `plain` execute them over one of `connections`.

        `writer` is the turn at SQLite's writer; None for PostgreSQL.
        """
        self._plain = plain
        self._writer = writer
        self._connections = connections
        self._groups: Groups[Member[Any], Any, Any] = Groups(self._commit, limit=LIMIT)

    async def transact(self, work: Callable[[Statements], Coroutine[Any, Any, T]], *, stays: bool = False) -> T:
        """Do `work`; it may be begun again after a first time that changed nothing.

        The caller `stays` if it is not cancelled meanwhile.
        """
        with unavailable(OSError, PoolTimeoutError):
            if self._writer is None:
                async with self._connections.place():
                    return await self._plain.transact(work)
            member = self._plain.member(work)
            try:
                add = self._groups.add_here if stays else self._groups.add
                return cast("T", await add(member))
            except asyncio.CancelledError:
                member.abandoned = True
                raise

    async def _commit(self, members: Sequence[Member[Any]]) -> list[Any]:
        assert self._writer is not None
        with unavailable(OSError, PoolTimeoutError):
            async with self._writer.place(), self._connections.place():
                await self._plain.share(members)
        return [member.result if member.error is None else member.error for member in members]

    async def close(self) -> None:
        """Stop; waiting callers are cancelled, and do not know the outcome, as after a crash."""
        await self._groups.close()
