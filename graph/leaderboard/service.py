"""The leaderboards: boards, scores, ranks, seasons.

A score is safe once `submit` returns: it is committed in SQL, whatever happens to Redis. Ranks come from the index in
Redis, each answer from one script and hence of one instant; while there is no index they are counted in SQL, a few at a
time, and a submission's rank is None. It fails with `graph.errors.Unavailable` when SQL is away or too many callers
wait for it.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Self

from redis.exceptions import RedisError

from graph.leaderboard import moderation, writing
from graph.leaderboard.reading import LeaderboardReader
from graph.leaderboard.records import (
    BoardRecord,
    NewBoard,
    Outcome,
    Submission,
)
from graph.leaderboard.rules import checked, checked_key, checked_metadata, checked_score
from graph.leaderboard.seasons.departures import Departures
from graph.leaderboard.seasons.upkeep import EVERY, Upkeep
from graph.leaderboard.submission.outdating import Outdating
from graph.leaderboard.submission.submission import Submissions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.submission.outdating import Invalidate
    from graph.leaderboard.writing import Clock
    from graph.patterns.client import Client
    from graph.patterns.ranking import Submitted


class LeaderboardService(LeaderboardReader):
    """All operations on leaderboards. Use it as a context manager, which runs the upkeep in the background."""

    def __init__(
        self,
        database: Database,
        client: Client,
        *,
        prefix: str = "graph",
        upkeep: float = EVERY,
        clock: Clock | None = None,
        delegate: Callable[[], Awaitable[object]] | None = None,
        invalidate: Invalidate | None = None,
        remove_departed: bool = False,
    ) -> None:
        """Begin with no board known.

        `upkeep` is the pause between rounds of upkeep in seconds; with 0 there are none. `delegate` has
        `Upkeep.close_seasons` run elsewhere. `invalidate` invalidates what is cached under tags (`keys`). With
        `remove_departed`, deleted users lose their scores; otherwise the scores stay, under a player without a name.
        `clock` replaces the database's, for tests.
        """
        super().__init__(database, client, prefix=prefix, clock=clock)
        self.moved: Callable[[BoardRecord, str, Submitted | None], None] | None = None
        self._departures = Departures(database, self.indexes, self.directory, clock=clock, changed=self._left)
        self._remove_departed = remove_departed
        self.upkeep = Upkeep(
            database, self.indexes, self.directory, departures=self._departures, clock=clock, delegate=delegate
        )
        self._every = upkeep
        self._outdating = Outdating(client, invalidate) if invalidate is not None else None
        outdate = self._outdating.outdate if self._outdating is not None else None
        self.indexes.outdate = outdate
        self._submissions = Submissions(database, self.indexes, clock=clock, moved=self._tell, outdate=outdate)
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if self._every:
            self._task = asyncio.create_task(self.upkeep.run(self._every), name="leaderboard-upkeep")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await self._submissions.close()
        await self._departures.close()
        await self.indexes.close()
        if self._outdating is not None:
            await self._outdating.close()

    # --- boards ---

    async def boards(self) -> list[BoardRecord]:
        """Return all boards, sorted by name."""
        return await self.directory.boards()

    async def board(self, slug: str) -> BoardRecord | None:
        """Return the board that has this slug now; None if there is none."""
        return await self.directory.board(slug)

    async def known_board(self, slug: str) -> BoardRecord | None:
        """Do `board`; it may be one that another process has deleted or reset within the last seconds."""
        return await self.directory.known(slug)

    async def boards_by_id(self, numbers: Iterable[int]) -> dict[int, BoardRecord]:
        """Return those of the boards with these ids that exist now."""
        return await self.directory.boards_by_id(numbers)

    async def create_board(self, new: NewBoard) -> BoardRecord:
        """Create a board; raises `Invalid`, `Taken`."""
        checked(new)
        async with self._database.transaction() as session:
            created = await writing.create_board(session, new, self.now())
        await self._outdate(new.slug)
        return created

    async def delete_board(self, board: BoardRecord) -> None:
        """Delete a board and all its scores; raises `graph.errors.Missing` if it is gone already.

        No process shows it any more. The rows are deleted in the background.
        """
        async with self._database.transaction() as session:
            now = round(self.now().timestamp() * 1e6)
            seasons = await moderation.delete_board(await session.connection(), board, now)
        self.directory.forget(board.slug)
        await self._ended(board, [season.number for season in seasons])

    async def reset_season(self, board: BoardRecord) -> BoardRecord:
        """End the running season, archive its ranks, and begin the next one at once.

        Raises `graph.errors.Missing` for a board that was deleted.
        """
        async with self._database.transaction() as session:
            over, counting = await moderation.reset(await session.connection(), board, self._clock)
        self.directory.forget(board.slug)
        await self._ended(board, [over.number])
        return counting

    async def _ended(self, board: BoardRecord, numbers: Sequence[int]) -> None:
        """Drop the indexes of seasons that are over, so that no answer comes from them, and notify watchers."""
        for number in numbers:
            with contextlib.suppress(RedisError):  # the upkeep does it later
                await self.indexes.of(board, number).drop()
        await self._outdate(board.slug)
        self._tell(board, "", None)

    async def _outdate(self, slug: str) -> None:
        if self._outdating is not None:
            await self._outdating.outdate(slug)

    # --- submitting ---

    async def submit(
        self, board: BoardRecord, player: int, score: float, *, key: str | None = None, metadata: object = None
    ) -> Outcome:
        """Accept a score; for 30 days, the same `key` of the same player gets the first answer again.

        `metadata`, any JSON value, is stored with the score if the score counts. Raises
        `graph.errors.Missing` for an unknown player or board, `graph.errors.Invalid` for a score or a sum that is no
        finite number.
        """
        sent = Submission(board, player, checked_score(score), checked_key(key), checked_metadata(metadata))
        return await self._submissions.submit(sent)

    async def remove_score(self, board: BoardRecord, player: int) -> float | None:
        """Remove a player's score of the running season; returns the removed score, None if there was none.

        Raises `graph.errors.Missing` for a board that was deleted.
        """
        async with self._database.transaction() as session:
            removed = await moderation.remove_score(await session.connection(), board, player, self._clock)
        if removed is None:
            return None
        season, row, score = removed
        await self.indexes.remove(board, season.number, row)
        await self._outdate(board.slug)
        self._tell(board, row.player, None)
        return score

    # --- users who are deleted ---

    async def leaving(self, session: AsyncSession, player: int) -> None:
        """Take part in the transaction that deletes a user; call `left` after its commit."""
        if self._remove_departed:
            await self._departures.leaving(session, player)

    async def left(self, player: int) -> None:
        """Remove a deleted user's scores, if they are to be removed.

        It returns when they are gone, or after some seconds; what is left then is removed in the background.
        """
        if self._remove_departed:
            await self._departures.remove(player)

    async def _left(self, board: BoardRecord, player: str) -> None:
        await self._outdate(board.slug)
        self._tell(board, player, None)

    def _tell(self, board: BoardRecord, player: str, submitted: Submitted | None) -> None:
        if self.moved is not None:
            self.moved(board, player, submitted)

    async def rebuild(self, board: BoardRecord, *, on_progress: Callable[[int], None] | None = None) -> bool:
        """Rebuild the index of the running season; False while another process does."""
        return await self.indexes.rebuild(board, self.season(board).number, on_progress=on_progress)
