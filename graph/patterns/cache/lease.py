"""The lease of an entry: the right to load it, which one process at a time has and gives up when it has finished.

A process that misses an entry asks for its lease. The holder renews the lease while it loads, then fills the entry and
gives up the lease in one step; the others look for the entry after short pauses. The lease of a holder that died
expires (`Leases.seconds`), and the next process that asks takes it over.

Leases: Nishtala et al., "Scaling Memcache at Facebook", NSDI 2013. Early refresh (`is_due`): XFetch, Vattani,
Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015.

Redis evicts keys under memory pressure, and to it a session is a key with a TTL like any other. A cache that clients
can fill therefore needs its own limit, well below the available memory (`Room`): a process records how many bytes it
has stored and until when, and stores nothing beyond its share. An entry that does not fit is returned to the caller but
not kept.

Failure: renewing and giving up may fail. Then another process may load the same entry as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import math
import random
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Self

from graph.patterns.cache import metrics
from graph.patterns.cache.local_copies import Recent
from graph.patterns.client import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence

    from graph.patterns.cache.generations import Mark
    from graph.patterns.client import Client, Command, Replies

_ASK = Script(__name__, "lease", idempotent=True)
_RENEW = Script(__name__, "renew", idempotent=True)
_FILL = Script(__name__, "fill", idempotent=True)

_FIRST_PAUSE, _LONGEST_PAUSE = 0.004, 0.02
_RENEWALS = 5  # during the life of a lease

_OVERHEAD = 256
"""Bytes that Redis needs for an entry in addition to its value, its key and its lease."""


def is_due(expires: float, delta: float, beta: float) -> bool:
    """XFetch: whether this reader, chosen at random, refreshes an entry that `expires` (Unix seconds) before it does.

    `delta` is how long it took to load, in seconds: the longer, the earlier. A larger `beta` refreshes earlier.
    """
    return time.time() - delta * beta * math.log(1.0 - random.random()) >= expires  # noqa: S311 - not a secret


def jittered(seconds: float) -> float:
    """A lifetime up to a tenth longer or shorter, so that entries made together do not expire together."""
    return seconds * random.uniform(0.9, 1.1)  # noqa: S311 - not a secret


class Lease(NamedTuple):
    """The lease of one entry, as requested by one loader; both keys share a hash tag."""

    entry: str
    key: str
    word: bytes
    """The stamp that the loader starts from, followed by a token of the loader."""


class Claim(NamedTuple):
    """What a look requests beside the entry: its `lease`, and the generations of `tags` and of those `foreseen`.

    `marks` were read before, for an answer that was found not to be current: `outdated` is the stamp of its entry.
    """

    lease: Lease
    tags: tuple[str, ...]
    foreseen: tuple[str, ...]
    marks: Mapping[str, Mark] | None = None
    outdated: bytes | None = None


class Granted:
    """A lease that was granted with a look, and the marks that were read with it, some of them `foreseen`.

    As a context manager it gives the lease up at the end of the block, unless an answer is made under it by then.
    """

    __slots__ = ("_leases", "foreseen", "lease", "marks")

    def __init__(self, leases: Leases, lease: Lease, marks: Mapping[str, Mark], foreseen: Mapping[str, Mark]) -> None:
        self._leases = leases
        self.lease: Lease | None = lease
        self.marks = marks
        self.foreseen = foreseen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.give_up()

    def take(self) -> Lease | None:
        """The lease, for whoever makes the answer and gives it up then."""
        lease, self.lease = self.lease, None
        return lease

    def give_up(self) -> None:
        """Let others make the answer."""
        if (lease := self.take()) is not None:
            self._leases.give_up([lease])


class Polling:
    """The growing pauses between looks at an entry that another process is loading."""

    def __init__(self) -> None:
        self._seconds = _FIRST_PAUSE

    async def pause(self) -> None:
        """Wait, longer each time."""
        await asyncio.sleep(self._seconds)
        self._seconds = min(self._seconds * 1.5, _LONGEST_PAUSE)


class Room:
    """At most `capacity` bytes of entries in Redis at a time.

    The sum is never too low: an entry that was evicted, invalidated or replaced by another process counts until it
    would have expired. However often an entry is replaced, it is recorded once.
    """

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


class Leases:
    """Requests, renews and ends leases."""

    def __init__(self, client: Client, seconds: float, room: Room) -> None:
        """A lease outlives its holder by `seconds`; an entry is stored only if it fits into `room`."""
        self._client = client
        self._room = room
        self.seconds = seconds

    @property
    def _ms(self) -> int:
        return int(self.seconds * 1000)

    def ask(self, lease: Lease, *, unless_found: bool = False) -> Command:
        """The command that requests `lease`. Its reply is 1 or 0, and the present entry or None.

        With `unless_found` the lease is not taken where there is an entry.
        """
        return _ASK((lease.entry, lease.key), (lease.word, self._ms, *((1,) if unless_found else ())))

    def fill(self, leases: Sequence[Lease], blobs: Sequence[bytes], seconds: Sequence[float]) -> None:
        """Store the entries of `leases` that fit into the room, each for its seconds, and give up the leases."""
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
        """Give up `leases`, so that others can load these entries."""
        if commands := [_RENEW((lease.key,), (lease.word, 0)) for lease in leases]:
            self._client.batch(*commands)

    @contextlib.contextmanager
    def guarding(self, leases: Iterable[Lease]) -> Generator[None]:
        """Give up `leases` if the block raises; one that requests them does not know then which were granted."""
        try:
            yield
        except BaseException:
            self.give_up(leases)
            raise

    @contextlib.contextmanager
    def keeping(self, leases: Sequence[Lease]) -> Generator[None]:
        """Renew `leases` while the block runs."""
        renewal = _Renewal(partial(self._renew, leases), self.seconds / _RENEWALS) if leases else None
        try:
            yield
        finally:
            if renewal is not None:
                renewal.end()

    def _renew(self, leases: Sequence[Lease]) -> asyncio.Future[Replies]:
        return self._client.batch(*[_RENEW((lease.key,), (lease.word, self._ms)) for lease in leases])


class _Renewal:
    """Renews leases again and again, each time after Redis has replied. A timer, no task: most loads end before."""

    __slots__ = ("_loop", "_pause", "_renew", "_timer")

    def __init__(self, renew: Callable[[], asyncio.Future[Replies]], pause: float) -> None:
        self._renew = renew
        self._pause = pause
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = self._loop.call_later(pause, self._work)

    def _work(self) -> None:
        self._renew().add_done_callback(self._again)

    def _again(self, _: object) -> None:
        if self._timer is not None:
            self._timer = self._loop.call_later(self._pause, self._work)

    def end(self) -> None:
        """Renew no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _count_errors(replies: asyncio.Future[Replies]) -> None:
    if not replies.cancelled():
        metrics.REDIS.inc(sum(isinstance(reply, Exception) for reply in replies.result()))


