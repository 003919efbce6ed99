"""One load per expiry: callers of one process share a flight, processes share a lease.

A flight belongs to a key and a stamp, so nobody joins a load that began before a write that must be seen. It runs in a
task of its own, which goes on when a caller is cancelled. The leader asks Redis for the key's lease (`lease`). A leader
that does not get it looks for the entry every few milliseconds, and loads as well when that takes too long. Entries
live up to a tenth longer or shorter than requested, so that they do not all expire at once. A flight works on behalf of
all who wait for it, so nobody waits for the backlog of whoever came first (`graph.patterns.fair_queue`).
What is loaded for a result that has a lease of its own needs no flight (`direct_loads`).

Failure: when Redis fails meanwhile, the load goes on without it (`direct_loads`). What a loader raises is raised to
every caller of the flight, and nothing is stored.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from graph.patterns.cache import metrics
from graph.patterns.cache.codec import Frame, pack, stamp_in, unpack
from graph.patterns.cache.direct_loads import load_unstored
from graph.patterns.cache.flight import Flight, Known, Marks, Request, Timing, loaded
from graph.patterns.cache.generations import held, stamp_of
from graph.patterns.cache.lease import Lease, Leases, Polling
from graph.patterns.cache.local_copies import Copy
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.patterns.cache.codec import JsonCodec
    from graph.patterns.cache.direct_loads import DirectLoads, Loads
    from graph.patterns.cache.generations import Generations
    from graph.patterns.cache.lease import Room
    from graph.patterns.cache.local_copies import LocalCopies
    from graph.patterns.client import Client

EXPIRING_KEYS = {"cache:{*}": "a value", "lease:{*}": "who loads the value"}
"""Keys with a TTL, below the prefix, and what they hold."""


class Flights:
    """Loads values that are not in the cache, once for everybody."""

    def __init__(
        self,
        client: Client,
        generations: Generations,
        *,
        direct: DirectLoads,
        local: LocalCopies,
        codec: JsonCodec,
        prefix: str,
        timing: Timing,
        room: Room,
    ) -> None:
        """Use the parts of a `Cache`."""
        self._client = client
        self._generations = generations
        self._direct = direct
        self._local = local
        self._codec = codec
        self._prefix = prefix
        self._patience = timing.patience
        self._leases = Leases(client, timing.lease, room)
        self._flying: dict[tuple[str, bytes], Flight] = {}
        self._refreshing: dict[tuple[str, bytes], Flight] = {}
        self._tasks = Tasks()

    def entry_key(self, key: str) -> str:
        """The Redis key of an entry."""
        return f"{self._prefix}:cache:{{{key}}}"

    def _keys(self, key: str) -> tuple[str, str]:
        return self.entry_key(key), f"{self._prefix}:lease:{{{key}}}"

    # --- what callers do ---

    def join(self, request: Request, marks: Mapping[str, Marks]) -> dict[str, asyncio.Future[Known]]:
        """The futures of values loaded under `marks` or later, of which each is the caller's own."""
        futures: dict[str, asyncio.Future[Known]] = {}
        mine: dict[str, Marks] = {}
        stamps = {key: stamp_of(now) for key, now in marks.items()}
        for key, now in marks.items():
            if (flying := self._flying.get((key, stamps[key]))) is not None:
                flying.sharers.join()
                futures[key] = flying.follow(key)
            else:
                mine[key] = now
            if (refreshing := self._refreshing.get((key, stamps[key]))) is not None:  # it has the lease
                refreshing.sharers.join()
        if mine:
            flight = Flight(request, mine, self._keys, newer_than=time.time())
            for key in mine:
                name = key, stamps[key]
                self._flying[name] = flight
                futures[key] = flight.follow(key)
                flight.futures[key].add_done_callback(lambda _, name=name: self._flying.pop(name))
            self._tasks.spawn(self._lead(flight))
        return futures

    async def unstored(
        self, request: Request, marks: Mapping[str, Marks], loads: Loads
    ) -> dict[str, Known | Exception]:
        """Values loaded under `marks` or later for a result that has a lease of its own; nothing is stored."""
        flying = {key: now for key, now in marks.items() if (key, stamp_of(now)) in self._flying}
        alone = {key: now for key, now in marks.items() if key not in flying} if flying else marks
        found = await load_unstored(request, alone, self._codec, loads) if alone else {}
        for key, future in self.join(request, flying).items() if flying else ():
            try:
                found[key] = await future
            except Exception as error:  # noqa: BLE001 - it belongs to the caller
                found[key] = error
        return found

    def refresh(self, request: Request, key: str, marks: Marks, expires: float) -> None:
        """Reload a value that is about to expire, in the background, unless somebody already does."""
        name = key, stamp_of(marks)
        if name not in self._refreshing and name not in self._flying:
            flight = self._refreshing[name] = Flight(request, {key: marks}, self._keys, newer_than=expires + 0.001)
            task = self._tasks.spawn(self._again(flight, key))
            task.add_done_callback(lambda _: self._refreshing.pop(name))

    async def _again(self, flight: Flight, key: str) -> None:
        flight.sharers.work()
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

    async def _lead(self, flight: Flight) -> None:
        """Load what no other process loads and wait for the rest, until every future of the flight is done."""
        flight.sharers.work()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        polling = Polling()
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
                left = refused
                if granted and not (past or left or loads):  # nothing else is to be done meanwhile
                    await self._load(flight, granted, "miss")
                    return
                if granted:
                    loads.append(self._tasks.spawn(self._load(flight, granted, "miss")))
                if past:
                    loads.append(self._tasks.spawn(self._load_direct(flight, past)))
                if left:
                    if not waited:
                        metrics.WAITS.inc(waited := len(left))
                    await polling.pause()
            if loads:
                await asyncio.wait(loads)
        finally:
            flight.abandon()  # has an effect only if this task was cancelled

    async def _ask(self, flight: Flight, keys: list[str]) -> tuple[list[str], list[str]]:
        """Request the leases of `keys`: return those that were granted and those that another process has.

        An entry that has appeared meanwhile ends the flight of its key. A key that is in neither list and has not ended
        must be loaded past the cache. Also reads the generations that an entry loaded from now on will carry.
        """
        request = flight.request
        tags = list(dict.fromkeys(tag for key in keys for tag in request.tags[key]))
        asked = [flight.leases[key] for key in keys]
        with self._leases.guarding(asked):
            replies = await self._client.batch(
                *[self._leases.ask(lease) for lease in asked],
                *self._generations.ensure_commands(tags, request.ttl * 1.1 + request.stale),
            )
            marks = self._generations.ensured(tags, replies, len(keys))
            for reply in replies[: len(keys)]:
                if isinstance(reply, Exception):
                    raise reply
        granted: list[str] = []
        refused: list[str] = []
        unneeded: list[str] = []
        for key, reply in zip(keys, replies[: len(keys)], strict=True):
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
        self._leases.give_up(flight.leases[key] for key in unneeded)
        return granted, refused

    def _landed(self, flight: Flight, key: str, blob: bytes | None, marks: Marks) -> bool:
        """End the flight of `key` if `blob` is a current entry; else go on under the present generations.

        The generations of the last look are accepted, too: every caller of the flight joined under them.
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

    # --- loading ---

    async def _load(self, flight: Flight, keys: list[str], reason: str) -> None:
        """Run the loader for `keys`, renewing their leases meanwhile, and store what it returns."""
        made = await self._run(flight, keys, reason, [flight.leases[key] for key in keys])
        if made is not None:
            self._fill(flight, keys, *made)

    async def _run(
        self, flight: Flight, keys: list[str], reason: str, leases: Sequence[Lease]
    ) -> tuple[Mapping[str, Any], float] | None:
        """What the loader gives for `keys`, and the seconds it took, renewing `leases` meanwhile; None if it failed."""
        metrics.LOADS.labels(reason).inc(len(keys))
        began = time.perf_counter()
        try:
            with self._leases.keeping(leases):
                values = await flight.request.load(keys)
        except BaseException as error:
            metrics.LOAD_FAILED.inc(len(keys))
            self._leases.give_up(leases)
            flight.fail(keys, error)
            if not isinstance(error, Exception):
                raise
            return None
        delta = time.perf_counter() - began
        metrics.LOAD_SECONDS.observe(delta)
        return values, delta

    def _fill(self, flight: Flight, keys: list[str], values: Mapping[str, Any], delta: float) -> None:
        filled: list[Lease] = []
        blobs: list[bytes] = []
        lives: list[float] = []
        for key in keys:
            try:
                known, body = loaded(self._codec, flight.request, flight.marks[key], values.get(key), delta)
            except (TypeError, ValueError) as error:
                self._leases.give_up([flight.leases[key]])
                flight.fail([key], error)
                continue
            filled.append(flight.leases[key])
            blobs.append(pack(Frame(stamp_of(flight.marks[key]), known.expires, delta, body)))
            lives.append(known.expires - time.time() + flight.request.stale)  # others of the batch took time to pack
            self.keep(key, known)
            flight.land(key, known)
        self._leases.fill(filled, blobs, lives)

    async def _load_direct(self, flight: Flight, keys: list[str]) -> None:
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
        """The value of an entry; None if it is damaged or foreign, which is counted."""
        with suppress(ValueError):  # Corrupt is one, and so is bad JSON
            frame = unpack(blob)
            return Known(self._codec.loads(frame.body), frame.expires, frame.delta, marks, len(frame.body))
        metrics.CORRUPT.inc()
        return None

    def keep(self, key: str, known: Known) -> None:
        """Keep a copy in this process."""
        assert known.marks is not None
        copy = Copy(stamp_of(known.marks), known.expires, known.delta, known.value, known.size)
        self._local.put(key, copy, time.time())

    # --- life ---

    async def close(self) -> None:
        """Stop all work in progress."""
        await self._tasks.close()
