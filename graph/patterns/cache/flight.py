"""A flight: some keys that one leader brings for everybody who waits for them, and what it knows of each.

Plain state; `flights` moves it. What fails a key is raised to all who wait for it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from graph.patterns.cache.generations import fresh, stamp_of
from graph.patterns.cache.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graph.patterns.cache.direct_loads import Load

Marks: TypeAlias = tuple[bytes, ...]
"""The marks of an entry's tags, in their order, none of them missing or held."""


class Request(NamedTuple):
    """What a caller wants, apart from which keys."""

    load: Load
    tags: Mapping[str, tuple[str, ...]]
    ttl: float
    stale: float


class Timing(NamedTuple):
    """Seconds."""

    lease: float
    """How long a lease outlives its holder."""
    patience: float
    """How long to wait for somebody else's load before loading as well."""


class Known(NamedTuple):
    """A current value, as an entry or a load gave it."""

    value: Any
    expires: float
    delta: float
    marks: Marks | None
    """The marks that it was valid under; None when it may not be built upon: it was loaded past the cache."""
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
        """Bring the keys of `marks`; an entry that expires before `newer_than` does not do.

        `keys` names the Redis keys of an entry and its lease.
        """
        self.request = request
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
        """Ask for the lease of the generations as they were last seen, not for one that is outdated."""
        self.leases[key] = Lease(*self._keys(key), stamp_of(self.marks[key]) + self._token)

    def land(self, key: str, known: Known) -> None:
        """Give the value to whoever waits for `key`."""
        if not (future := self.futures[key]).done():
            future.set_result(known)

    def fail(self, keys: Sequence[str], error: BaseException) -> None:
        """Raise `error` for whoever waits for `keys`."""
        for key in keys:
            if not (future := self.futures[key]).done():
                future.set_exception(error)
                future.exception()  # retrieved, should nobody wait any more
