"""A cache in Redis that never serves a value older than an acknowledged write, and loads each value once an expiry.

Cache-aside with tags: every value names the tags (``product:7``, ``products``) whose writes outdate it, and a writer
brackets its transaction with ``async with cache.invalidating(...)``. These modules explain how the guarantees are
met: `generations` (no stale read), `flights` and `lease` (one load per expiry), `direct_loads` (Redis away, or a writer
at work), `local_copies` (copies in this process), `metrics` (what is counted).

A read is one round trip: it fetches the entries and the generations of their tags in one batch, or only the
generations where this process still has a copy. A value that is about to expire is reloaded in the background; the
longer it takes to load, the earlier that happens (XFetch: see `lease`).

Values are JSON and shared between callers: treat them as immutable. None means that there is no such value, and is
remembered for at most 5 s. A foreign or damaged entry is treated and counted as a miss.

Failure: while Redis is away every read calls its loader. The caller gets what a loader raises, unless it allows a
value past its time to live (``stale``); even such a value must match the current generations.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from graph.patterns.cache import metrics
from graph.patterns.cache.codec import JsonCodec, stamp_in
from graph.patterns.cache.direct_loads import DirectLoads
from graph.patterns.cache.flight import Known, Request, SeenEntries, Timing
from graph.patterns.cache.flights import Flights
from graph.patterns.cache.generations import Generations, mark_of, stamp_of
from graph.patterns.cache.lease import Room, is_due
from graph.patterns.cache.local_copies import LocalCopies
from graph.patterns.cache.observation import current_observation, foreseen, note_read
from graph.patterns.client import RedisUnavailable, command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from graph.patterns.cache.flight import Marks
    from graph.patterns.cache.local_copies import Copy
    from graph.patterns.client import Client, Command, Replies

_FEW = 4
"""So many tags are read by a script each, which creates what is missing, where a value has to be loaded anyway."""
_AWAY = 1.0
"""Seconds for which Redis is not asked again after it kept a reader waiting too long."""


class Cache:
    """Reads values through Redis, and invalidates them on writes."""

    def __init__(
        self,
        client: Client,
        *,
        prefix: str = "graph",
        l1_bytes: int = 16 << 20,
        hold: float = 10.0,
        lease: float = 0.5,
        patience: float = 5.0,
        deadline: float = 1.0,
        direct: int = 16,
        beta: float = 1.0,
        codec: JsonCodec | None = None,
        room: int = 256 << 20,
    ) -> None:
        """Bounds in seconds, bytes and counts.

        `room` limits what this process stores in Redis, `l1_bytes` the copies in this process. `hold` is how long a
        writer's hold outlives the writer, `lease` the same for a loader's lease. A reader waits `patience` for a load
        elsewhere before loading as well, and `deadline` for Redis before going on without it. At most `direct` loads
        run at a time while Redis cannot coordinate them. A larger `beta` refreshes earlier; 0 never does.
        """
        self._client = client
        self._beta = beta
        self._deadline = deadline
        self._away_until = 0.0
        self.generations = Generations(client, prefix=prefix, hold=hold, patience=patience)
        self._local = LocalCopies(l1_bytes)
        self._direct = DirectLoads(direct)
        self.room = Room(room)
        self._flights = Flights(
            client,
            self.generations,
            direct=self._direct,
            local=self._local,
            codec=codec or JsonCodec(),
            prefix=prefix,
            timing=Timing(lease, patience),
            room=self.room,
        )

    # --- reading ---

    async def get(
        self,
        key: str,
        load: Callable[[], Awaitable[Any]],
        *,
        tags: Sequence[str],
        ttl: float = 300.0,
        stale: float = 0.0,
        exact: bool = False,
    ) -> Any:
        """The value of `key`: from the cache if it is current, else from `load`, after which it is cached.

        `load` returns a JSON value, or None where there is none. It runs in a task of its own, so cancelling the caller
        does not stop it. `tags` must be the same at every read of `key`. The value lives `ttl` seconds, give or
        take a tenth; if `load` raises, it is served for `stale` seconds more. `exact` promises that `load` returns
        nothing but what comes out of JSON (lists, not tuples), so that its value need not go through it.
        """

        async def load_one(_: Sequence[str]) -> Mapping[str, Any]:
            return {key: await load()}

        found = await self._read((key,), Request(load_one, {key: tuple(tags)}, ttl, stale, exact))
        return found[key]

    async def get_many(
        self,
        keys: Sequence[str],
        load: Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]],
        *,
        tags: Callable[[str], Sequence[str]],
        ttl: float = 300.0,
        stale: float = 0.0,
    ) -> dict[str, Any]:
        """The values of all `keys` in one round trip; one call of `load` fetches those that are missing.

        `load` leaves out keys that do not exist; they are None in the result. Everything else is as in `get`.
        """
        names = tuple(dict.fromkeys(keys))
        return await self._read(names, Request(load, {key: tuple(tags(key)) for key in names}, ttl, stale))

    # --- writing ---

    def invalidating(self, *tags: str) -> AbstractAsyncContextManager[None]:
        """Bracket the transaction of a write; see `Generations.invalidating`."""
        return self.generations.invalidating(*tags)

    async def invalidate(self, *tags: str, then: Sequence[str] = ()) -> None:
        """Invalidate everything under `tags`, for a change made elsewhere, and after that what is under `then`."""
        await self.generations.invalidate(*tags, then=then)

    async def close(self) -> None:
        """Stop the loads and confirmations in the background."""
        await asyncio.gather(self._flights.close(), self._direct.close(), self.generations.close())

    # --- how ---

    async def _read(self, keys: tuple[str, ...], request: Request) -> dict[str, Any]:
        try:
            marks = foreseen(keys, request.tags) if not request.stale else None  # an entry may have to do in the end
            sight = await self._look(keys, request) if marks is None else SeenEntries(self._copies(keys), {}, marks)
        except (RedisError, TimeoutError) as error:
            metrics.REDIS.inc()
            if isinstance(error, TimeoutError):  # Redis does not answer: spare the next readers the wait
                self._away_until = time.monotonic() + _AWAY
            metrics.DIRECT.inc(len(keys))
            if (observed := current_observation()) is not None:
                observed.note_away(tuple(tag for key in keys for tag in request.tags[key]))
            loaded = await self._flights.direct(request, keys, "direct")
            return {key: known.value for key, known in loaded.items()}
        found: dict[str, Any] = {}
        stale: dict[str, Known] = {}
        missed: dict[str, Marks] = {}
        past: list[str] = []
        now = time.time()
        for key in keys:
            marks = sight.certain(request.tags[key])
            if marks is None:
                past.append(key)
                continue
            known = self._current(key, marks, sight)
            if known is None:
                missed[key] = marks
            elif known.expires > now:
                found[key] = known.value
                note_read(request.tags[key], known)
                if is_due(known.expires, known.delta, self._beta):
                    self._flights.refresh(request, key, marks, known.expires)
            else:
                stale[key] = known
                missed[key] = marks
        if past or missed:
            await self._bring(request, past, missed, stale, found)
        return found

    async def _bring(
        self,
        request: Request,
        past: list[str],
        missed: dict[str, Marks],
        stale: dict[str, Known],
        found: dict[str, Any],
    ) -> None:
        if past:
            metrics.HELD.inc(len(past))
        metrics.MISS.inc(len(missed))
        observed = current_observation()
        if observed is not None and observed.lease is not None and missed:
            observed.lease.missed.update((tag, None) for key in missed for tag in request.tags[key])
            got = await self._flights.unstored(request, missed, observed.lease.loads)
            for key, one in got.items():
                self._found(request, key, one, stale, found)
            missed = {}
        futures = self._flights.join(request, missed)
        if past:
            note_read([tag for key in past for tag in request.tags[key]], None)
            loaded = await self._flights.direct(request, past, "held")
            found.update((key, known.value) for key, known in loaded.items())
        for key, future in futures.items():
            try:
                known = await future
            except Exception as error:  # noqa: BLE001 - raised below, unless it is forgiven
                known = error
            self._found(request, key, known, stale, found)

    @staticmethod
    def _found(
        request: Request, key: str, known: Known | Exception, stale: dict[str, Known], found: dict[str, Any]
    ) -> None:
        """Note what was loaded of `key`; where that failed, the value that is over for less than `request.stale`."""
        if isinstance(known, Exception):
            if key not in stale or not request.stale:
                raise known
            metrics.STALE.inc()
            known = stale[key]._replace(marks=None)
        found[key] = known.value
        note_read(request.tags[key], known)

    def _current(self, key: str, marks: Marks, sight: SeenEntries) -> Known | None:
        """The value of `key`, if it was loaded under `marks`; its time to live may be over."""
        stamp = stamp_of(marks)
        copy = sight.copies.get(key)
        if copy is not None and copy.stamp == stamp:
            metrics.LOCAL.inc()
            return Known(copy.value, copy.expires, copy.delta, marks, 0)
        blob = sight.blobs.get(key)
        if blob is None or stamp_in(blob) != stamp:
            return None
        known = self._flights.unpack(blob, marks)
        if known is not None and known.expires > time.time():
            metrics.HIT.inc()
            self._flights.keep(key, known)
        return known

    async def _look(self, keys: tuple[str, ...], request: Request) -> SeenEntries:
        """Read entries and generations in one trip; a second one replaces copies and tags found outdated."""
        tags = list(dict.fromkeys(tag for key in keys for tag in request.tags[key]))
        sight = SeenEntries(self._copies(keys), {}, {})
        if not sight.copies and len(tags) <= _FEW and (seen := current_observation()) is not None and seen.lease:
            sight.marks.update(seen.lease.sure(keys, tags))
            await self._fetch_new(sight, keys, [tag for tag in tags if tag not in sight.marks], request)
            return sight
        await self._fetch(sight, [key for key in keys if key not in sight.copies], tags)
        missing = [tag for tag in tags if sight.marks[tag] is None]
        outdated = [
            key
            for key, copy in sight.copies.items()
            if (marks := sight.certain(request.tags[key])) is not None and stamp_of(marks) != copy.stamp
        ]
        if missing or outdated:
            await self._look_again(sight, outdated, missing, request)
        return sight

    def _copies(self, keys: tuple[str, ...]) -> dict[str, Copy]:
        """This process's copies of `keys`, which may be outdated."""
        now = time.time()
        return {key: copy for key in keys if (copy := self._local.get(key, now)) is not None}

    async def _fetch(self, sight: SeenEntries, keys: list[str], tags: list[str]) -> None:
        names = [*map(self._flights.entry_key, keys), *map(self.generations.key, tags)]
        if not names:
            return
        values, run_ids = await self._values(names)
        sight.blobs.update(zip(keys, values, strict=False))
        start = len(keys)
        for i, tag in enumerate(tags, start):
            sight.marks[tag] = mark_of(values[i], run_ids[i])

    async def _fetch_new(self, sight: SeenEntries, keys: Sequence[str], tags: list[str], request: Request) -> None:
        """Do `_fetch` for values that are hardly there; create the generations that are missing in the same trip."""
        looks = [command("GET", self._flights.entry_key(key)) for key in keys]
        replies = await self._ask(*looks, *self.generations.ensure_commands(tags, request.ttl * 1.1 + request.stale))
        sight.blobs.update(zip(keys, replies, strict=False))
        sight.marks.update(self.generations.ensured(tags, replies, len(looks)))

    async def _values(self, names: list[str]) -> tuple[list[bytes | None], Sequence[bytes]]:
        """The values of plain keys, and the ids of the server processes that returned them."""
        if self._client.clustered:  # the keys are on several nodes: no single command can read them all
            replies: Any = await self._ask(*[command("GET", name) for name in names])
            return replies, [replies.run_id_of(i) for i in range(len(names))]
        replies = await self._ask(command("MGET", *names))
        return replies[0], (replies.run_id,) * len(names)

    async def _ask(self, *commands: Command) -> Replies:
        """The replies of a batch; raises the first error, or `TimeoutError`."""
        if time.monotonic() < self._away_until:
            raise RedisUnavailable("Redis did not answer just now")
        async with asyncio.timeout(self._deadline):
            replies = await self._client.batch(*commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    async def _look_again(self, sight: SeenEntries, outdated: list[str], missing: list[str], request: Request) -> None:
        replies = await self._ask(
            *self.generations.ensure_commands(missing, request.ttl * 1.1 + request.stale),
            *[command("GET", self._flights.entry_key(key)) for key in outdated],
        )
        sight.marks.update(self.generations.ensured(missing, replies))
        for key, blob in zip(outdated, replies[len(missing) :], strict=True):
            del sight.copies[key]
            sight.blobs[key] = blob
