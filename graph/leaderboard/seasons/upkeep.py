"""Maintains the boards: closes seasons that are over, repairs indexes that fell behind, deletes old keys.

Every process checks every few seconds, with one small SELECT. Work that is found is done once:

- an index is swept by the process that gets the turn (`Indexes.sweep`);
- a season that is over is handed to a job (`delegate`), which a worker runs at a lower priority than requests. If it is
still open `PATIENCE` seconds after its end, because no worker runs or Redis is away, the process that notices it and
gets the turn closes it. If two processes do so anyway, SQL lets only one of them write (`archive`);
- the rows of a deleted board are deleted by the same job, or by the process that notices them if no job runs; and so
are the scores of a deleted user, if they are to be removed (`departures`);
- keys are deleted by `forget_keys`, which a job calls once an hour.

A failure with one board does not delay the others; it is tried again at the next check. A kind of failure is logged
when it begins, once for all boards.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from sqlalchemy import delete

from graph.leaderboard import moderation, queries
from graph.leaderboard.models import SUBMISSIONS
from graph.leaderboard.seasons import archive

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graph.engines.database import Database
    from graph.leaderboard.directory import Directory
    from graph.leaderboard.index import Indexes
    from graph.leaderboard.records import BoardRecord, SeasonRecord
    from graph.leaderboard.seasons.departures import Departures
    from graph.leaderboard.writing import Clock

EVERY = 5.0
PATIENCE = 20.0
KEYS_KEPT = 30 * 86400.0

logger = logging.getLogger(__name__)


class Upkeep:
    """One process's upkeep of all boards; `run` never returns."""

    def __init__(
        self,
        database: Database,
        indexes: Indexes,
        directory: Directory,
        *,
        departures: Departures,
        clock: Clock | None = None,
        delegate: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        """`delegate` has `close_seasons` run elsewhere, once for all processes that ask for it."""
        self._database = database
        self._indexes = indexes
        self._directory = directory
        self._departures = departures
        self._clock = clock or time.time
        self._delegate = delegate
        self._told: set[str] = set()

    async def run(self, every: float = EVERY) -> None:
        """Call `tick` every so many seconds."""
        while True:
            await asyncio.sleep(every * random.uniform(0.75, 1.25))  # noqa: S311 - spreads processes, no secret
            try:
                await self.tick()
            except Exception as error:  # noqa: BLE001 - SQL is away; the next round comes
                logger.warning("upkeep of the leaderboards is postponed: %r", error)

    async def tick(self) -> None:
        """Check all boards once, and do or delegate what is due."""
        await self._directory.review()
        gone = await self._gone()
        wanted = bool(gone) or bool(await self._departures.due())
        if wanted and self._delegate is None:
            await self._purge(gone)
            await self._departures.remove_due()
        trouble: set[str] = set()
        for season in await self._unfinished():
            late = self._late(season)
            wanted = wanted or late is not None
            try:
                if late is None:
                    await self._indexes.sweep(await self._board_of(season), season.number)
                elif (self._delegate is None or late > PATIENCE) and await self._turn(season):
                    await self._finish(season)
            except Exception as error:  # noqa: BLE001 - one board's trouble must not keep the others waiting
                kind = "Redis" if isinstance(error, RedisError) else repr(error)
                if kind not in self._told | trouble:
                    _put_off(season, error)
                trouble.add(kind)
        self._told = trouble
        if wanted and self._delegate is not None:
            await self._delegate()

    async def close_seasons(self) -> None:
        """Close seasons that are over and delete what deleted boards and users left; raises the last error, if any."""
        trouble: Exception | None = None
        for season in await self._unfinished():
            if self._late(season) is None:
                continue
            try:
                await self._finish(season)
            except Exception as error:  # noqa: BLE001 - as above
                _put_off(season, error)
                trouble = error
        await self._purge(await self._gone())
        await self._departures.remove_due()
        if trouble is not None:
            raise trouble

    async def _gone(self) -> list[tuple[BoardRecord, list[int]]]:
        async with self._database.session() as session:
            return await moderation.deleted_boards(session)

    async def _purge(self, boards: Sequence[tuple[BoardRecord, list[int]]]) -> None:
        for board, seasons in boards:
            for number in seasons:
                await self._indexes.of(board, number).drop()
            await moderation.purge(self._database, board)
            logger.info("board %s is deleted with all its rows", board.id)

    async def forget_keys(self) -> None:
        """Delete submission keys older than 30 days."""
        before = round((self._clock() - KEYS_KEPT) * 1e6)
        async with self._database.transaction() as session:
            await session.execute(delete(SUBMISSIONS).where(SUBMISSIONS.c.created_at < before))

    async def _unfinished(self) -> list[SeasonRecord]:
        async with self._database.session() as session:
            return await queries.unfinished(session)

    def _late(self, season: SeasonRecord) -> float | None:
        """Return for how many seconds a season has been over; None if it is running."""
        if season.ends_at is None:
            return None
        late = self._clock() - season.ends_at / 1e6
        return late if late >= 0 or season.state.frozen else None

    async def _board_of(self, season: SeasonRecord) -> BoardRecord:
        return (await self._directory.known_by_id([season.board_id]))[season.board_id]

    async def _turn(self, season: SeasonRecord) -> bool:
        """Whether it is this process's turn to finish a season; while Redis is away it always is, and SQL decides."""
        ranking = self._indexes.of(await self._board_of(season), season.number)
        try:
            return await ranking.turn("finish", archive.LEASE)
        except RedisError:
            return True

    async def _finish(self, season: SeasonRecord) -> None:
        board = await self._board_of(season)
        closed = season.state.frozen or await archive.close(self._database, season, board.ties, clock=self._clock)
        if not closed:
            return
        logger.info("season %s of %s is closed", season.number, board.slug)
        await self._indexes.of(board, season.number).drop()  # before `purge`, after which nothing refers to it
        await archive.purge(self._database, season)


def _put_off(season: SeasonRecord, error: Exception) -> None:
    logger.warning("upkeep of board %s, season %s, is postponed: %r", season.board_id, season.number, error)
