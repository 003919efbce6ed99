"""Loads that are not shared through Redis: it is away, a writer holds a tag, or the result has a lease of its own.

The first two are `DirectLoads`.
At most `limit` loads run at a time. Callers of one key share a load, but only one that has not begun yet: a caller that
joined a running load could get a value older than a write acknowledged before the call. So a key has at most one load
running and one waiting, however many readers there are, and apart from the limit a reader waits for at most two loads.
Callers take turns within the limit, and none has more than half of it (`graph.patterns.fair_queue`).

For a result that has a lease of its own (`load_unstored`) nothing is stored besides. Whoever makes the result awaits
the loader itself: no flight, no task, no lease. What was loaded for it once serves all of its reads of that key, as
long as the generations are the same (`Observation.loads`). Two results share nothing, so that nobody waits for the
backlog of another's caller. What the loader raises is raised to every read that waits for it, and a later one loads
again. So do those that waited for a read that was cancelled.
"""

from __future__ import annotations

import asyncio
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from graph.patterns.cache import metrics
from graph.patterns.cache.flight import passed_on
from graph.patterns.cache.generations import stamp_of
from graph.patterns.fair_queue import FairQueue, Sharers
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.patterns.cache.codec import JsonCodec
    from graph.patterns.cache.flight import Known, Load, Marks, Request

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


# --- for a result that has a lease of its own ---

Loads: TypeAlias = "dict[tuple[str, bytes], asyncio.Future[Known]]"
"""What was loaded for one result, or is being loaded, by key and stamp."""

_LOADED = metrics.LOADS.labels("miss")


async def load_unstored(
    request: Request, marks: Mapping[str, Marks], codec: JsonCodec, loads: Loads
) -> dict[str, Known | Exception]:
    """The values of the keys of `marks`, loaded under these; or why there is none."""
    names = {key: (key, stamp_of(now)) for key, now in marks.items()}
    mine = [key for key, name in names.items() if name not in loads]
    futures = {key: loads[name] for key, name in names.items() if name in loads}
    if mine:
        loop = asyncio.get_running_loop()
        futures |= {key: loads.setdefault(names[key], loop.create_future()) for key in mine}
        try:
            await _load(request, mine, marks, codec, futures)
        finally:
            for key in mine:
                if (future := futures[key]).cancel() or future.exception() is not None:
                    del loads[names[key]]
    found: dict[str, Known | Exception] = {}
    for key, future in futures.items():
        if not future.done():
            await asyncio.wait((future,))
        if future.cancelled():
            found |= await load_unstored(request, {key: marks[key]}, codec, loads)
        elif (error := future.exception()) is None:
            found[key] = future.result()
        else:
            assert isinstance(error, Exception)
            found[key] = error
    return found


async def _load(
    request: Request,
    keys: Sequence[str],
    marks: Mapping[str, Marks],
    codec: JsonCodec,
    futures: Mapping[str, asyncio.Future[Known]],
) -> None:
    _LOADED.inc(len(keys))
    began = time.perf_counter()
    try:
        values = await request.load(keys)
    except Exception as error:  # noqa: BLE001 - it belongs to those who wait
        metrics.LOAD_FAILED.inc(len(keys))
        for key in keys:
            futures[key].set_exception(error)
        return
    delta = time.perf_counter() - began
    metrics.LOAD_SECONDS.observe(delta)
    for key in keys:
        try:
            futures[key].set_result(passed_on(codec, request, marks[key], values.get(key), delta))
        except (TypeError, ValueError) as error:
            futures[key].set_exception(error)
