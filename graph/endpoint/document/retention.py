"""A cache in memory, bounded in bytes, whose useful entries cannot be evicted by a flood of new ones.

Segmented LRU (Karedla, Love, Wherry, Computer 1994) with admission by frequency (TinyLFU: Einziger, Friedman, Manes,
ACM TOS 2017): a new entry starts on probation, in a fifth of the capacity and whatever is free, and is protected only
once it is used again *and* has been used more often than the entries that it would evict. Counts are halved from time
to time, so that formerly popular entries are evicted in the end. Sending garbage twice, or ten times, evicts only
garbage.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_PROBATION = 0.2
_AGE_EVERY = 8  # uses per entry between two halvings
_AGE_AT_LEAST = 1024


class _Entry(Generic[V]):
    __slots__ = ("hits", "size", "value")

    def __init__(self, value: V, size: int) -> None:
        self.value = value
        self.size = size
        self.hits = 0


class Retention(Generic[K, V]):
    """At most `capacity` bytes of entries, by the sizes given to `put`."""

    def __init__(self, capacity: int) -> None:
        """Reserve at least a fifth of `capacity` (bytes) for new entries."""
        self._capacity = capacity
        self._probation_room = int(capacity * _PROBATION)
        self._protected_room = capacity - self._probation_room
        self._probation: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._protected: OrderedDict[K, _Entry[V]] = OrderedDict()
        self._probation_bytes = 0
        self._protected_bytes = 0
        self._uses = 0

    @property
    def size(self) -> int:
        """Bytes in use."""
        return self._probation_bytes + self._protected_bytes

    def __len__(self) -> int:
        return len(self._probation) + len(self._protected)

    def get(self, key: K) -> V | None:
        """The value of `key`; counts as a use of the entry."""
        entry = self._protected.get(key)
        if entry is not None:
            self._protected.move_to_end(key)
        else:
            entry = self._probation.get(key)
            if entry is None:
                return None
        entry.hits += 1
        self._uses += 1
        if self._uses >= max(_AGE_AT_LEAST, _AGE_EVERY * len(self)):
            self._age()
        if key in self._probation:
            self._promote(key, entry)
        return entry.value

    def put(self, key: K, value: V, size: int) -> None:
        """Add a new entry of `size` bytes; one that would fill the probation part by itself is not kept."""
        if size > self._probation_room or key in self._protected:
            return
        known = self._probation.pop(key, None)
        if known is not None:
            self._probation_bytes -= known.size
        self._admit(key, _Entry(value, size))

    def _admit(self, key: K, entry: _Entry[V]) -> None:
        self._probation[key] = entry
        self._probation_bytes += entry.size
        while self.size > self._capacity:  # new entries may use the room that protected ones do not need
            _, dropped = self._probation.popitem(last=False)
            self._probation_bytes -= dropped.size

    def _promote(self, key: K, entry: _Entry[V]) -> None:
        self._probation.move_to_end(key)
        missing = self._protected_bytes + entry.size - self._protected_room
        victims: list[K] = []
        for victim, kept in self._protected.items():
            if missing <= 0:
                break
            if kept.hits >= entry.hits:
                return
            victims.append(victim)
            missing -= kept.size
        del self._probation[key]
        self._probation_bytes -= entry.size
        self._protected[key] = entry
        self._protected_bytes += entry.size
        for victim in victims:
            demoted = self._protected.pop(victim)
            self._protected_bytes -= demoted.size
            self._admit(victim, demoted)

    def _age(self) -> None:
        self._uses = 0
        for segment in (self._probation, self._protected):
            for entry in segment.values():
                entry.hits //= 2
