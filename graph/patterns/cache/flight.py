"""One load per expiry: callers of one process share a flight, processes share a lease.

A flight belongs to a key and a stamp, so nobody joins a load that began before a write that he must see. Its task is
its own: a caller that is cancelled leaves it flying. The leader asks Redis for the key's lease; whoever does not get
it looks for the entry every few milliseconds, and takes the lease over when its holder has died (it expires unless
renewed) or takes too long. Entries live up to a tenth longer or shorter than asked, so that they do not expire
together.

Leases: Nishtala et al., Scaling Memcache at Facebook, NSDI 2013.

Failure: when Redis fails under way, the load goes on without it (`cache_direct`). What a loader raises, every caller of
the flight raises; nothing is stored.
"""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from redis.exceptions import RedisError

from graph.patterns.cache import metrics
from graph.patterns.cache.codec import Frame, pack, unpack
from graph.patterns.cache.codec import stamp_of as stamp_in
from graph.patterns.cache.generations import fresh, held, stamp_of
from graph.patterns.cache.local_copies import Copy
from graph.patterns.client import Script
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.patterns.cache.codec import JsonCodec
    from graph.patterns.cache.direct_loads import DirectLoads, Load
    from graph.patterns.cache.generations import Generations
    from graph.patterns.cache.local_copies import LocalCopies
    from graph.patterns.client import Client, Replies

LEASE = Script(__name__, "lease", idempotent=True)
RENEW = Script(__name__, "renew", idempotent=True)
FILL = Script(__name__, "fill", idempotent=True)

NEGATIVE = 5.0
"""Seconds that the absence of a value is remembered at most."""
_POLLS = 0.004, 0.02
"""Seconds between two looks at an entry that another process is loading: at first, and at most."""


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


def _count_errors(replies: asyncio.Future[Replies]) -> None:
    if not replies.cancelled():
        metrics.REDIS.inc(sum(isinstance(reply, Exception) for reply in replies.result()))


class _Flight:
    """The keys that one leader brings: their futures, the marks each starts from, the lease each would take."""

    def __init__(self, request: Request, marks: dict[str, Marks], *, newer_than: float) -> None:
        self.request = request
        self.marks = marks
        self.newer_than = newer_than
        loop = asyncio.get_running_loop()
        self.futures: dict[str, asyncio.Future[Known]] = {key: loop.create_future() for key in marks}
        self._token = fresh().encode()
        self.leases: dict[str, bytes] = {}
        for key in marks:
            self.aim(key)

    def aim(self, key: str) -> None:
        """Ask for the lease of the generations as they were last seen, not for one that is outdated."""
        self.leases[key] = stamp_of(self.marks[key]) + self._token

    def land(self, key: str, known: Known) -> None:
        if not (future := self.futures[key]).done():
            future.set_result(known)

    def fail(self, keys: Sequence[str], error: BaseException) -> None:
        for key in keys:
            if not (future := self.futures[key]).done():
                future.set_exception(error)
                future.exception()  # retrieved, should nobody wait any more


