"""Whole answers as bytes, in the same cache. Their tags are known only once they have been made.

An entry carries the names of its tags beside their stamp. A process that has seen it before asks for the generations
of those tags, and for the entry unless it has a copy, in commands that the caller sends in a batch of its own
(`ByteCache.look`, `Look.commands`, `ByteCache.judge`): one trip. A process that sees it for the first time needs a
second one. The rules are the cache's: served only under the generations that its parts were read under (`Observation`),
one maker at a time in a process and among processes (`lease`), early refresh by one reader chosen at random.

A caller that waited for somebody else to make an answer looks it up again: the answer is served only while its
generations are current. It is made on behalf of all who wait for it (`graph.patterns.fair_queue`).

Failure: without Redis every answer is made anew, and nothing is kept.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from graph.patterns.cache import metrics
from graph.patterns.cache.answer import MADE, Hit, Look, Made, Make, Making, digest_of, hit_of, sure_stamp
from graph.patterns.cache.codec import STAMP_SIZE, Corrupt, Frame, pack, unpack
from graph.patterns.cache.generations import fresh, mark_of
from graph.patterns.cache.lease import Lease, Leases, Polling, is_due, jittered
from graph.patterns.cache.local_copies import Copy, LocalCopies
from graph.patterns.cache.observation import declare, ensure, observing
from graph.patterns.cache.room import Room
from graph.patterns.client import command
from graph.patterns.fair_queue import Sharers
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graph.patterns.cache.generations import Generations, Mark
    from graph.patterns.cache.observation import Observation
    from graph.patterns.client import Client, Command, Replies

MOST_TAGS = 256
"""An answer with more tags is not kept: checking it would cost more than making it."""
_KNOWN = 8192
"""Entries whose tags this process remembers beyond its copies."""
_ANY = bytes(STAMP_SIZE)
"""Stands for the stamp in a lease: the tags of an answer are not known yet when its lease is requested."""

EXPIRING_KEYS = {"response:{*}": "an answer", "response-lease:{*}": "who makes the answer"}
"""Keys with a TTL, below the prefix, and what they hold."""


class _Flight(NamedTuple):
    """An answer that is being made."""

    ended: asyncio.Future[None]
    sharers: Sharers


class ByteCache:
    """Keeps bytes under keys, and under the tags of the values they were made of."""

    def __init__(
        self,
        client: Client,
        generations: Generations,
        *,
        prefix: str = "graph",
        name: str = "response",
        local_bytes: int = 16 << 20,
        lease: float = 0.5,
        patience: float = 2.0,
        beta: float = 1.0,
        room: Room | None = None,
    ) -> None:
        """Store under ``{prefix}:{name}:…``, with `local_bytes` of copies in this process; else as `Cache`.

        `room` may be the one of a `Cache`, to share it.
        """
        self._client = client
        self.generations = generations
        self._prefix = f"{prefix}:{name}"
        self._local = LocalCopies(local_bytes, factor=1)
        self._leases = Leases(client, lease, room or Room(256 << 20))
        self._patience = patience
        self._beta = beta
        self._tags: OrderedDict[str, tuple[str, ...]] = OrderedDict()
        self._checks: dict[tuple[str, ...], tuple[Command, ...]] = {}  # commands that read the generations of some tags
        self._past: OrderedDict[str, bytes] = OrderedDict()  # stamps of entries that were found to be invalid
        self._flights: dict[str, _Flight] = {}
        self._unkept: dict[str, None] = {}  # keys whose last answer could not be kept: nobody waits for the next one
        self._refreshing: dict[str, Sharers] = {}
        self._tasks = Tasks()

    def _keys(self, key: str) -> tuple[str, str]:
        return f"{self._prefix}:{{{key}}}", f"{self._prefix}-lease:{{{key}}}"

    # --- looking ---

    def look(self, key: str) -> Look:
        """The commands whose replies tell whether `key` has a current entry."""
        copy = self._local.get(key, time.time())
        if copy is not None:
            return self.look_at(key, copy)
        tags = self._tags.get(key, ())
        return Look(key, None, tags, self._reads([self._keys(key)[0], *map(self.generations.key, tags)]))

    def look_at(self, key: str, copy: Copy) -> Look:
        """The commands whose replies tell whether `copy` is the current entry of `key`."""
        commands = self._checks.get(copy.tags)
        if commands is None:
            if len(self._checks) >= _KNOWN:
                self._checks.clear()
            commands = self._checks[copy.tags] = self._reads([self.generations.key(tag) for tag in copy.tags])
        return Look(key, copy, copy.tags, commands)

    def _reads(self, names: Sequence[str]) -> tuple[Command, ...]:
        if self._client.clustered:
            return tuple(command("GET", name) for name in names)
        return (command("MGET", *names),) if names else ()

    def copy(self, key: str, now: float) -> Copy | None:
        """This process's copy of an entry. Serve it only under current generations, as `judge` does."""
        return self._local.get(key, now)

    def judge(self, look: Look, replies: Replies, place: int = 0) -> Hit | None:
        """Read the replies to a look, which begin at `place`; None when they do not suffice (then call `again`)."""
        values: list[tuple[bytes | None, bytes]] = []
        for i in range(place, place + len(look.commands)):
            reply, run_id = replies[i], replies.run_id_of(i)
            if isinstance(reply, Exception):
                return None
            values += [(value, run_id) for value in reply] if isinstance(reply, list) else [(reply, run_id)]  # pyright: ignore[reportUnknownVariableType] - MGET's
        if look.copy is not None:
            stamp = sure_stamp([mark_of(*value) for value in values])
            return hit_of(look.copy) if stamp == look.copy.stamp else None
        copy = self._unpack(look.key, values[0][0])
        if copy is None or copy.tags != look.tags:
            return None
        stamp = sure_stamp([mark_of(*value) for value in values[1:]])
        if copy.stamp != stamp:
            if stamp is not None:
                _remember(self._past, look.key, copy.stamp)
            return None
        self._local.put(look.key, copy, time.time())
        return hit_of(copy)

    async def settle(self, look: Look, replies: Replies, place: int = 0) -> Hit | None:
        """Do `judge`, and then `again` where the replies show that the entry may have been replaced."""
        hit = self.judge(look, replies, place)
        if hit is None and (look.copy is not None or self._tags.get(look.key, ()) != look.tags):
            return await self.again(look.key)
        return hit

    async def again(self, key: str) -> Hit | None:
        """Look up `key` from the start: for an entry that was replaced, or that this process has never seen."""
        self._local.drop(key)
        for _ in range(2):  # the first look may only reveal the tags
            look = self.look(key)
            hit = self.judge(look, await self._client.batch(*look.commands))
            if hit is not None or self._tags.get(key, ()) == look.tags:
                return hit
        return None

    def _unpack(self, key: str, blob: bytes | None) -> Copy | None:
        if blob is None:
            return None
        try:
            frame = unpack(blob)
            made = MADE.unpack_from(frame.body)[0]
        except (Corrupt, struct.error):
            metrics.CORRUPT.inc()
            return None
        _remember(self._tags, key, frame.tags)
        if frame.expires <= time.time():
            return None
        body = frame.body[MADE.size :]
        return Copy(frame.stamp, frame.expires, frame.delta, (body, digest_of(body), made), len(body), frame.tags)

    def due(self, hit: Hit) -> bool:
        """Whether this reader, chosen at random, refreshes the entry before it expires."""
        return is_due(hit.expires, hit.delta, self._beta)

    # --- making ---

    async def bring(
        self, key: str, make: Make, tags: Sequence[str] = (), *, public: bool = False, outdated: bytes | None = None
    ) -> Hit | None:
        """Make the entry of `key` and keep it, unless somebody else makes it meanwhile: then return that hit.

        None means that `make` was called and has finished. `tags` invalidate the entry in addition to the tags of the
        cached values that it reads. `public` says that everybody gets this entry; `outdated` is the stamp of one that
        the caller knows not to be current. Cancelling the caller does not stop the work.
        """
        if (refreshing := self._refreshing.get(key)) is not None:  # it has the lease
            refreshing.join()
        flight = self._flights.get(key)
        if flight is not None and key not in self._unkept:
            flight.sharers.join()
            await asyncio.wait((flight.ended,), timeout=self._patience)
            if (hit := await self.again(key)) is not None:
                return hit
        mine = _Flight(asyncio.get_running_loop().create_future(), Sharers())
        self._flights.setdefault(key, mine)
        return await asyncio.shield(self._tasks.spawn(self._lead(key, Making(make, tags, public, outdated), mine)))

    def refresh(self, key: str, hit: Hit, make: Make, tags: Sequence[str] = ()) -> None:
        """Make the entry of `key` again in the background, unless somebody else is doing so or has done so."""
        if key not in self._refreshing and key not in self._flights:
            self._refreshing[key] = Sharers()
            task = self._tasks.spawn(self._again(key, hit, Making(make, tags)))
            task.add_done_callback(lambda _: self._refreshing.pop(key))

    async def _again(self, key: str, hit: Hit, making: Making) -> None:
        self._refreshing[key].work()
        try:
            lease, newer, marks = await self._ask(key, making.tags)
        except RedisError:
            metrics.REDIS.inc()
            return
        if lease is not None and newer is not None and newer.expires > hit.expires:
            self._local.drop(key)
            self._leases.give_up([lease])
        elif lease is not None:
            metrics.EARLY.inc()
            await self._make(key, lease, making, marks)

    async def _lead(self, key: str, making: Making, mine: _Flight) -> Hit | None:
        mine.sharers.work()
        try:
            return await self._share(key, making)
        finally:
            if self._flights.get(key) is mine:
                del self._flights[key]
            mine.ended.set_result(None)

    async def _share(self, key: str, making: Making) -> Hit | None:
        """Wait while another process makes the entry; make it here when none does, or when that takes too long."""
        deadline = time.monotonic() + self._patience
        polling = Polling()
        lease, marks = None, None
        while time.monotonic() < deadline:
            try:
                lease, entry, marks = await self._ask(key, making.tags)
            except RedisError:
                metrics.REDIS.inc()
                break
            other = entry is not None and entry.stamp not in {making.outdated, self._past.get(key)}
            if other and (hit := await self.again(key)) is not None:
                if lease is not None:
                    self._leases.give_up([lease])
                return hit
            if lease is not None or key in self._unkept:
                break
            await polling.pause()
        await self._make(key, lease, making, marks)
        return None

    async def _ask(self, key: str, tags: Sequence[str]) -> tuple[Lease | None, Copy | None, list[Mark]]:
        """Request the lease of `key` (None if another process has it); with it the entry, and the marks of `tags`."""
        lease = Lease(*self._keys(key), _ANY + fresh().encode())
        reply, marks = await ensure(tags, self._client, self.generations, self._leases.ask(lease))
        return (lease if reply[0] else None), self._unpack(key, reply[1]), marks

    async def _make(self, key: str, lease: Lease | None, making: Making, marks: list[Mark] | None) -> None:
        began = time.perf_counter()
        kept = False
        try:
            # What cannot be kept is made each time, of values that then should be found.
            leased = making.public and lease is not None and key not in self._unkept
            with self._leases.keeping([lease] if lease is not None else []), observing(leased=leased) as observed:
                await declare(observed, making.tags, self._client, self.generations, marks)
                made = await making.make()
            kept = made is not None and lease is not None and self._fill(key, lease, made, observed, began)
        finally:
            self._past.pop(key, None)
            if lease is not None and not kept:
                self._leases.give_up([lease])
                self._unkept[key] = None
            if len(self._unkept) > _KNOWN or kept:
                self._unkept.pop(key if kept else next(iter(self._unkept)), None)

    def _fill(self, key: str, lease: Lease, made: Made, observed: Observation, began: float) -> bool:
        """Keep the answer, if all values it was made of are known."""
        now = time.time()
        delta = time.perf_counter() - began
        expires = min(now + jittered(made.max_age), observed.expires)
        if not observed.certain or len(observed.marks) > MOST_TAGS or expires <= now:
            return False
        tags, stamp = observed.tags, observed.stamp
        assert stamp is not None
        blob = pack(Frame(stamp, expires, delta, MADE.pack(now) + made.body, tags))
        self._leases.fill([lease], [blob], [expires - now])
        _remember(self._tags, key, tags)
        body = bytes(memoryview(made.body))  # what orjson wrote has room for thousands of bytes more behind it
        value = body, made.digest or digest_of(body), now
        self._local.put(key, Copy(stamp, expires, delta, value, len(body), tags), now)
        return True

    async def observed(self, make: Callable[[], Awaitable[object]], tags: Sequence[str] = ()) -> Observation:
        """Call `make` as `bring` does, but keep nothing: what it read, beginning with `tags`."""
        with observing() as observed:
            await declare(observed, tags, self._client, self.generations)
            await make()
        return observed

    # --- life ---

    async def close(self) -> None:
        """Stop all work in progress."""
        await self._tasks.close()


def _remember(known: OrderedDict[str, Any], key: str, value: object) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > _KNOWN:
        known.popitem(last=False)
