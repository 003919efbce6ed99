"""The boards that a process has in memory: read once, because a board hardly ever changes.

What can change is read again: another process may have deleted a board or reset its season. A reader that finds no
index for a board's season reads the board again (`refresh`), and `review` does so for all known boards every few
seconds. Accepting a score does not depend on what is remembered here: SQL decides.
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
    """The boards, by slug and by id."""

    def __init__(self, database: Database) -> None:
        """Start empty; boards are read from `database` when they are asked for."""
        self._database = database
        self._boards: dict[str, BoardRecord] = {}

    async def boards(self) -> list[BoardRecord]:
        """Return all boards, sorted by name."""
        async with self._database.session() as session:
            return await queries.boards(session)

    async def board(self, slug: str) -> BoardRecord | None:
        """Return the board with this slug; None if there is none."""
        if slug not in self._boards:
            if not is_slug(slug):  # and PostgreSQL refuses NUL
                return None
            async with self._database.session() as session:
                found = await queries.board(session, slug)
            if found is None:
                return None
            self._boards[slug] = found
        return self._boards[slug]

    async def boards_by_id(self, numbers: Iterable[int]) -> dict[int, BoardRecord]:
        """Return those of the boards with these ids that exist, from memory if all of them are known."""
        wanted = set(numbers)
        known = {board.id: board for board in self._boards.values()}
        if not wanted <= known.keys():
            self._boards |= {board.slug: board for board in await self.boards()}
            known = {board.id: board for board in self._boards.values()}
        return {number: known[number] for number in wanted & known.keys()}

    def forget(self, slug: str) -> None:
        """Forget the board with this slug, so that it is read again when asked for."""
        self._boards.pop(slug, None)

    async def refresh(self, session: AsyncSession, board: BoardRecord) -> BoardRecord | None:
        """Read a board again; None if it was deleted."""
        found = await queries.board_by_id(session, board.id)
        if found is not None:
            self._boards[found.slug] = found
        elif (known := self._boards.get(board.slug)) is not None and known.id == board.id:
            del self._boards[board.slug]
        return found

    async def review(self) -> None:
        """Read all known boards again."""
        if not self._boards:
            return
        before = dict(self._boards)
        now = {board.slug: board for board in await self.boards()}
        for slug, board in before.items():
            if self._boards.get(slug) is not board:
                continue  # it became known during the read
            if slug in now:
                self._boards[slug] = now[slug]
            else:
                del self._boards[slug]