_FORESEEN = 8
"""Tags of a kind whose generations are read together with the request for a lease."""
_LOOKED = 16
"""One answer of a kind in so many looks for whatever it needs."""
_MANY = 64
"""An answer that loads values under more tags than this tells nothing about the next one."""


@dataclass(slots=True)
class _Kind:
    """What is known of the answers of one kind."""

    last: tuple[str, ...] = ()
    """The tags of what the last of them loaded."""
    known: tuple[str, ...] = ()
    answers: int = 0


class Foresight:
    """The tags of the values that answers of a kind load: those that two of them in a row have loaded values under.

    What is foreseen is loaded without a look for what has been stored meanwhile. So nothing is foreseen for one answer
    in `_LOOKED`, and what that one finds is no longer known.
    """

    def __init__(self) -> None:
        self._kinds: Recent[_Kind] = Recent(lambda one: len(one.last) + len(one.known))

    def tags(self, kind: str) -> tuple[str, ...]:
        """The tags that the next answer of this kind will probably need."""
        if (one := self._kinds.get(kind)) is None:
            return ()
        one.answers += 1
        return one.known if one.answers % _LOOKED else ()

    def learn(self, kind: str, loaded: Collection[str], found: Collection[str]) -> None:
        """Note the tags under which an answer of this kind had to load values, and those under which it `found` all."""
        before = self._kinds.get(kind)
        if before is None and not loaded:
            return
        before = before or _Kind()
        again = [tag for tag in loaded if tag in before.last or tag in before.known]
        known = (*again, *(tag for tag in before.known if tag not in found))
        last = before.last if not loaded else tuple(loaded) if len(loaded) <= _MANY else ()
        self._kinds.put(kind, _Kind(last, tuple(dict.fromkeys(known))[:_FORESEEN], before.answers))
