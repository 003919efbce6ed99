"""The boards that a process knows: read once, and kept in memory, because nearly nothing of a board ever changes.

What does change is read again: a board that was deleted, or whose season was reset, by another process. Whoever finds
that no index answers for the season that a board should be in reads the board anew (`refresh`), and `review` does it
for all that are known, every few seconds. Scores are not taken in by what is remembered here: SQL decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.leaderboard import queries
from graph.leaderboard.rules import is_slug

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.engines.database import Database
    from graph.leaderboard.records import BoardRecord


class Directory:
    """The boards, by slug and by number."""

    def __init__(self, database: Database) -> None:
        """Begin with no board known."""
        self._database = database
        self._boards: dict[str, BoardRecord] = {}

    async def boards(self) -> list[BoardRecord]:
        """All boards, by name."""
        async with self._database.session() as session:
            return await queries.boards(session)

    async def board(self, slug: str) -> BoardRecord | None:
        """The board with this slug."""
        if slug not in self._boards:
            if not is_slug(slug):  # and PostgreSQL knows no NUL
                return None
            async with self._database.session() as session:
                found = await queries.board(session, slug)
            if found is None:
                return None
            self._boards[slug] = found
        return self._boards[slug]

    async def boards_by_id(self, numbers: Iterable[int]) -> dict[int, BoardRecord]:
        """Those of the boards with these numbers that exist, from memory where all of them are known."""
        wanted = set(numbers)
        known = {board.id: board for board in self._boards.values()}
        if not wanted <= known.keys():
            self._boards |= {board.slug: board for board in await self.boards()}
            known = {board.id: board for board in self._boards.values()}
        return {number: known[number] for number in wanted & known.keys()}

    def forget(self, slug: str) -> None:
        """Read the board with this slug anew when it is asked for."""
        self._boards.pop(slug, None)

    async def refresh(self, session: AsyncSession, board: BoardRecord) -> BoardRecord | None:
        """A board as it is now; None when it was deleted."""
        found = await queries.board_by_id(session, board.id)
        if found is not None:
            self._boards[found.slug] = found
        elif (known := self._boards.get(board.slug)) is not None and known.id == board.id:
            del self._boards[board.slug]
        return found

    async def review(self) -> None:
        """Read what is known anew."""
        if not self._boards:
            return
        before = dict(self._boards)
        now = {board.slug: board for board in await self.boards()}
        for slug, board in before.items():
            if self._boards.get(slug) is not board:
                continue  # somebody learned of it while it was read
            if slug in now:
                self._boards[slug] = now[slug]
            else:
                del self._boards[slug]
