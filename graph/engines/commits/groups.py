"""Group commit: items that arrive while a transaction is being written share the next one.

The first item is written at once, nothing ever waits for others to join, and a group is bounded, so an item waits for
one transaction at most. Groups are written one after the other, their members in order of arrival. The work after a
commit (`finish`), where there is any, overlaps with writing the next group. (DeWitt et al., Implementation techniques
for main memory database systems, SIGMOD 1984.)

A member whose caller has gone before its group begins is left out; after that it is written like the others. A member
that cannot be written fails alone: a failing group is rolled back and halved until the failing member is isolated. Only
`Unavailable`, which no member caused, fails a whole group.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from graph.errors import Unavailable
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence

    from prometheus_client import Histogram

Item = TypeVar("Item")
Written = TypeVar("Written")
Result = TypeVar("Result")


class Groups(Generic[Item, Written, Result]):
    """A queue of items that are committed in groups. `close` it at the end."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Written | Exception]]],
        finish: Callable[[Sequence[Written | Exception]], Awaitable[Sequence[Result | Exception]]] | None = None,
        *,
        limit: int,
        sizes: Histogram | None = None,
    ) -> None:
        """`write` commits a group in one transaction, or raises and has changed nothing; `finish` makes the results.

        Both return one outcome per member, in order; an exception among them belongs to that member. Without `finish`
        what was written is the result. `limit` is the most members of a group; `sizes` observes how many they are.
        """
        self._write = write
        self._finish = finish
        self._limit = limit
        self._sizes = sizes
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._tasks = Tasks()

    def add(self, item: Item) -> asyncio.Future[Result]:
        """Queue `item` for the next group; the future gets its result or exception."""
        future = self._queue(item)
        if self._writing is None:
            self._begin()
        return future

    async def add_here(self, item: Item) -> Result:
        """Do `add` for a caller that is not cancelled meanwhile, and wait for the result.

        If no group is being written, its own is in its own task: that takes two turns of the event loop less.
        """
        if self._writing is not None:
            return await self.add(item)
        future = self._queue(item)
        self._writing = asyncio.current_task()
        try:
            concluding = await self._group()
        finally:
            self._writing = None
            if self._waiting:
                self._begin()
        if concluding is not None:
            self._tasks.spawn(concluding)
        return await future

    async def close(self) -> None:
        """Stop; waiting callers are cancelled, and do not know the outcome, as after a crash."""
        while (writing := self._writing) is not None:
            self._drop()  # or a caller that writes its own group leaves those who wait to a task that goes on
            writing.cancel()
            await asyncio.wait((writing,))
            if self._writing is writing:  # it had not begun
                self._writing = None
        await self._tasks.close()
        self._drop()

    def _drop(self) -> None:
        _cancel(future for _, future in self._waiting)
        self._waiting.clear()

    def _queue(self, item: Item) -> asyncio.Future[Result]:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        return future

    def _begin(self) -> None:
        # In a context of its own, because a group belongs to no single request.
        self._writing = asyncio.create_task(self._work(), name="group-commit", context=contextvars.Context())

    async def _work(self) -> None:
        me = asyncio.current_task()
        assert me is not None
        try:
            while self._waiting:
                concluding = await self._group()
                if concluding is not None and self._waiting:
                    self._tasks.spawn(concluding)
                elif concluding is not None:  # this task is free, and the next group has its own
                    self._writing = None
                    self._tasks.adopt(me)
                    await concluding
                    return
        finally:
            if self._writing is me:
                self._writing = None

    async def _group(self) -> Coroutine[Any, Any, None] | None:
        """Write the next group; what is left to be done for it, if anything."""
        group = self._next()
        futures = [future for _, future in group]
        try:
            written = await self._written([item for item, _ in group])
        except BaseException:
            _cancel(futures)
            raise
        if self._finish is not None:
            return self._conclude(futures, self._finish(written))
        _tell(futures, cast("Any", written))
        return None

    def _next(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        group: list[tuple[Item, asyncio.Future[Result]]] = []
        while self._waiting and len(group) < self._limit:
            member = self._waiting.popleft()
            if not member[1].done():
                group.append(member)
        return group

    async def _written(self, items: Sequence[Item]) -> list[Written | Exception]:
        if not items:
            return []
        if self._sizes is not None:
            self._sizes.observe(len(items))
        try:
            return list(await self._write(items))
        except Unavailable as error:
            return [_again(error) for _ in items]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to those whom it concerns, and only to them
            if len(items) == 1:
                return [error]
        middle = len(items) // 2
        return [*await self._written(items[:middle]), *await self._written(items[middle:])]

    @staticmethod
    async def _conclude(
        futures: Sequence[asyncio.Future[Result]], finishing: Awaitable[Sequence[Result | Exception]]
    ) -> None:
        try:
            results = await finishing
        except Exception as error:  # noqa: BLE001 - as above
            results = [error] * len(futures)
        except BaseException:
            _cancel(futures)
            raise
        _tell(futures, results)


def _tell(futures: Sequence[asyncio.Future[Result]], results: Sequence[Result | Exception]) -> None:
    for future, result in zip(futures, results, strict=True):
        if future.done():
            continue
        if isinstance(result, BaseException):  # whatever it is, it must not pass for something written
            future.set_exception(result)
        else:
            future.set_result(result)


def _again(error: Unavailable) -> Unavailable:
    """Copy an exception for another waiter, because one raised in several tasks collects all their tracebacks."""
    again = Unavailable(error.message, **error.details)
    again.__cause__ = error
    return again


def _cancel(futures: Iterable[asyncio.Future[Result]]) -> None:
    for future in futures:
        future.cancel()
