"""The plain values that go into the cache of answers and come out of it."""

from __future__ import annotations

import hashlib
import struct
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from graph.patterns.cache.generations import held, stamp_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graph.patterns.cache.local_copies import Copy
    from graph.patterns.client import Command

MADE = struct.Struct(">d")
"""When an answer was made, Unix seconds; stored before the body in its frame."""


class Hit(NamedTuple):
    """A current entry."""

    body: bytes
    digest: str
    """A digest of the body: equal bytes have equal digests."""
    made: float
    """When it was made, Unix seconds."""
    expires: float
    delta: float
    tags: tuple[str, ...] = ()
    """The tags of all that it was made of."""
    stamp: bytes = b""
    """The digest of their generations."""


class Made(NamedTuple):
    """A new answer: kept for `max_age` seconds at most, or not at all."""

    body: bytes
    max_age: float
    digest: str | None = None
    """`digest_of` its body, where that is known."""


Make: TypeAlias = "Callable[[], Awaitable[Made | None]]"
"""Makes an answer; None is one that may not be kept."""


class Making(NamedTuple):
    """How an answer is made: what makes it, the tags it has in any case, and whether everybody gets it.

    `outdated` is the stamp of an entry that is known not to be current.
    """

    make: Make
    tags: Sequence[str]
    public: bool = False
    outdated: bytes | None = None


class Look(NamedTuple):
    """A lookup of a key: the `commands` to send, in one batch and in this order."""

    key: str
    copy: Copy | None
    tags: tuple[str, ...]
    commands: tuple[Command, ...]


def digest_of(body: bytes) -> str:
    """A digest that identifies `body`."""
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def sure_stamp(marks: Sequence[bytes | None]) -> bytes | None:
    """The stamp of `marks`; None if one is missing or held."""
    sure = [mark for mark in marks if mark is not None and not held(mark)]
    return stamp_of(sure) if len(sure) == len(marks) else None


def hit_of(copy: Copy) -> Hit:
    """Turn a copy into a hit."""
    body, digest, made = copy.value
    return Hit(body, digest, made, copy.expires, copy.delta, copy.tags, copy.stamp)
