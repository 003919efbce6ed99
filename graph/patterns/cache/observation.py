"""Records what a result was made of: the tags of every cached value that was read for it, with their marks.

A result computed from cached values (a whole answer) stays right as long as their generations do not change, so it can
be cached under all their tags without anybody listing them. A value that does not come through the cache needs its tags
declared (`Observation.note`) *before* it is read.
"""

from __future__ import annotations

import contextlib
import math
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from graph.patterns.cache.generations import held, stamp_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence

    from graph.patterns.cache.direct_loads import Loads
    from graph.patterns.cache.flight import Known
    from graph.patterns.cache.generations import Generations, Mark
    from graph.patterns.client import Client


def free_marks(tags: Iterable[str], marks: Mapping[str, Mark]) -> dict[str, bytes]:
    """The marks of those `tags` that have one, and at which no writer is at work."""
    return {tag: mark for tag in tags if (mark := marks.get(tag)) is not None and not held(mark)}


class Narrowing(NamedTuple):
    """Tags that a result may depend on in place of those that a value was read under (`narrowing`)."""

    tags: Sequence[str]
    rough: Observation
    """What was observed while the value was read."""
    ttl: float
    value: Any = None
    """The value."""
    load: Callable[[], Awaitable[Any]] | None = None
    """Loads it again, if that can be done."""


class UnderLease:
    """What is known of a result that everybody gets, and that is made under one lease: its values need none."""

    __slots__ = ("foreseen", "loads", "missed", "narrowings", "read")

    def __init__(self, foreseen: Mapping[str, Mark]) -> None:
        """`foreseen` are marks that were read together with the request for the lease."""
        self.foreseen = foreseen
        self.read: set[str] = set()
        """The keys of values that were loaded under these."""
        self.loads: Loads = {}
        """The loads under way."""
        self.missed: dict[str, None] = {}
        """The tags of values that had to be loaded."""
        self.narrowings: list[Narrowing] = []
        """Those that wait until the result has been handed out (`narrowing.finish`)."""

    def sure(self, keys: Sequence[str], tags: Sequence[str]) -> dict[str, bytes]:
        """The marks of those `tags` that are foreseen, for the first read of `keys`."""
        if not self.foreseen or not self.read.isdisjoint(keys):
            return {}
        marks = free_marks(tags, self.foreseen)
        if marks:
            self.read.update(keys)
        return marks


