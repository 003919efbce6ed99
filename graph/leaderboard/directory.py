"""The boards that a process has in memory: read once, because a board hardly ever changes.

What can change is read again: another process may have deleted a board, reset its season, or made another board of that
slug. So who asks for a board by its slug gets one from memory only if it was read under the board's tag as it is now,
which an answer that may be kept depends on. For others (`known`, `known_by_id`) a reader that finds no index for a
board's season reads the board again (`refresh`), and `review` does so for all known boards every few seconds. Accepting
a score does not depend on what is remembered here: SQL decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.leaderboard import queries
from graph.leaderboard.keys import board_tag
from graph.leaderboard.rules import is_slug
from graph.patterns.cache import noted

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
        self._marks: dict[str, tuple[BoardRecord, bytes]] = {}  # under which mark of its tag a board was read

    async def boards(self) -> list[BoardRecord]:
        """Return all boards, sorted by name."""
        async with self._database.session() as session:
            return await queries.boards(session)

    async def board(self, slug: str) -> BoardRecord | None:
        """Return the board that has this slug now; None if there is none."""
        mark = noted(board_tag(slug))
        if mark is not None and (known := self._boards.get(slug)) and self._marks.get(slug) == (known, mark):
            return known
        return await self._read(slug, mark)

    async def known(self, slug: str) -> BoardRecord | None:
        """Return the board that had this slug some seconds ago, or has it now; None if there is none."""
        return self._boards.get(slug) or await self._read(slug, None)

    async def _read(self, slug: str, mark: bytes | None) -> BoardRecord | None:
        """Read a board; `mark` is one of its tag that was read before."""
        if not is_slug(slug):  # and PostgreSQL refuses NUL
            return None
        async with self._database.session() as session:
            found = await queries.board(session, slug)
        if found is None:
            self.forget(slug)
            return None
        self._boards[slug] = found
        if mark is not None:
            self._marks[slug] = (found, mark)
        return found

    async def boards_by_id(self, numbers: Iterable[int]) -> dict[int, BoardRecord]:
        """Return those of the boards with these ids that exist now."""
        async with self._database.session() as session:
            found = await queries.boards_by_id(session, numbers)
        self._boards |= {board.slug: board for board in found}
        return {board.id: board for board in found}

    async def known_by_id(self, numbers: Iterable[int]) -> dict[int, BoardRecord]:
        """Do `boards_by_id`, from memory if all of them are known: some may not be there, or have been reset."""
        wanted = set(numbers)
        known = {board.id: board for board in self._boards.values()}
        if not wanted <= known.keys():
            self._boards |= {board.slug: board for board in await self.boards()}
            known = {board.id: board for board in self._boards.values()}
        return {number: known[number] for number in wanted & known.keys()}

    def forget(self, slug: str) -> None:
        """Forget the board with this slug, so that it is read again when asked for."""
        self._boards.pop(slug, None)
        self._marks.pop(slug, None)

    async def refresh(self, session: AsyncSession, board: BoardRecord) -> BoardRecord | None:
        """Read a board again; None if it was deleted."""
        found = await queries.board_by_id(session, board.id)
        if found is not None:
            self._boards[found.slug] = found
        elif (known := self._boards.get(board.slug)) is not None and known.id == board.id:
            self.forget(board.slug)
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
                self.forget(slug)
