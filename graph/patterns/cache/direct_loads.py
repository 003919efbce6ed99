"""Loads that cannot be shared through Redis, because it is away or a writer holds a tag.

At most `limit` loads run at a time. Callers of one key share a load, but only one that has not begun yet: a caller that
joined a running load could get a value older than a write acknowledged before the call. So a key has at most one load
running and one waiting, however many readers there are, and apart from the limit a reader waits for at most two loads.
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

Load: TypeAlias = "Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]"
"""Returns the values of the requested keys; a key that is left out does not exist."""

_inside: ContextVar[bool] = ContextVar("inside_direct_load", default=False)


class DirectLoads:
    """Runs loads, coalesced and limited in number."""

    def __init__(self, limit: int) -> None:
        """Run at most `limit` loads at a time; what a load loads in turn is not counted again."""
        self._slots = asyncio.Semaphore(limit)
        self._queued: dict[str, asyncio.Future[Any]] = {}
        self._running: dict[str, asyncio.Future[Any]] = {}
        self._tasks = Tasks()

    async def load(self, keys: Sequence[str], load: Load) -> dict[str, Any]:
        """The values of `keys`, loaded after this call; raises what `load` raises. Cancelling does not stop it."""
        futures: dict[str, asyncio.Future[Any]] = {}
        mine: list[str] = []
        for key in keys:
            if key not in self._queued:
                self._queued[key] = asyncio.get_running_loop().create_future()
                mine.append(key)
            futures[key] = self._queued[key]
        if mine:
            self._tasks.spawn(self._run(mine, load))
        return {key: await asyncio.shield(future) for key, future in futures.items()}

    async def _run(self, keys: list[str], load: Load) -> None:
        mine = {key: self._queued[key] for key in keys}
        try:
            if before := [self._running[key] for key in keys if key in self._running]:
                await asyncio.wait(before)
            if _inside.get():
                await self._begin(mine, load)
            else:
                _inside.set(True)
                async with self._slots:
                    await self._begin(mine, load)
        finally:
            for key, future in mine.items():
                if self._queued.get(key) is future:
                    del self._queued[key]
                if self._running.get(key) is future:
                    del self._running[key]
                future.cancel()

    async def _begin(self, mine: dict[str, asyncio.Future[Any]], load: Load) -> None:
        for key, future in mine.items():
            del self._queued[key]
            self._running[key] = future
        try:
            values = await load(list(mine))
        except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to those who wait
            for future in mine.values():
                future.set_exception(error)
                future.exception()  # mark it retrieved, in case nobody waits any more
        else:
            for key, future in mine.items():
                future.set_result(values.get(key))

    async def close(self) -> None:
        """Stop all work in progress."""
        await self._tasks.close()
