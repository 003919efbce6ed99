"""Loads that cannot be shared through Redis, because it is away or a writer holds a tag.

At most `limit` loads run at a time. Callers of one key share a load, but only one that has not begun yet: a caller that
joined a running load could get a value older than a write acknowledged before the call. So a key has at most one load
running and one waiting, however many readers there are, and apart from the limit a reader waits for at most two loads.
Callers take turns within the limit, and none has more than half of it (`graph.patterns.fair_queue`).
"""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from graph.patterns.fair_queue import FairQueue, Sharers
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

Load: TypeAlias = "Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]"
"""Returns the values of the requested keys; a key that is left out does not exist."""

_inside: ContextVar[bool] = ContextVar("inside_direct_load", default=False)


class _Load(NamedTuple):
    """The load of a key, for those who wait for it."""

    value: asyncio.Future[Any]
    sharers: Sharers


class DirectLoads:
    """Runs loads, coalesced and limited in number."""

    def __init__(self, limit: int) -> None:
        """Run at most `limit` loads at a time; what a load loads in turn is not counted again."""
        self._slots = FairQueue(limit, max(1, limit // 2))
        self._queued: dict[str, _Load] = {}
        self._running: dict[str, _Load] = {}
        self._tasks = Tasks()

    async def load(self, keys: Sequence[str], load: Load) -> dict[str, Any]:
        """The values of `keys`, loaded after this call; raises what `load` raises. Cancelling does not stop it."""
        loads: dict[str, _Load] = {}
        mine: dict[str, asyncio.Future[Any]] = {}
        sharers = Sharers()
        for key in keys:
            if (queued := self._queued.get(key)) is None:
                mine[key] = asyncio.get_running_loop().create_future()
                queued = self._queued[key] = _Load(mine[key], sharers)
            else:
                queued.sharers.join()
            if (running := self._running.get(key)) is not None:  # it is waited for first
                running.sharers.join()
            loads[key] = queued
        if mine:
            self._tasks.spawn(self._run(mine, sharers, load))
        return {key: await asyncio.shield(one.value) for key, one in loads.items()}

    async def _run(self, mine: dict[str, asyncio.Future[Any]], sharers: Sharers, load: Load) -> None:
        sharers.work()
        try:
            if before := [self._running[key].value for key in mine if key in self._running]:
                await asyncio.wait(before)
            if _inside.get():
                await self._begin(mine, load)
            else:
                _inside.set(True)
                async with self._slots.place():
                    await self._begin(mine, load)
        finally:
            for key, future in mine.items():
                for where in (self._queued, self._running):
                    if key in where and where[key].value is future:
                        del where[key]
                future.cancel()

    async def _begin(self, mine: dict[str, asyncio.Future[Any]], load: Load) -> None:
        for key in mine:
            self._running[key] = self._queued.pop(key)
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
