"""The right to load an entry: one holder among all processes, kept while it works and given up at the end.

Whoever misses an entry asks for its lease. The holder renews it while it loads, and fills the entry and gives the lease
up in one step; the others look for the entry after short pauses. A holder that dies leaves a lease that expires
(`Leases.seconds`), and whoever asks next takes it over.

Leases: Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013. Early refresh (`is_due`): XFetch, Vattani,
Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015.

Failure: renewing and giving up are attempts. If they fail, another process may load the same entry as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import time
from typing import TYPE_CHECKING, NamedTuple

from graph.patterns.cache import metrics
from graph.patterns.client import Script

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from graph.patterns.cache.room import Room
    from graph.patterns.client import Client, Command, Replies

_ASK = Script(__name__, "lease", idempotent=True)
_RENEW = Script(__name__, "renew", idempotent=True)
_FILL = Script(__name__, "fill", idempotent=True)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.004, 0.02
_RENEWALS = 5  # in the life of a lease


def is_due(expires: float, delta: float, beta: float) -> bool:
    """XFetch: whether this reader, chosen at random, refreshes an entry that `expires` (Unix seconds) before it does.

    `delta` is how long it took to load, in seconds: the longer, the earlier. A larger `beta` refreshes earlier.
    """
    return time.time() - delta * beta * math.log(1.0 - random.random()) >= expires  # noqa: S311 - not a secret


def jittered(seconds: float) -> float:
    """A lifetime up to a tenth longer or shorter, so that entries of one moment do not expire in one moment."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - not a secret


class Lease(NamedTuple):
    """The lease of one entry, as one loader asks for it; both keys share a hash tag."""

    entry: str
    key: str
    word: bytes
    """The stamp that the loader starts from, then a token of its own."""


class Polling:
    """The growing pauses between two looks at an entry that another process is loading."""

    def __init__(self) -> None:
        """Begin with the shortest pause."""
        self._seconds = _FIRST_PAUSE

    async def pause(self) -> None:
        """Wait; longer the next time."""
        await asyncio.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.5, _LONGEST_PAUSE)


class Leases:
    """Asks for leases, keeps them and ends them."""

    def __init__(self, client: Client, seconds: float, room: Room) -> None:
        """A lease outlives its holder by `seconds`; what is filled has to find `room`."""
        self._client = client
        self._room = room
        self.seconds = seconds

    @property
    def _ms(self) -> int:
        return int(self.seconds * 1000)

    def ask(self, lease: Lease) -> Command:
        """The command that asks for `lease`. Its reply is 1 or 0, and the entry as it stands or None."""
        return _ASK((lease.entry, lease.key), (lease.word, self._ms))

    def fill(self, leases: Sequence[Lease], blobs: Sequence[bytes], seconds: Sequence[float]) -> None:
        """Store the entries of `leases` that find room, each for some seconds, and give the leases up."""
        commands: list[Command] = []
        for lease, blob, life in zip(leases, blobs, seconds, strict=True):
            if self._room.take(lease.entry, len(blob), life):
                commands.append(_FILL((lease.entry, lease.key), (blob, max(1, int(life * 1000)), lease.word)))
            else:
                metrics.FULL.inc()
                commands.append(_RENEW((lease.key,), (lease.word, 0)))
        if commands:
            self._client.batch(*commands).add_done_callback(_count_errors)

    def give_up(self, leases: Iterable[Lease]) -> None:
        """Let others load these entries."""
        if commands := [_RENEW((lease.key,), (lease.word, 0)) for lease in leases]:
            self._client.batch(*commands)

    @contextlib.contextmanager
    def keeping(self, leases: Sequence[Lease]) -> Generator[None]:
        """Renew `leases` while the block runs."""
        renewing = asyncio.create_task(self._renew(leases)) if leases else None
        try:
            yield
        finally:
            if renewing is not None:
                renewing.cancel()

    async def _renew(self, leases: Sequence[Lease]) -> None:
        while True:
            await asyncio.sleep(self.seconds / _RENEWALS)
            await self._client.batch(*[_RENEW((lease.key,), (lease.word, self._ms)) for lease in leases])


def _count_errors(replies: asyncio.Future[Replies]) -> None:
    if not replies.cancelled():
        metrics.REDIS.inc(sum(isinstance(reply, Exception) for reply in replies.result()))
