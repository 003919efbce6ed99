"""Entries of whole answers: what they are, and how to look them up with one trip to Redis.

An entry carries the names of its tags beside their stamp. A process that has seen it before asks for the generations
of those tags, and for the entry unless it has a copy, in commands that the caller sends in a batch of its own
(`Entries.look`, `Look.commands`, `Entries.judge`). A process that sees it for the first time needs a second trip.

Failure: an entry that is damaged, foreign or over is none. Replies that are errors do not suffice for a hit.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import time
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from graph.patterns.cache import metrics
from graph.patterns.cache.codec import Corrupt, unpack
from graph.patterns.cache.generations import held, mark_of, stamp_of
from graph.patterns.cache.lease import is_due
from graph.patterns.cache.local_copies import KNOWN, TAGS, Copy, LocalCopies, Recent
from graph.patterns.client import command
from graph.patterns.fair_queue import Sharers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graph.patterns.cache.generations import Generations, Mark
    from graph.patterns.cache.lease import Claim, Lease
    from graph.patterns.client import Client, Command, Replies

MADE = struct.Struct(">d")
"""When an answer was made, Unix seconds; stored before the body in its frame."""


class Hit(NamedTuple):
    """A current entry."""

    body: bytes
    digest: str
    """A digest of the body: equal bytes have equal digests."""
    made: float
    """When it was made, Unix seconds."""
    expires: float
    """When its time to live ends, Unix seconds."""
    delta: float
    """How long it took to make, seconds."""
    tags: tuple[str, ...] = ()
    """The tags of all that it was made of."""
    stamp: bytes = b""
    """The digest of their generations."""


class Made(NamedTuple):
    """A new answer: kept for `max_age` seconds at most, or not at all."""

    body: bytes
    max_age: float
    digest: str | None = None
    """`digest_of` its body, where that is known."""


Make: TypeAlias = "Callable[[], Awaitable[Made | None]]"
"""Makes an answer; None is one that may not be kept."""


class Look(NamedTuple):
    """A lookup of a key: the `commands` to send, in one batch and in this order."""

    key: str
    copy: Copy | None
    tags: tuple[str, ...]
    commands: tuple[Command, ...]
    claim: Claim | None = None
    """What is requested beside the entry; its replies come in place of the entry's."""


class Making(NamedTuple):
    """How an answer is made: what makes it, the tags it has in any case, and whether everybody gets it.

    `outdated` is the stamp of an entry that is known not to be current. Answers of one `kind` are made alike. The
    `lease` may have been granted before, with the `marks` of those tags, and of others that are `foreseen`.
    """

    make: Make
    tags: Sequence[str]
    public: bool = False
    outdated: bytes | None = None
    kind: str = ""
    lease: Lease | None = None
    marks: Mapping[str, Mark] = {}
    foreseen: Mapping[str, Mark] = {}


