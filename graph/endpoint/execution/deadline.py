"""One timer for all operations: what `asyncio.timeout` does for one, for thousands with the same deadline.

An operation that runs past its deadline is cancelled, with whatever it awaits; `Deadline.expired` tells that apart from
a cancellation from outside, as `asyncio.timeout` does. A timer of the event loop is set for the oldest operation only:
most operations end long before, and to set and clear a timer for each costs more than all else that is done for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import TracebackType


class Deadlines:
    """The operations that run, oldest first."""

    def __init__(self, seconds: float) -> None:
        """Let each of them run for `seconds`."""
        self._seconds = seconds
        self._running: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._running)

    def start(self) -> Deadline:
        """Begin the time of the current task; use it as ``with deadlines.start() as deadline:``."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # another test, another loop
            self._loop, self._timer, self._running = loop, None, {}
        task = asyncio.current_task()
        assert task is not None
        deadline = Deadline(self._running, task, loop.time() + self._seconds)
        self._running[deadline] = None
        if self._timer is None:
            self._timer = loop.call_at(deadline.when, self._look)
        return deadline

    def _look(self) -> None:
        """Cancel operations that are late, and set the timer for the next one."""
        assert self._loop is not None
        now = self._loop.time()
        for deadline in self._running:
            if deadline.when > now:
                self._timer = self._loop.call_at(deadline.when, self._look)
                return
            deadline.expire()
        self._timer = None


class Deadline:
    """The deadline of one operation."""

    __slots__ = ("_cancelling", "_expiring", "_running", "_task", "expired", "when")

    def __init__(self, running: dict[Deadline, None], task: asyncio.Task[Any], when: float) -> None:
        """Cancel `task` at `when`, by the clock of the event loop, unless it has left `running` before."""
        self.when = when
        self.expired = False
        """Whether the operation was cancelled because it was late; known when it has left."""
        self._running = running
        self._task = task
        self._cancelling = task.cancelling()
        self._expiring = False

    def expire(self) -> None:
        """Cancel the task, once."""
        if not self._expiring:
            self._expiring = True
            self._task.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        """Suppress the cancellation that this deadline caused, and no other."""
        del self._running[self]
        if self._expiring and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            self.expired = True
        return self.expired
