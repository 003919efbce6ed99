"""The room that this process's cached entries may take in Redis.

Redis evicts under memory pressure, and to it a session is a key with a TTL like any other. What clients can fill must
therefore have a bound of its own, well below the memory that there is: a process notes how many bytes it has stored and
until when, and stores nothing beyond its share. An entry that finds no room is given to whoever asked, and not kept.

The sum is never too low: what was evicted, outdated or replaced by another process counts until it would have expired.
"""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_OVERHEAD = 256
"""Bytes that Redis needs for an entry beside its value, its key and its lease."""


class Room:
    """At most `capacity` bytes at a time."""

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing stored; `clock` gives seconds."""
        self.capacity = capacity
        self.used = 0
        self._clock = clock
        self._entries: dict[str, tuple[float, int]] = {}
        self._expiries: list[tuple[float, str]] = []

    def take(self, key: str, size: int, seconds: float) -> bool:
        """Whether there is room for `size` bytes under `key` for so many seconds; if so they are noted."""
        now = self._clock()
        while self._expiries and self._expiries[0][0] <= now:
            expires, old = heapq.heappop(self._expiries)
            if self._entries.get(old, (0.0, 0))[0] == expires:
                self.used -= self._entries.pop(old)[1]
        size += len(key) + _OVERHEAD
        _, before = self._entries.get(key, (0.0, 0))
        if self.used - before + size > self.capacity:
            return False
        self.used += size - before
        self._entries[key] = now + seconds, size
        heapq.heappush(self._expiries, (now + seconds, key))
        return True
