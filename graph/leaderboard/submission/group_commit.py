"""Group commit: what comes while one transaction is written goes together into the next.

The first one goes at once, nothing ever waits for company, and a group is bounded, so that the wait for a turn is that
for one transaction. Groups are written one after the other, their members in the order in which they came. What follows
on a commit (`finish`) overlaps with the writing of the next group. (DeWitt et al., Implementation techniques for main
memory database systems, SIGMOD 1984.)

A member that nobody waits for any more when its group begins is left out; later it is written like the others. One that
cannot be written fails alone: a group that fails is rolled back and halved until what fails stands by itself. Only
`Unavailable`, which is nobody's own fault, fails a whole group.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import Histogram

from graph.errors import Unavailable
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

Item = TypeVar("Item")
Written = TypeVar("Written")
Result = TypeVar("Result")

LIMIT = 128
"""Most members of a group: some 10 ms of writing."""

_SIZES = Histogram(
    "graph_leaderboard_group_size",
    "Submissions and answers written in one transaction.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)


class Groups(Generic[Item, Written, Result]):
    """One line of writers. `close` it at the end."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Written | Exception]]],
        finish: Callable[[Sequence[Written | Exception]], Awaitable[Sequence[Result | Exception]]],
        *,
        limit: int = LIMIT,
    ) -> None:
        """`write` commits a group in one transaction, or raises and has changed nothing; `finish` makes the results.

        Both give one outcome a member, in order; an exception among them is that member's own.
        """
        self._write = write
        self._finish = finish
        self._limit = limit
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._tasks = Tasks()

    def add(self, item: Item) -> asyncio.Future[Result]:
        """Have `item` written with the next group; the future raises what is wrong with it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._writing is None:
            # In a context of its own: the group is nobody's request.
            self._writing = asyncio.create_task(self._work(), name="group-commit", context=contextvars.Context())
        return future

    async def close(self) -> None:
        """Stop; whoever still waits is cancelled, and knows as little of the outcome as after a crash."""
        if self._writing is not None:
            self._writing.cancel()
            await asyncio.wait((self._writing,))
        await self._tasks.close()
        _cancel(future for _, future in self._waiting)

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = self._next()
                futures = [future for _, future in group]
                try:
                    written = await self._written([item for item, _ in group])
                except BaseException:
                    _cancel(futures)
                    raise
                self._tasks.spawn(self._conclude(futures, written))
        finally:
            self._writing = None

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
        _SIZES.observe(len(items))
        try:
            return list(await self._write(items))
        except Unavailable as error:
            return [_again(error) for _ in items]
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to those whom it concerns, and only to them
            if len(items) == 1:
                return [error]
        middle = len(items) // 2
        return [*await self._written(items[:middle]), *await self._written(items[middle:])]

    async def _conclude(
        self, futures: Sequence[asyncio.Future[Result]], written: Sequence[Written | Exception]
    ) -> None:
        try:
            results = await self._finish(written)
        except Exception as error:  # noqa: BLE001 - as above
            results = [error] * len(futures)
        except BaseException:
            _cancel(futures)
            raise
        for future, result in zip(futures, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)


def _again(error: Unavailable) -> Unavailable:
    """The same for one more waiter: an exception that several tasks raise would gather the tracebacks of all."""
    again = Unavailable(error.message, **error.details)
    again.__cause__ = error
    return again


def _cancel(futures: Iterable[asyncio.Future[Result]]) -> None:
    for future in futures:
        future.cancel()
