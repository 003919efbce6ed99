"""The page of a leaderboard, for everybody: ``/board/<slug>``.

It is a file, and all that it shows it asks of the GraphQL API; what is decided here is whether there is such a board.
That costs no request a query of its own: the slugs are read once a second at most, so a board is known a second after
it was made. While they cannot be read, or the server starts, nobody knows: then it is 503, and a page that says so.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING

from graph.endpoint.http import StaticPage

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.responses import Response
    from starlette.types import Scope

    from graph.leaderboard import LeaderboardService

_KNOWN = 1.0  # seconds
_AGAIN = 5  # seconds after which a browser is told to ask again
_PATIENCE = 30.0  # seconds after which SQL that says nothing counts as away
_UNKNOWN = {
    "title": "There is no such leaderboard",
    "text": "Its name is the last part of the address: is it spelled right? A deleted board does not come back.",
}
_AWAY = {"title": "The leaderboards are not there just now", "text": "The server cannot read them for the moment."}


class BoardPage:
    """The page, or the one that says that there is no such board, or that nobody can tell."""

    def __init__(self, folder: Path) -> None:
        """Read them from `folder`."""
        self._page = StaticPage(folder / "index.html")
        notice = folder / "notice.html"
        self._unknown = StaticPage(notice, words=_UNKNOWN)
        self._away = StaticPage(notice, words=_AWAY, headers={"Retry-After": str(_AGAIN)})
        self._slugs: frozenset[str] | None = None
        self._until = 0.0
        self._turn = asyncio.Lock()

    async def response(self, scope: Scope, slug: str, boards: LeaderboardService | None) -> Response:
        """The page of the board `slug`; `boards` is None while the server starts."""
        if boards is not None:
            await self._look(boards)
        if self._slugs is None:
            return self._away.response(scope, HTTPStatus.SERVICE_UNAVAILABLE)
        if slug in self._slugs:
            return self._page.response(scope)
        return self._unknown.response(scope, HTTPStatus.NOT_FOUND)

    async def _look(self, boards: LeaderboardService) -> None:
        clock = asyncio.get_running_loop().time
        async with self._turn:
            if clock() < self._until:
                return
            try:
                async with asyncio.timeout(_PATIENCE):
                    self._slugs = frozenset(board.slug for board in await boards.boards())
            except Exception:  # noqa: BLE001 - whatever SQL says, it is not that there is no such board
                self._slugs = None
            self._until = clock() + _KNOWN
