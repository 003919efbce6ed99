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
import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from graph.patterns.cache import metrics
from graph.patterns.cache.codec import STAMP_SIZE
from graph.patterns.cache.entries import Look, values_in
from graph.patterns.cache.generations import fresh, mark_of
from graph.patterns.cache.lease import Claim, Lease, Leases, Polling, Room
from graph.patterns.cache.making import AnswerFlight, MadeEntries, Making, Work, sure
from graph.patterns.cache.observation import declare, observing
from graph.patterns.fair_queue import Sharers
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graph.patterns.cache.entries import Hit, Make
    from graph.patterns.cache.generations import Generations, Mark
    from graph.patterns.cache.lease import Granted
    from graph.patterns.cache.local_copies import Copy
    from graph.patterns.cache.observation import Observation
    from graph.patterns.client import Client, Command, Replies

_ANY = bytes(STAMP_SIZE)
"""Stands for the stamp in a lease: the tags of an answer are not known yet when its lease is requested."""

EXPIRING_KEYS = {"response:{*}": "an answer", "response-lease:{*}": "who makes the answer"}
"""Keys with a TTL, below the prefix, and what they hold."""


class ByteCache(MadeEntries):
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
        leases = Leases(client, lease, room or Room(256 << 20))
        super().__init__(client, generations, f"{prefix}:{name}", local_bytes, beta, leases=leases)
        self._patience = patience
        self._flights: dict[str, AnswerFlight] = {}
        self._refreshing: dict[str, Sharers] = {}
        self._tasks = Tasks()

    # --- looking, and requesting the lease in the same trip ---

    def claim(self, key: str, kind: str = "", tags: Sequence[str] = ()) -> Look | None:
        """A look that requests the lease as well, to be granted where there is no entry: see `granted`.

        None where this process knows something of `key`. The generations of `tags`, and those that an answer of this
        `kind` will probably need, are read in the same trip.
        """
        if key in self._tags or key in self._flights or key in self._unkept or self._local.get(key, time.time()):
            return None
        lease = self._lease(key)
        claim = Claim(lease, tuple(tags), self._foresight.tags(kind))
        reads = self._reads((*claim.tags, *claim.foreseen))
        return Look(key, None, (), (self._leases.ask(lease, unless_found=True), *reads), claim)

    def renew(self, look: Look, replies: Replies, place: int, kind: str, tags: Sequence[str]) -> Look:
        """A look that requests the lease of an entry which the replies to `look` have shown not to be current.

        What they told of generations need not be asked again. It has no commands where the answer is being made in this
        process, or cannot be kept. Else as `claim`.
        """
        key = look.key
        if key in self._flights or key in self._unkept:
            return Look(key, None, look.tags, ())
        values = values_in(replies, place, place + len(look.commands)) or []
        marks = dict(zip(look.tags, [mark_of(*one) for one in values[len(values) - len(look.tags) :]], strict=False))
        outdated = self._past.get(key) if look.copy is None else look.copy.stamp
        foreseen = tuple(tag for tag in self._foresight.tags(kind) if tag not in marks)
        lease = self._lease(key)
        claim = Claim(lease, tuple(tags), foreseen, marks, outdated)
        return Look(key, None, look.tags, (self._leases.ask(lease), *self._reads(foreseen)), claim)

    def _lease(self, key: str) -> Lease:
        return Lease(*self.keys(key), _ANY + fresh().encode())

    def _reads(self, tags: Sequence[str]) -> tuple[Command, ...]:
        return self.reads(self.generations.keys(tags))

    # --- making ---

    async def bring(
        self,
        key: str,
        make: Make,
        tags: Sequence[str] = (),
        *,
        public: bool = False,
        outdated: bytes | None = None,
        kind: str = "",
        granted: Granted | None = None,
        stays: bool = False,
    ) -> Hit | None:
        """Make the entry of `key` and keep it, unless somebody else makes it meanwhile: then return that hit.

        None means that `make` was called and has finished: the answer is kept once the caller has gone on with it.
        `tags` invalidate the entry in addition to the tags of the cached values that it reads. `public` says that
        everybody gets this entry; `outdated` is the stamp of one that the caller knows not to be current. `granted` is
        a lease that the caller has; answers of one `kind` are made alike. Cancelling the caller does not stop the work,
        unless it says that it `stays`: then the answer is made in its own task, which takes fewer turns of the loop.
        """
        if (refreshing := self._refreshing.get(key)) is not None:  # it has the lease
            refreshing.join()
        flight = self._flights.get(key)
        if flight is not None and key not in self._unkept:
            if granted is not None:  # whoever makes it here waits for the lease
                granted.give_up()
            flight.sharers.join()
            await asyncio.wait((flight.ended,), timeout=self._patience)
            if (hit := await self.again(key)) is not None:
                return hit
            # Outdated again. What is begun after the caller came has all that was acknowledged before it came.
            later = self._flights.get(key)
            if later is not None and later is not flight:
                later.sharers.join()
                await asyncio.wait((later.ended,), timeout=self._patience)
                if (hit := await self.again(key) if later.granted else later.hit) is not None:
                    return hit
        mine = AnswerFlight(granted=granted is not None)
        self._flights.setdefault(key, mine)
        making = Making(make, tags, public, outdated, kind)
        if granted is not None:
            making = making._replace(lease=granted.take(), marks=granted.marks, foreseen=granted.foreseen)
        if stays and making.lease is not None:
            await self._make_here(key, making, mine)
            return None
        self._tasks.spawn(self._lead(key, making, mine))
        return await mine.found

    def refresh(self, key: str, hit: Hit, make: Make, tags: Sequence[str] = ()) -> None:
        """Make the entry of `key` again in the background, unless somebody else is doing so or has done so."""
        if key not in self._refreshing and key not in self._flights:
            self._refreshing[key] = Sharers()
            task = self._tasks.spawn(self._again(key, hit, Making(make, tags)))
            task.add_done_callback(lambda _: self._refreshing.pop(key))

    async def _again(self, key: str, hit: Hit, making: Making) -> None:
        self._refreshing[key].work()
        try:
            lease, newer, marks, _ = await self._ask(key, making)
        except RedisError:
            metrics.REDIS.inc()
            return
        if lease is not None and newer is not None and newer.expires > hit.expires:
            self._local.drop(key)
            self._leases.give_up([lease])
        elif lease is not None:
            metrics.EARLY.inc()
            await self._make(Work(key, making, lease, marks))

    async def _make_here(self, key: str, making: Making, mine: AnswerFlight) -> None:
        """Do `_lead` for a caller that has the lease, in its own task; the answer is kept once it has gone on."""
        work = Work(key, making, making.lease, sure(making.told()), mine)
        try:
            with mine.sharers.working():
                await self._execute(work)
        except BaseException:
            self._end(work)
            self._land(key, mine)
            raise
        self._tasks.spawn(self._keep_behind(work, mine))

    async def _keep_behind(self, work: Work, mine: AnswerFlight) -> None:
        mine.sharers.work()
        try:
            await self._keep(work)
        finally:
            self._end(work)
            self._land(work.key, mine)

    async def _lead(self, key: str, making: Making, mine: AnswerFlight) -> None:
        mine.sharers.work()
        try:
            if (hit := await self._share(key, making, mine)) is not None:
                mine.hit = hit
            mine.hand_out(hit)
        except Exception as error:
            if not mine.found.done():
                mine.found.set_exception(error)
            elif not mine.found.cancelled():
                raise  # the caller has gone on: it is nobody's
        finally:
            self._land(key, mine)

    def _land(self, key: str, mine: AnswerFlight) -> None:
        mine.found.cancel()
        if self._flights.get(key) is mine:
            del self._flights[key]
        mine.ended.set_result(None)

    async def _share(self, key: str, making: Making, mine: AnswerFlight) -> Hit | None:
        """Wait while another process makes the entry; make it here when none does, or when that takes too long."""
        deadline = time.monotonic() + self._patience
        polling = Polling()
        lease, foreseen = making.lease, making.foreseen
        marks: Sequence[Mark] | None = making.told()
        while lease is None and time.monotonic() < deadline:
            try:
                lease, entry, marks, foreseen = await self._ask(key, making)
            except RedisError:
                metrics.REDIS.inc()
                break
            other = entry is not None and entry.stamp not in {making.outdated, self._past.get(key)}
            granted = [lease] if lease is not None else []
            with self._leases.guarding(granted):
                hit = await self.again(key) if other else None
            if hit is not None:
                self._leases.give_up(granted)
                return hit
            if lease is not None or key in self._unkept:
                break
            await polling.pause()
        making = making._replace(foreseen=foreseen)
        await self._make(Work(key, making, lease, sure(marks), mine))
        return None

    async def _ask(self, key: str, making: Making) -> tuple[Lease | None, Copy | None, list[Mark], Mapping[str, Mark]]:
        """Request the lease of `key` (None if another process has it); with it the entry, and marks.

        These are first those of the tags that the answer has in any case, then those that it will probably need.
        """
        lease, needed = self._lease(key), self._foresight.tags(making.kind)
        reads = self._reads(needed)
        start = 1 + len(reads)
        ensuring = self.generations.ensure_commands(making.tags, 0)
        with self._leases.guarding([lease]):
            replies = await self._client.batch(self._leases.ask(lease), *reads, *ensuring)
            marks = list(self.generations.ensured(making.tags, replies, start).values())
            reply = replies[0]
            if isinstance(reply, Exception):
                raise reply
        values = values_in(replies, 1, start) or []
        foreseen = dict(zip(needed, [mark_of(*value) for value in values], strict=False))
        return (lease if reply[0] else None), self._unpack(key, reply[1]), marks, foreseen

    async def _make(self, work: Work) -> None:
        """Make an answer, and keep it once it has been handed out."""
        try:
            await self._execute(work)
            if work.made is not None and work.lease is not None:
                await asyncio.sleep(0)  # the caller sends the answer first
                await self._keep(work)
        finally:
            self._end(work)

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