class AnswerFlight:
    """An answer that is being made."""

    __slots__ = ("ended", "found", "hit", "sharers")

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.found: asyncio.Future[Hit | None] = loop.create_future()
        """What the caller gets who makes it, before it is kept."""
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done once it is kept, or will not be."""
        self.sharers = Sharers()
        self.hit: Hit | None = None
        """What came of it, current or not: for those who came before it was begun."""

    def hand_out(self, hit: Hit | None) -> None:
        """Let the caller go on."""
        if not self.found.done():  # it may have been cancelled
            self.found.set_result(hit)


def digest_of(body: bytes) -> str:
    """A digest that identifies `body`."""
    return hashlib.blake2b(body, digest_size=12).hexdigest()


def sure_stamp(marks: Sequence[bytes | None]) -> bytes | None:
    """The stamp of `marks`; None if one is missing or held."""
    sure = [mark for mark in marks if mark is not None and not held(mark)]
    return stamp_of(sure) if len(sure) == len(marks) else None


def hit_of(copy: Copy) -> Hit:
    """Turn a copy into a hit."""
    body, digest, made = copy.value
    return Hit(body, digest, made, copy.expires, copy.delta, copy.tags, copy.stamp)


class Entries:
    """The entries of one cache, as this process knows them."""

    def __init__(self, client: Client, generations: Generations, prefix: str, local_bytes: int, beta: float) -> None:
        """Look for keys below `prefix`, and keep `local_bytes` of copies in this process."""
        self._client = client
        self.generations = generations
        self._prefix = prefix
        self._local = LocalCopies(local_bytes, factor=1)
        self._beta = beta
        self._tags: Recent[tuple[str, ...]] = Recent(len)
        self._checks: dict[tuple[str, ...], tuple[Command, ...]] = {}  # commands that read the generations of some tags
        self._checked = 0  # how many tags they read
        self._past: Recent[bytes] = Recent()  # stamps of entries that were found to be invalid

    def keys(self, key: str) -> tuple[str, str]:
        """The Redis keys of an entry and its lease."""
        return f"{self._prefix}:{{{key}}}", f"{self._prefix}-lease:{{{key}}}"

    def look(self, key: str) -> Look:
        """The commands whose replies tell whether `key` has a current entry."""
        copy = self._local.get(key, time.time())
        if copy is not None:
            return self.look_at(key, copy)
        tags = self._tags.get(key) or ()
        return Look(key, None, tags, self.reads([self.keys(key)[0], *map(self.generations.key, tags)]))

    def look_at(self, key: str, copy: Copy) -> Look:
        """The commands whose replies tell whether `copy` is the current entry of `key`."""
        commands = self._checks.get(copy.tags)
        if commands is None:
            self._checked += len(copy.tags)
            if len(self._checks) >= KNOWN or self._checked > TAGS:
                self._checks.clear()
                self._checked = len(copy.tags)
            commands = self._checks[copy.tags] = self.reads([self.generations.key(tag) for tag in copy.tags])
        return Look(key, copy, copy.tags, commands)

    def reads(self, names: Sequence[str]) -> tuple[Command, ...]:
        """Commands that read the plain keys `names`; see `values_in`."""
        if self._client.clustered:
            return tuple(command("GET", name) for name in names)
        return (command("MGET", *names),) if names else ()

    def copy(self, key: str, now: float) -> Copy | None:
        """This process's copy of an entry. Serve it only under current generations, as `judge` does."""
        return self._local.get(key, now)

    def judge(self, look: Look, replies: Replies, place: int = 0) -> Hit | None:
        """Read the replies to a look, which begin at `place`; None when they do not suffice (then call `again`)."""
        if look.claim is not None:  # who is granted the lease has found nothing; else the entry tells its tags
            asked = replies[place]
            if not isinstance(asked, Exception):
                self._unpack(look.key, asked[1])
            return None
        values = values_in(replies, place, place + len(look.commands))
        if values is None:
            return None
        if look.copy is not None:
            stamp = sure_stamp([mark_of(*value) for value in values])
            return hit_of(look.copy) if stamp == look.copy.stamp else None
        copy = self._unpack(look.key, values[0][0])
        if copy is None or copy.tags != look.tags:
            return None
        stamp = sure_stamp([mark_of(*value) for value in values[1:]])
        if copy.stamp != stamp:
            if stamp is not None:
                self._past.put(look.key, copy.stamp)
            return None
        self._local.put(look.key, copy, time.time())
        return hit_of(copy)

    async def settle(self, look: Look, replies: Replies, place: int = 0) -> Hit | None:
        """Do `judge`, and then `again` where the replies show that the entry may have been replaced."""
        hit = self.judge(look, replies, place)
        if hit is None and (look.copy is not None or (self._tags.get(look.key) or ()) != look.tags):
            return await self.again(look.key)
        return hit

    async def again(self, key: str) -> Hit | None:
        """Look up `key` from the start: for an entry that was replaced, or that this process has never seen."""
        self._local.drop(key)
        for _ in range(2):  # the first look may only reveal the tags
            look = self.look(key)
            hit = self.judge(look, await self._client.batch(*look.commands))
            if hit is not None or (self._tags.get(key) or ()) == look.tags:
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
        self._tags.put(key, frame.tags)
        if frame.expires <= time.time():
            return None
        body = frame.body[MADE.size :]
        return Copy(frame.stamp, frame.expires, frame.delta, (body, digest_of(body), made), len(body), frame.tags)

    def due(self, hit: Hit) -> bool:
        """Whether this reader, chosen at random, refreshes the entry before it expires."""
        return is_due(hit.expires, hit.delta, self._beta)


def values_in(replies: Replies, start: int, end: int) -> list[tuple[bytes | None, bytes]] | None:
    """The values of the keys that were read, each with the run id of its server; None if there is an error."""
    values: list[tuple[bytes | None, bytes]] = []
    for i in range(start, end):
        reply, run_id = replies[i], replies.run_id_of(i)
        if isinstance(reply, Exception):
            return None
        values += [(value, run_id) for value in reply] if isinstance(reply, list) else [(reply, run_id)]  # pyright: ignore[reportUnknownVariableType] - MGET's
    return values