class Observation:
    """Gathers marks; `certain` becomes False for good once a value was read from which nothing may be cached."""

    def __init__(self) -> None:
        self.marks: dict[str, bytes] = {}
        self.unsure: set[str] = set()
        """The tags of values that were read while a writer was at work on them, or at more than one mark."""
        self.untagged = False
        """Whether something was read that no tag covers."""
        self.away = False
        """Whether something was read past Redis, which did not answer."""
        self.certain = True
        self.lease: UnderLease | None = None
        """Set if the result is for everybody and made under one lease."""
        self.narrowed: dict[str, set[str] | None] = {}
        """Of declared tags: those under which something happens that matters to what was read of them; None: of all."""
        self.expires = math.inf
        """When the first of the values that were read expires, Unix seconds."""

    def note(self, tags: Sequence[str], marks: Sequence[Mark] | None, expires: float = math.inf) -> None:
        """Record that a value under `tags` was read at `marks`.

        None: it was read past the cache, at unknown marks; without `tags`, no tag tells when it changes.
        """
        if marks is None:
            self.certain = False
            self.unsure.update(tags)
            self.untagged = self.untagged or not tags
            return
        self.expires = min(self.expires, expires)
        for tag, mark in zip(tags, marks, strict=True):
            if mark is None or held(mark) or self.marks.setdefault(tag, mark) != mark:
                self.certain = False
                self.unsure.add(tag)

    def note_away(self, tags: Sequence[str] = ()) -> None:
        """Record that a value under `tags`, where they are known, was read past Redis, which did not answer."""
        self.certain = False
        self.away = True
        self.unsure.update(tags)

    def add(self, other: Observation) -> None:
        """Record all that `other` did."""
        self.note(list(other.marks), list(other.marks.values()), other.expires)
        self.unsure |= other.unsure
        self.untagged = self.untagged or other.untagged
        self.away = self.away or other.away
        self.certain = self.certain and other.certain
        for tag, narrow in other.narrowed.items():
            self.narrow(tag, narrow)

    def narrow(self, declared: str, tags: Iterable[str] | None) -> None:
        """Record that a part of what is `declared` was read, which changes under `tags` alone; None: it may be all."""
        known = self.narrowed.setdefault(declared, set())
        if tags is None:
            self.narrowed[declared] = None
        elif known is not None:
            known.update(tags)

    def found(self) -> set[str]:
        """The tags of values that were looked for and all found, as long as none was loaded unseen (`foreseen`)."""
        if self.lease is None or self.lease.read:
            return set()
        read = self.marks.keys() | {tag for one in self.lease.narrowings for tag in one.rough.marks}
        return read - self.lease.missed.keys()

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of all that was read, in order."""
        return tuple(sorted(self.marks.keys() | self.unsure))

    @property
    def stamp(self) -> bytes | None:
        """The stamp of what was made, under `tags`; None if it is not certain."""
        return stamp_of([self.marks[tag] for tag in self.tags]) if self.certain else None


async def declare(
    observed: Observation,
    tags: Sequence[str],
    client: Client,
    generations: Generations,
    marks: Sequence[Mark] | None = None,
) -> None:
    """Record in `observed` the generations of `tags`, before anything is read: `marks` if they were read already."""
    if not tags:
        return
    try:
        if marks is None:
            replies = await client.batch(*generations.ensure_commands(tags, 0))
            marks = list(generations.ensured(tags, replies).values())
        observed.note(tags, marks)
    except RedisError:
        observed.note_away(tags)


_observed: ContextVar[Observation | None] = ContextVar("cache_observed", default=None)


def current_observation() -> Observation | None:
    """The observation that reads should be recorded in; None while there is none."""
    return _observed.get()


def noted(tag: str) -> bytes | None:
    """The mark of `tag` that the result that is being made depends on; None if it does not, or nothing is observed."""
    observed = _observed.get()
    return None if observed is None else observed.marks.get(tag)


def note_read(tags: Sequence[str], known: Known | None) -> None:
    """Record in the current observation, if any, what was read: `known`, or None for a value at unknown marks."""
    if (observed := _observed.get()) is not None:
        if known is None:
            observed.note(tags, None)
        else:
            observed.note(tags, known.marks, known.expires)


@contextlib.contextmanager
def observing(
    *, leased: bool = False, foreseen: Mapping[str, Mark] | None = None, part_of: Observation | None = None
) -> Generator[Observation]:
    """Record every read in this block, and in the tasks started in it.

    `leased` says that the result is made under a lease of its own, with which the marks `foreseen` were read; what is
    `part_of` a result is, if that is.
    """
    observed = Observation()
    observed.lease = part_of.lease if part_of is not None else UnderLease(foreseen or {}) if leased else None
    token = _observed.set(observed)
    try:
        yield observed
    finally:
        _observed.reset(token)
        if part_of is not None:  # what is known under the lease leads here again (`Narrowing.rough`)
            observed.lease = None


def foreseen(keys: Sequence[str], tags: Mapping[str, Sequence[str]]) -> dict[str, Mark] | None:
    """The marks under which `keys`, which have these `tags`, may be loaded at once; None where Redis is to be asked.

    They came with the lease of the result that is being made, and for values that had to be loaded the last time: so
    entries need not be looked for. Only the first read of a key goes by them; another sees what was written meanwhile.
    """
    lease = observed.lease if (observed := current_observation()) is not None else None
    if lease is None or not lease.foreseen or not lease.read.isdisjoint(keys):
        return None
    marks: dict[str, Mark] = {tag: lease.foreseen.get(tag) for key in keys for tag in tags[key]}
    if any(mark is None or held(mark) for mark in marks.values()):
        return None
    lease.read.update(keys)
    return marks
