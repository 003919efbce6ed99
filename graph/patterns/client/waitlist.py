"""Batches that wait for a connection: bounded in bytes, each until its deadline.

A batch that comes while `wire.QUEUE_BOUND` bytes wait fails with `RedisOverloaded`; one that is not taken before its
deadline fails with `RedisUnavailable`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from graph.patterns.client.batch import RedisOverloaded, RedisUnavailable
from graph.patterns.client.traffic import TRAFFIC
from graph.patterns.client.wire import QUEUE_BOUND

if TYPE_CHECKING:
    from graph.patterns.client.batch import Batch


class Waitlist:
    """What one link has to send once it is connected."""

    def __init__(self) -> None:
        """Begin with none."""
        self._loop = asyncio.get_running_loop()
        self._batches: list[Batch] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def put(self, pending: Batch) -> None:
        """Keep a batch, or refuse it."""
        if self._bytes >= QUEUE_BOUND:
            TRAFFIC.overloaded += 1
            pending.fail(RedisOverloaded(f"{self._bytes} bytes already wait for Redis"))
            return
        self._bytes += pending.pack()
        self._batches.append(pending)
        if self._timer is None:
            self._timer = self._loop.call_at(pending.due, self._sweep)

    def take(self) -> list[Batch]:
        """Give all of them away, in their order."""
        batches, self._batches, self._bytes = self._batches, [], 0
        return batches

    def fail(self, error: Exception) -> None:
        """Fail all of them."""
        for pending in self.take():
            pending.fail(error)

    def close(self) -> None:
        """Stop looking at deadlines."""
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        """Fail what is overdue."""
        now = self._loop.time()
        overdue = [pending for pending in self._batches if pending.due <= now]
        self._batches = [pending for pending in self._batches if pending.due > now]
        self._bytes = sum(pending.size for pending in self._batches)
        due = min((pending.due for pending in self._batches), default=None)
        self._timer = self._loop.call_at(due, self._sweep) if due is not None else None
        for pending in overdue:
            pending.fail(RedisUnavailable("no connection to Redis in time"))
