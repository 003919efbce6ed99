"""Invalidates cached answers that show a board before a score on it is acknowledged.

Such answers are cached under the board's tag. A submission invalidates the tag after its row is in the index, and is
acknowledged after that. Submissions that arrive during one invalidation share the next: one script for any number of
them.

Failure: if Redis does not confirm the invalidation within `PATIENCE`, a submission is acknowledged anyway, and at once
while Redis is known to be away: the score is safe in SQL. The tag is invalidated as soon as Redis is back, and again
when the index has the scores that it missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from graph.leaderboard.keys import board_tag
from graph.patterns.client import RedisUnavailable
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.patterns.client import Client

PATIENCE = 0.5
"""Seconds."""


class Outdating:
    """Invalidates the tags of boards; `close` it at the end."""

    def __init__(self, client: Client, invalidate: Callable[[str], Awaitable[None]]) -> None:
        """`invalidate` gives a tag a new generation over `client`, or raises `RedisUnavailable` and keeps trying."""
        self._client = client
        self._invalidate = invalidate
        self._next: dict[str, asyncio.Future[None]] = {}
        self._running: set[str] = set()
        self._tasks = Tasks()

    async def outdate(self, slug: str) -> None:
        """Return when everything cached of the board before this call is invalid; see the module about failure."""
        waiting = self._next.get(slug)
        if waiting is None:
            waiting = self._next[slug] = asyncio.get_running_loop().create_future()
        if slug not in self._running:
            self._running.add(slug)
            self._tasks.spawn(self._run(slug))
        await asyncio.wait((waiting,), timeout=PATIENCE if self._client.connected else 0)

    async def _run(self, slug: str) -> None:
        try:
            while (waiting := self._next.pop(slug, None)) is not None:
                with contextlib.suppress(RedisUnavailable):
                    await self._invalidate(board_tag(slug))
                waiting.set_result(None)
        finally:
            self._running.discard(slug)

    async def close(self) -> None:
        """Cancel the invalidations in progress."""
        await self._tasks.close()
