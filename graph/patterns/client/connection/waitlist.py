"""Batches that wait for a connection: bounded in bytes, each until its deadline.

A batch that comes while `wire.QUEUE_BOUND` bytes wait fails with `RedisOverloaded`; one that is not taken before its
deadline fails with `RedisUnavailable`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from graph.patterns.client.batch import RedisOverloaded, RedisUnavailable, settle
from graph.patterns.client.connection.wire import QUEUE_BOUND
from graph.patterns.client.traffic import TRAFFIC

if TYPE_CHECKING:
    from graph.patterns.client.batch import Batch


class Waitlist:
    """What one link has to send once it is connected."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._batches: list[Batch] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = 0.0  # when the timer fires

    def put(self, pending: Batch) -> None:
        """Keep a batch, or refuse it."""
        if self._bytes >= QUEUE_BOUND:
            TRAFFIC.overloaded += 1
            pending.fail(RedisOverloaded(f"{self._bytes} bytes already wait for Redis"))
            return
        self._bytes += pending.pack()
        self._batches.append(pending)
        if self._timer is None or pending.due < self._alarm:
            self._arm(pending.due)

    def take(self) -> list[Batch]:
        """Remove and return all batches, in order."""
        batches, self._batches, self._bytes = self._batches, [], 0
        return batches

    def fail(self, error: Exception) -> None:
        """Fail all batches."""
        settle(self.take(), lambda batch: batch.fail(error), error)

    def close(self) -> None:
        """Stop looking at deadlines."""
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._alarm = when
        self._timer = self._loop.call_at(when, self._sweep)

    def _sweep(self) -> None:
        """Fail overdue batches."""
        now = self._loop.time()
        overdue = [pending for pending in self._batches if pending.due <= now]
        self._batches = [pending for pending in self._batches if pending.due > now]
        self._bytes = sum(pending.size for pending in self._batches)
        self._timer = None
        if self._batches:
            self._arm(min(pending.due for pending in self._batches))
        why = RedisUnavailable("no connection to Redis in time")
        settle(overdue, lambda batch: batch.fail(why), why)
