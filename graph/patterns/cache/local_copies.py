"""Copies of cached values in this process, within a bound of bytes, the least recently used dropped first.

Those that were not used since they expired are dropped even where there is room: what clients ask for once, each
something else, does not fill the bound with what nobody can get any more.

A copy is served only after its stamp was compared with the present generations in Redis, so it is never staler than
Redis. It saves transferring and decoding the value.

What is known of entries without a copy is bounded, too (`Recent`): by keys, and by the tags that they have.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

KNOWN = 8192
"""Keys of which something is known."""
TAGS = 131_072
"""Tags that are known of them together: each takes about 100 bytes."""
DECODED = 4
"""Bytes that a decoded JSON value takes per byte of its text: a cautious estimate."""
_OVERHEAD = 600
"""Bytes of a copy apart from its value: key, tuple, dictionary slot."""
_TAG = 100  # bytes of a tag


class Copy(NamedTuple):
    """A value and the metadata of its entry; treat the value as immutable."""

    stamp: bytes
    """The digest of the generations of its tags."""
    expires: float
    """When its time to live ends, Unix seconds."""
    delta: float
    """How long it took to load or to make, seconds."""
    value: Any
    size: int
    """Size of its encoded form, bytes."""
    tags: tuple[str, ...] = ()
    """The tags behind the stamp, where the reader cannot know them in advance."""


class LocalCopies:
    """A least-recently-used store of at most `limit` bytes, as estimated from the encoded size."""

    def __init__(self, limit: int, *, factor: int = DECODED) -> None:
        """A `limit` of 0 keeps nothing; a value takes `factor` bytes for each byte of its encoding."""
        self._limit = limit
        self._factor = factor
        self._copies: OrderedDict[str, Copy] = OrderedDict()
        self.size = 0

    def __len__(self) -> int:
        return len(self._copies)

    def get(self, key: str, now: float) -> Copy | None:
        """The copy of `key` unless its time to live has ended."""
        copy = self._copies.get(key)
        if copy is None:
            return None
        if copy.expires <= now:
            self.drop(key)
            return None
        self._copies.move_to_end(key)
        return copy

    def put(self, key: str, copy: Copy, now: float) -> None:
        """Keep `copy`, unless it alone exceeds the limit."""
        self.drop(key)
        weight = self._weight(copy)
        if weight > self._limit:
            return
        self._copies[key] = copy
        self.size += weight
        while self._copies and (self.size > self._limit or next(iter(self._copies.values())).expires <= now):
            self.size -= self._weight(self._copies.popitem(last=False)[1])

    def drop(self, key: str) -> None:
        """Forget the copy of `key`."""
        if (old := self._copies.pop(key, None)) is not None:
            self.size -= self._weight(old)

    def _weight(self, copy: Copy) -> int:
        return copy.size * self._factor + _TAG * len(copy.tags) + _OVERHEAD


class Recent(Generic[T]):
    """The last `KNOWN` keys, and of these no more than have `TAGS` tags together."""

    def __init__(self, tags: Callable[[T], int] = lambda _: 0) -> None:
        """Know nothing; `tags` says how many a value has, and always the same of the same value."""
        self._tags = tags
        self._values: OrderedDict[str, T] = OrderedDict()
        self.weight = 0

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def get(self, key: str) -> T | None:
        """What was put under `key`, if that is still known."""
        return self._values.get(key)

    def put(self, key: str, value: T) -> None:
        """Know `value` of `key`."""
        self.drop(key)
        self._values[key] = value
        self.weight += self._tags(value)
        while len(self._values) > KNOWN or (self.weight > TAGS and len(self._values) > 1):
            self.weight -= self._tags(self._values.popitem(last=False)[1])

    def drop(self, key: str) -> None:
        """Forget `key`."""
        if (old := self._values.pop(key, None)) is not None:
            self.weight -= self._tags(old)


def trimmed(data: bytes) -> bytes:
    """Copy `data` into an object of its own size, for what is kept.

    What orjson and zstandard return takes as much memory as they had made ready to write: thousands of bytes more, or
    what the worst case would have taken. ``bytes(data)`` would be the same object.
    """
    return bytes(memoryview(data))
