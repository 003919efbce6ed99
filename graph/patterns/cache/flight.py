"""A flight: keys that one leader loads for everybody who waits for them, and what it knows about each.

This is plain state; `flights` drives it. An error for a key is raised to everybody who waits for that key.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from graph.patterns.cache.generations import fresh, stamp_of
from graph.patterns.cache.lease import Lease
from graph.patterns.fair_queue import Sharers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graph.patterns.cache.direct_loads import Load

Marks: TypeAlias = tuple[bytes, ...]
"""The marks of an entry's tags, in the order of the tags, none of them missing or held."""


class Request(NamedTuple):
    """What a caller asks for, apart from the keys."""

    load: Load
    tags: Mapping[str, tuple[str, ...]]
    ttl: float
    stale: float


class Timing(NamedTuple):
    """Seconds."""

    lease: float
    """How long a lease outlives a holder that died."""
    patience: float
    """How long to wait for another process's load before loading here as well."""


class Known(NamedTuple):
    """A current value, from an entry or from a load."""

    value: Any
    expires: float
    delta: float
    marks: Marks | None
    """The marks under which it was valid; None when it was loaded past the cache, so nothing may be cached from it."""
    size: int
    """Bytes of its JSON text."""


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
        self._token = fresh().encode()
        self._keys = keys
        self.leases: dict[str, Lease] = {}
        for key in marks:
            self.aim(key)

    def aim(self, key: str) -> None:
        """Request the lease for the generations that were last seen, not for outdated ones."""
        self.leases[key] = Lease(*self._keys(key), stamp_of(self.marks[key]) + self._token)

    def land(self, key: str, known: Known) -> None:
        """Give the value to everybody who waits for `key`."""
        if not (future := self.futures[key]).done():
            future.set_result(known)

    def fail(self, keys: Sequence[str], error: BaseException) -> None:
        """Raise `error` for everybody who waits for `keys`."""
        for key in keys:
            if not (future := self.futures[key]).done():
                future.set_exception(error)
                future.exception()  # mark it retrieved, in case nobody waits any more
