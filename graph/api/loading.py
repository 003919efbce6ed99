"""Batches look-ups of one operation: those of one turn of the event loop go to one call, in the order they came.

Strawberry's `DataLoader` does the same, but begins a batch only two turns of the loop after its first look-up, in a
task of its own. Under load a turn is as long as everything that is ready takes. Most operations look up a single thing,
from the task that executes them; nothing else of the operation runs there meanwhile, so there is nobody to wait for:
the batch is loaded as soon as its result is awaited. Fields that stand beside each other are executed in tasks of their
own and share a batch, as do all look-ups that are begun before the first of them is awaited.

Nothing is kept: the cache below is up to date for every later look-up, a copy here would not be, and an operation may
live as long as a socket.

Failure: what the call raises is raised to all who wait for the batch; a result that is an exception, to who asked for
it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Sequence
    from typing import Any
    from weakref import ref

K = TypeVar("K")
V = TypeVar("V")


class Loader(Generic[K, V]):
    """Look-ups by one function."""

    __slots__ = ("_batch", "_home", "_load")

    def __init__(self, load: Callable[[list[K]], Awaitable[Sequence[V]]], home: ref[asyncio.Task[Any]] | None) -> None:
        """Look up by `load`, which returns a result for each key; `home` is the task that executes the operation."""
        self._load = load
        self._home = home
        self._batch: _Batch[K, V] | None = None

    def load(self, key: K) -> Awaitable[V]:
        """The result for `key`."""
        batch = self._batch
        if batch is None or batch.begun:
            batch = self._batch = _Batch(self._load)
        return _LookUp(batch, batch.add(key), self._home)

    def load_many(self, keys: Iterable[K]) -> Awaitable[list[V]]:
        """The results for `keys`, in their order."""
        return _all([self.load(key) for key in keys])


class _LookUp(Generic[K, V]):
    """One look-up, to be awaited."""

    __slots__ = ("_batch", "_found", "_home")

    def __init__(self, batch: _Batch[K, V], found: asyncio.Future[V], home: ref[asyncio.Task[Any]] | None) -> None:
        self._batch = batch
        self._found = found
        self._home = home

    def __await__(self) -> Generator[Any, None, V]:
        batch = self._batch
        if not batch.begun and self._home is not None and asyncio.current_task() is self._home():
            yield from batch.run().__await__()
        return (yield from self._found.__await__())


class _Batch(Generic[K, V]):
    """Look-ups that are done by one call."""

    __slots__ = ("_futures", "_keys", "_load", "_task", "begun")

    def __init__(self, load: Callable[[list[K]], Awaitable[Sequence[V]]]) -> None:
        """Load at the latest in the turn of the loop after the next."""
        self._load = load
        self._keys: list[K] = []
        self._futures: list[asyncio.Future[V]] = []
        self._task: asyncio.Task[None] | None = None
        self.begun = False
        asyncio.get_running_loop().call_soon(self._begin)

    def add(self, key: K) -> asyncio.Future[V]:
        """The result for `key`, once the batch has run."""
        future: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._keys.append(key)
        self._futures.append(future)
        return future

    def _begin(self) -> None:
        if not self.begun:
            self._task = asyncio.get_running_loop().create_task(self._run_apart())

    async def _run_apart(self) -> None:
        if self.begun:
            return
        if all(one.cancelled() for one in self._futures):
            self.begun = True  # nobody is to join it
            return
        await self.run()

    async def run(self) -> None:
        """Load all."""
        self.begun = True
        try:
            results = await self._load(self._keys)
        except BaseException as error:
            self._fail_all(error)
            if not isinstance(error, Exception):
                raise
            return
        if len(results) != len(self._keys):
            self._fail_all(AssertionError(f"{len(results)} results for {len(self._keys)} keys"))
            return
        for future, result in zip(self._futures, results, strict=True):
            if future.done():
                continue
            if isinstance(result, BaseException):
                _fail(future, result)
            else:
                future.set_result(result)

    def _fail_all(self, error: BaseException) -> None:
        for future in self._futures:
            if not future.done():
                _fail(future, error)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if isinstance(error, Exception):
        future.set_exception(error)
        future.exception()  # mark it retrieved: who asked may have given up
    else:
        future.cancel()


async def _all(wanted: Sequence[Awaitable[V]]) -> list[V]:
    return [await one for one in wanted]
