"""A flight: keys that one leader loads for everybody who waits for them, and what it knows about each.

This is plain state; `flights` drives it. An error for a key is raised to everybody who waits for that key.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from graph.patterns.cache.generations import fresh, held, stamp_of
from graph.patterns.cache.lease import Lease, jittered
from graph.patterns.fair_queue import Sharers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from graph.patterns.cache.codec import JsonCodec
    from graph.patterns.cache.generations import Mark
    from graph.patterns.cache.local_copies import Copy

Load: TypeAlias = "Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]"
"""Returns the values of the requested keys; a key that is left out does not exist."""

Marks: TypeAlias = tuple[bytes, ...]
"""The marks of an entry's tags, in the order of the tags, none of them missing or held."""


class Request(NamedTuple):
    """What a caller asks for, apart from the keys."""

    load: Load
    tags: Mapping[str, tuple[str, ...]]
    ttl: float
    """Seconds that a value lives."""
    stale: float
    """Seconds that it is kept beyond that, for a loader that fails."""
    exact: bool = False
    """Whether the loader gives nothing but what JSON gives, so that its value is that of a later hit."""


class Timing(NamedTuple):
    """Seconds."""

    lease: float
    """How long a lease outlives a holder that died."""
    patience: float
    """How long to wait for another process's load before loading here as well."""


class SeenEntries(NamedTuple):
    """What one read saw: entries, generations, and the copies it may use."""

    copies: dict[str, Copy]
    blobs: dict[str, bytes | None]
    marks: dict[str, Mark]

    def certain(self, tags: Iterable[str]) -> Marks | None:
        """The marks of `tags`, in the same order; None if one is missing or held."""
        marks: list[bytes] = []
        for tag in tags:
            mark = self.marks[tag]
            if mark is None or held(mark):
                return None
            marks.append(mark)
        return tuple(marks)


class Known(NamedTuple):
    """A current value, from an entry or from a load."""

    value: Any
    expires: float
    """When its time to live ends, Unix seconds."""
    delta: float
    """How long it took to load, seconds."""
    marks: Marks | None
    """The marks under which it was valid; None when it was loaded past the cache, so nothing may be cached from it."""
    size: int
    """Bytes of its JSON text."""


NEGATIVE = 5.0
"""Seconds for which the absence of a value is remembered at most."""


def loaded(codec: JsonCodec, request: Request, marks: Marks, value: Any, delta: float) -> tuple[Known, bytes]:
    """What was loaded, and its JSON; raises TypeError or ValueError if it has none."""
    body = codec.dumps(value)
    # Readers get what a later hit will return: JSON's types, not the loader's.
    value = value if request.exact else codec.loads(body)
    return Known(value, _end(request, value), delta, marks, len(body)), body


def passed_on(codec: JsonCodec, request: Request, marks: Marks, value: Any, delta: float) -> Known:
    """What was loaded and is not to be stored; raises as `loaded`."""
    if not request.exact:
        return loaded(codec, request, marks, value, delta)[0]
    return Known(value, _end(request, value), delta, marks, 0)


def _end(request: Request, value: Any) -> float:
    ttl = request.ttl
    return time.time() + (jittered(ttl) if value is not None else min(jittered(min(ttl, NEGATIVE)), NEGATIVE))


class Flight:
    """The keys that one leader brings: their futures, the marks each starts from, the lease each would take."""

    def __init__(
        self,
        request: Request,
        marks: dict[str, Marks],
        keys: Callable[[str], tuple[str, str]],
        *,
        newer_than: float,
    ) -> None:
        """Load the keys of `marks`; an entry that expires before `newer_than` is not accepted.

        `keys` gives the Redis keys of an entry and its lease.
        """
        self.request = request
        self.sharers = Sharers()
        self.marks = marks
        self.newer_than = newer_than
        loop = asyncio.get_running_loop()
        self.futures: dict[str, asyncio.Future[Known]] = {key: loop.create_future() for key in marks}
        self._waiting: dict[str, list[asyncio.Future[Known]]] = {}
        self._token = fresh().encode()
        self._keys = keys
        self.leases: dict[str, Lease] = {}
        for key in marks:
            self.aim(key)

    def aim(self, key: str) -> None:
        """Request the lease for the generations that were last seen, not for outdated ones."""
        self.leases[key] = Lease(*self._keys(key), stamp_of(self.marks[key]) + self._token)

    def follow(self, key: str) -> asyncio.Future[Known]:
        """A future of the caller's own for `key`: who cancels it, as by being cancelled, stops nobody else.

        `asyncio.shield` would do the same, but gives a result a turn of the loop later.
        """
        future = self.futures[key]
        if not future.done():
            future = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(key, []).append(future)
        return future

    def land(self, key: str, known: Known) -> None:
        """Give the value to everybody who waits for `key`."""
        for future in self._awaited(key):
            future.set_result(known)

    def fail(self, keys: Sequence[str], error: BaseException) -> None:
        """Raise `error` for everybody who waits for `keys`."""
        for key in keys:
            for future in self._awaited(key):
                future.set_exception(error)
                future.exception()  # mark it retrieved, in case nobody waits any more

    def abandon(self) -> None:
        """Let nobody wait any more."""
        for key in self.futures:
            for future in self._awaited(key):
                future.cancel()

    def _awaited(self, key: str) -> list[asyncio.Future[Known]]:
        """The futures of `key` that are not done."""
        return [one for one in (self.futures[key], *self._waiting.pop(key, ())) if not one.done()]
