"""Limits the memory that this process's cached entries may take in Redis.

Redis evicts keys under memory pressure, and to it a session is a key with a TTL like any other. A cache that clients
can fill therefore needs its own limit, well below the available memory: a process records how many bytes it has stored
and until when, and stores nothing beyond its share. An entry that does not fit is returned to the caller but not kept.

The sum is never too low: an entry that was evicted, invalidated or replaced by another process counts until it would
have expired. However often an entry is replaced, it is recorded once.
"""

from __future__ import annotations

import heapq
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_OVERHEAD = 256
"""Bytes that Redis needs for an entry in addition to its value, its key and its lease."""


class Room:
    """At most `capacity` bytes at a time."""

    def __init__(self, capacity: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow `capacity` bytes; `clock` gives seconds."""
        self.capacity = capacity
        self.used = 0
        self._clock = clock
        self._entries: dict[str, tuple[float, int]] = {}
        self._expiries: list[tuple[float, str]] = []  # one an entry; may be before its expiry, if it was replaced

    def take(self, key: str, size: int, seconds: float) -> bool:
        """Reserve `size` bytes under `key` for so many seconds; False if there is no room."""
        now = self._clock()
        while self._expiries and self._expiries[0][0] <= now:
            _, old = self._expiries[0]
            expires, freed = self._entries[old]
            if expires > now:
                heapq.heapreplace(self._expiries, (expires, old))
            else:
                heapq.heappop(self._expiries)
                del self._entries[old]
                self.used -= freed
        size += len(key) + _OVERHEAD
        known = key in self._entries
        before = self._entries[key][1] if known else 0
        if self.used - before + size > self.capacity:
            return False
        self.used += size - before
        self._entries[key] = now + seconds, size
        if not known:
            heapq.heappush(self._expiries, (now + seconds, key))
        return True
