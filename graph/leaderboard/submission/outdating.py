"""Invalidates cached answers that show a board before a score on it is acknowledged.

Such answers are cached under the board's tag and, where they show some ranks only, under those of these ranks
(`graph.leaderboard.keys`), else under the one of all ranks. A submission invalidates the ranks that it moved, or the
board's tag where these are not known, after its row is in the index, and is acknowledged after that. Submissions that
arrive during one invalidation share the next.

Failure: if Redis does not confirm the invalidation within `PATIENCE`, a submission is acknowledged anyway, and at once
while Redis is known to be away: the score is safe in SQL. The tags are invalidated as soon as Redis is back, and the
board's again when the index has the scores that it missed.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from graph.leaderboard.keys import board_tag, ranks_tag
from graph.patterns.client import RedisUnavailable
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Sequence

    from graph.patterns.client import Client

PATIENCE = 0.5
"""Seconds."""


class Invalidate(Protocol):
    """Gives tags new generations, and then those of `then`; raises `RedisUnavailable` and keeps trying."""

    def __call__(self, *tags: str, then: Sequence[str] = ()) -> Awaitable[None]:
        """Return when all are."""
        ...


class _Wave:
    """Submissions that share an invalidation."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[bool]] = []
        self.moved: set[str] | None = set()
        """The tags of the ranks that they moved; None if these are not known."""

    def add(self, moved: Iterable[str] | None) -> None:
        """Have one of them share it."""
        if moved is None:
            self.moved = None
        elif self.moved is not None:
            self.moved.update(moved)

    async def wait(self, seconds: float) -> bool:
        """Whether it was confirmed within so many seconds. It goes on if the caller is cancelled."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(future)
        timer = loop.call_later(seconds, _settle, future, False)  # noqa: FBT003 - of a callback
        try:
            return await future
        finally:
            timer.cancel()

    def end(self, *, confirmed: bool) -> None:
        """Tell all who wait."""
        for future in self._waiting:
            _settle(future, confirmed)


def _settle(future: asyncio.Future[bool], confirmed: bool) -> None:  # noqa: FBT001 - a callback
    if not future.done():
        future.set_result(confirmed)


class Outdating:
    """Invalidates the tags of boards; `close` it at the end."""

    def __init__(self, client: Client, invalidate: Invalidate) -> None:
        """`invalidate` over `client`."""
        self._client = client
        self._invalidate = invalidate
        self._next: dict[str, _Wave] = {}
        self._running: set[str] = set()
        self._tasks = Tasks()

    async def outdate(self, slug: str, moved: Iterable[str] | None = None) -> bool:
        """Return when what was cached of the board before this call is invalid; False where that failed, as above.

        That is everything or, where the tags of the ranks that `moved` are given, all that shows one of those.
        """
        wave = self._next.get(slug)
        if wave is None:
            wave = self._next[slug] = _Wave()
        wave.add(moved)
        if slug not in self._running:
            self._running.add(slug)
            self._tasks.spawn(self._run(slug))
        return await wave.wait(PATIENCE if self._client.connected else 0)

    async def _run(self, slug: str) -> None:
        try:
            while (wave := self._next.pop(slug, None)) is not None:
                confirmed = False
                with contextlib.suppress(RedisUnavailable):
                    if wave.moved is None:
                        await self._invalidate(board_tag(slug))
                    else:
                        await self._invalidate(ranks_tag(slug), then=sorted(wave.moved))
                    confirmed = True
                wave.end(confirmed=confirmed)
        finally:
            self._running.discard(slug)

    async def close(self) -> None:
        """Cancel the invalidations in progress."""
        await self._tasks.close()