class Flights:
    """Bring values that are not in the cache, once for everybody."""

    def __init__(
        self,
        client: Client,
        generations: Generations,
        direct: DirectLoads,
        local: LocalCopies,
        codec: JsonCodec,
        *,
        prefix: str,
        timing: Timing,
    ) -> None:
        """Share the parts of a `Cache`."""
        self._client = client
        self._generations = generations
        self._direct = direct
        self._local = local
        self._codec = codec
        self._prefix = prefix
        self._timing = timing
        self._flying: dict[tuple[str, bytes], asyncio.Future[Known]] = {}
        self._refreshing: set[tuple[str, bytes]] = set()
        self._tasks = Tasks()

    def entry_key(self, key: str) -> str:
        """The Redis key of an entry."""
        return f"{self._prefix}:cache:{{{key}}}"

    def _keys(self, key: str) -> tuple[str, str]:
        return self.entry_key(key), f"{self._prefix}:lease:{{{key}}}"

    # --- what callers do ---

    def join(self, request: Request, marks: Mapping[str, Marks]) -> dict[str, asyncio.Future[Known]]:
        """The futures of values loaded under `marks` or later; await them shielded."""
        futures: dict[str, asyncio.Future[Known]] = {}
        mine: dict[str, Marks] = {}
        stamps = {key: stamp_of(now) for key, now in marks.items()}
        for key, now in marks.items():
            if (flying := self._flying.get((key, stamps[key]))) is not None:
                futures[key] = flying
            else:
                mine[key] = now
        if mine:
            flight = _Flight(request, mine, newer_than=time.time())
            for key in mine:
                name = key, stamps[key]
                self._flying[name] = futures[key] = flight.futures[key]
                futures[key].add_done_callback(lambda _, name=name: self._flying.pop(name))
            self._tasks.spawn(self._lead(flight))
        return futures

    def refresh(self, request: Request, key: str, marks: Marks, expires: float) -> None:
        """Load a value that is about to expire again in the background, unless somebody already does."""
        name = key, stamp_of(marks)
        if name not in self._refreshing and name not in self._flying:
            self._refreshing.add(name)
            task = self._tasks.spawn(self._again(_Flight(request, {key: marks}, newer_than=expires + 0.001), key))
            task.add_done_callback(lambda _: self._refreshing.discard(name))

    async def _again(self, flight: _Flight, key: str) -> None:
        try:
            granted, _ = await self._ask(flight, [key])
        except RedisError:
            metrics.REDIS.inc()
            return
        if granted:
            metrics.EARLY.inc()
            await self._load(flight, granted, "refresh")
            if flight.futures[key].exception() is not None:
                metrics.REFRESH_FAILED.inc()

    # --- the leader ---

    async def _lead(self, flight: _Flight) -> None:
        """Load what no other process loads, wait for the rest, until every future of the flight has ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timing.patience
        delay, most = _POLLS
        left = list(flight.futures)
        loads: list[asyncio.Task[None]] = []
        waited = 0
        try:
            while left:
                try:
                    granted, refused = await self._ask(flight, left)
                except RedisError:
                    metrics.REDIS.inc()
                    granted, refused = [], []
                if refused and loop.time() >= deadline:
                    granted, refused = granted + refused, []
                past = [key for key in left if not (key in granted or key in refused or flight.futures[key].done())]
                if granted:
                    loads.append(self._tasks.spawn(self._load(flight, granted, "miss")))
                if past:
                    loads.append(self._tasks.spawn(self._load_direct(flight, past)))
                if left := refused:
                    if not waited:
                        metrics.WAITS.inc(waited := len(left))
                    await asyncio.sleep(delay)
                    delay = min(delay * 1.5, most)
            if loads:
                await asyncio.wait(loads)
        finally:
            for future in flight.futures.values():
                future.cancel()  # nothing to cancel, unless this task was

    async def _ask(self, flight: _Flight, keys: list[str]) -> tuple[list[str], list[str]]:
        """Ask for the leases of `keys`: which were granted, which are somebody else's.

        An entry that has turned up meanwhile ends its key's flight. What is in neither list and has not ended must be
        loaded past the cache. Also reads the generations that an entry loaded from now on will carry.
        """
        request, lease = flight.request, int(self._timing.lease * 1000)
        tags = list(dict.fromkeys(tag for key in keys for tag in request.tags[key]))
        replies = await self._client.batch(
            *[LEASE(self._keys(key), (flight.leases[key], lease)) for key in keys],
            *self._generations.ensure_commands(tags, request.ttl * 1.1 + request.stale),
        )
        marks = self._generations.ensured(tags, replies, len(keys))
        granted: list[str] = []
        refused: list[str] = []
        unneeded: list[str] = []
        for key, reply in zip(keys, replies[: len(keys)], strict=True):
            if isinstance(reply, Exception):
                raise reply
            mine, blob = reply
            now = [marks[tag] for tag in request.tags[key]]
            sure = tuple(mark for mark in now if mark is not None and not held(mark))
            if len(sure) < len(now):
                unneeded.append(key)
            elif self._landed(flight, key, blob, sure):
                unneeded += [key] * mine
            elif mine:
                granted.append(key)
            else:
                refused.append(key)
                flight.aim(key)
        self._give_up(flight, unneeded)
        return granted, refused

    def _landed(self, flight: _Flight, key: str, blob: bytes | None, marks: Marks) -> bool:
        """End the flight of `key` if `blob` is a current entry; else go on under the generations as they are now.

        Those of the last look will do as well: everybody aboard came under them.
        """
        before, flight.marks[key] = flight.marks[key], marks
        if blob is None:
            return False
        stamp = stamp_in(blob)
        known = next((self.unpack(blob, these) for these in (marks, before) if stamp_of(these) == stamp), None)
        if known is None or known.expires <= flight.newer_than:
            return False
        self.keep(key, known)
        flight.land(key, known)
        return True

    def _give_up(self, flight: _Flight, keys: list[str]) -> None:
        if keys:
            self._client.batch(*[RENEW(self._keys(key)[1:], (flight.leases[key], 0)) for key in keys])

    # --- loading ---

    async def _load(self, flight: _Flight, keys: list[str], reason: str) -> None:
        """Run the loader for `keys`, keeping their leases meanwhile, and store what it brings."""
        metrics.LOADS.labels(reason).inc(len(keys))
        renewing = asyncio.create_task(self._renew(flight, keys))
        began = time.perf_counter()
        try:
            values = await flight.request.load(keys)
        except BaseException as error:
            metrics.LOAD_FAILED.inc(len(keys))
            self._give_up(flight, keys)
            flight.fail(keys, error)
            if not isinstance(error, Exception):
                raise
            return
        finally:
            renewing.cancel()
        delta = time.perf_counter() - began
        metrics.LOAD_SECONDS.observe(delta)
        self._fill(flight, keys, values, delta)

    async def _renew(self, flight: _Flight, keys: list[str]) -> None:
        lease = self._timing.lease
        while True:
            await asyncio.sleep(lease / 5)
            await self._client.batch(
                *[RENEW(self._keys(key)[1:], (flight.leases[key], int(lease * 1000))) for key in keys]
            )

    def _fill(self, flight: _Flight, keys: list[str], values: Mapping[str, Any], delta: float) -> None:
        now, ttl, stale = time.time(), flight.request.ttl, flight.request.stale
        fills: list[Any] = []
        for key in keys:
            value = values.get(key)
            try:
                body = self._codec.dumps(value)
            except (TypeError, ValueError) as error:
                self._give_up(flight, [key])
                flight.fail([key], error)
                continue
            life = (ttl if value is not None else min(ttl, NEGATIVE)) * random.uniform(0.9, 1.1)  # noqa: S311 - jitter
            if value is None:
                life = min(life, NEGATIVE)
            # Readers get what a later hit will give: JSON's types, not the loader's.
            known = Known(self._codec.loads(body), now + life, delta, flight.marks[key], len(body))
            blob = pack(Frame(stamp_of(flight.marks[key]), known.expires, delta, body))
            fills.append(FILL(self._keys(key), (blob, max(1, int((life + stale) * 1000)), flight.leases[key])))
            self.keep(key, known)
            flight.land(key, known)
        if fills:
            self._client.batch(*fills).add_done_callback(_count_errors)

    async def _load_direct(self, flight: _Flight, keys: list[str]) -> None:
        try:
            values = await self.direct(flight.request, keys, "held")
        except Exception as error:  # noqa: BLE001 - it belongs to those who wait
            flight.fail(keys, error)
            return
        for key, value in values.items():
            flight.land(key, value)

    async def direct(self, request: Request, keys: Sequence[str], reason: str) -> dict[str, Known]:
        """Load `keys` past the cache."""
        metrics.LOADS.labels(reason).inc(len(keys))
        values = await self._direct.load(keys, request.load)
        codec = self._codec
        return {key: Known(codec.loads(codec.dumps(value)), 0.0, 0.0, None, 0) for key, value in values.items()}

    # --- entries ---

    def unpack(self, blob: bytes, marks: Marks) -> Known | None:
        """The value of an entry; None, and counted, if it is not one."""
        with suppress(ValueError):  # Corrupt is one, and so is bad JSON
            frame = unpack(blob)
            return Known(self._codec.loads(frame.body), frame.expires, frame.delta, marks, len(frame.body))
        metrics.CORRUPT.inc()
        return None

    def keep(self, key: str, known: Known) -> None:
        """Keep a copy in this process."""
        assert known.marks is not None
        self._local.put(key, Copy(stamp_of(known.marks), known.expires, known.delta, known.value, known.size))

    # --- life ---

    async def close(self) -> None:
        """Stop what is under way."""
        await self._tasks.close()
