"""Tasks that nobody awaits: protected from the garbage collector while they run, and ended with their owner.

The event loop itself holds tasks only weakly (https://docs.python.org/3/library/asyncio-task.html#creating-tasks). An
exception that nobody retrieves is logged by the loop's exception handler.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

T = TypeVar("T")


class Tasks:
    """The background tasks of one owner."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """Start `work`."""
        task = asyncio.create_task(work, name=name)
        self.adopt(task)
        return task

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Own `task`, which was started elsewhere."""
        self._running.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        forget_cancellation(task)

    async def close(self) -> None:
        """Cancel what still runs and wait until it has ended."""
        while running := list(self._running):
            await asyncio.sleep(0)  # each has begun: one that is cancelled before would not come to its `finally`
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)


def forget_cancellation(task: asyncio.Future[Any]) -> None:
    """Let `task` go of the frames that it was cancelled in, as its done callback.

    They lead to whatever it was about, which often holds the task in turn, to cancel it: a cycle.
    """
    if task.cancelled():
        with contextlib.suppress(asyncio.CancelledError):
            task.result()


def unheard(task: asyncio.Future[Any]) -> None:
    """Let nobody miss the exception of `task`, as its done callback: who waits for it has it, if anybody still does.

    For a task that goes on when those who wait for it give up, and fails in ways that are expected.
    """
    if not task.cancelled():
        task.exception()


async def to_its_end(work: Awaitable[T]) -> T:
    """Return the result of `work`; a cancellation takes effect only after `work` has ended.

    For work that must not be left half done, or that cannot be stopped, such as a thread.
    """
    future = asyncio.ensure_future(work)
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError:
            cancelled = True
    if not cancelled:
        return future.result()
    if not future.cancelled():
        future.exception()  # mark it as retrieved: nobody else will look at it
    raise asyncio.CancelledError
