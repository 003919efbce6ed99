"""Removes every score of a deleted user, from all seasons of all boards, if an operator wants that.

The transaction that deletes the user notes it (`leaving`); after its commit no score of the user is accepted any more,
because a submission locks the user's row and finds it deleted. So what remains to be removed can only shrink: `remove`
goes through the seasons, each in its own transaction, takes the player out of the index, invalidates cached answers and
notifies watchers, and at last deletes the note. It may be repeated and run twice at once; what is left after a failure
is done by the boards' upkeep.

In a finished season the other players keep the ranks they ended with; the place stays empty.
"""

from __future__ import annotations

import asyncio
import logging
import time
from functools import partial
from typing import TYPE_CHECKING

from graph.leaderboard import moderation
from graph.leaderboard.records import SeasonState, player_key
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.directory import Directory
    from graph.leaderboard.index import Indexes
    from graph.leaderboard.records import BoardRecord, SeasonRecord
    from graph.leaderboard.writing import Clock

PATIENCE = 5.0
"""Seconds that a caller waits; the work goes on after that."""

logger = logging.getLogger(__name__)


class Departures:
    """Removes players' scores; `close` it at the end."""

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        directory: Directory,
        *,
        clock: Clock | None,
        changed: Callable[[BoardRecord, str], Awaitable[None]],
    ) -> None:
        """`changed` is awaited for every board that a player was taken out of, with the player's key."""
        self._database = database
        self._indexes = indexes
        self._directory = directory
        self._clock = clock
        self._changed = changed
        self._tasks = Tasks()

    async def close(self) -> None:
        """Cancel the removals in progress, which the upkeep continues."""
        await self._tasks.close()

    async def leaving(self, session: AsyncSession, player: int) -> None:
        """Note, in the transaction that deletes a user, that the scores are to be removed."""
        await moderation.depart(session, player)

    async def remove(self, player: int) -> None:
        """Remove the scores of a user who was noted; returns when that is done, or after `PATIENCE` seconds."""
        work = self._tasks.spawn(self._remove(player), name=f"departure-{player}")
        work.add_done_callback(partial(_tell, player))
        await asyncio.wait((work,), timeout=PATIENCE)

    async def due(self) -> list[int]:
        """Return the deleted users whose scores are still to be removed."""
        async with self._database.session() as session:
            return await moderation.departed(session)

    async def remove_due(self) -> None:
        """Remove the scores of everybody who was noted; raises `Unavailable`."""
        for player in await self.due():
            await self._remove(player)

    async def _remove(self, player: int) -> None:
        async with self._database.session() as session:
            seasons = await moderation.played(session, player)
        boards = await self._directory.known_by_id({season.board_id for season in seasons})
        touched: dict[int, BoardRecord] = {}
        for season in seasons:
            board = boards.get(season.board_id)
            await self._forget(season, board, player)
            if board is not None:
                touched[board.id] = board
        for board in touched.values():
            await self._changed(board, player_key(player))
        async with self._database.transaction() as session:
            await moderation.forgotten(session, player)
        logger.info("the scores of player %s are removed", player)

    async def _forget(self, season: SeasonRecord, board: BoardRecord | None, player: int) -> None:
        now = round((self._clock or time.time)() * 1e6)
        async with self._database.transaction() as session:
            row = await moderation.forget(await session.connection(), season, player, now)
        if row is not None and board is not None and season.state is SeasonState.OPEN:
            await self._indexes.remove(board, season.number, row)


def _tell(player: int, work: asyncio.Task[None]) -> None:
    if not work.cancelled() and (error := work.exception()) is not None:
        logger.warning("removing the scores of player %s is postponed: %r", player, error)
