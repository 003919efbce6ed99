"""Entries of whole answers: what they are, and how to look them up with one trip to Redis.

An entry carries the names of its tags beside their stamp. A process that has seen it before asks for the generations
of those tags, and for the entry unless it has a copy, in commands that the caller sends in a batch of its own
(`Entries.look`, `Look.commands`, `Entries.judge`). A process that sees it for the first time needs a second trip.

Failure: an entry that is damaged, foreign or over is none. Replies that are errors do not suffice for a hit.
"""

from __future__ import annotations

import hashlib
import struct
import time
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from graph.patterns.cache import metrics
from graph.patterns.cache.codec import Corrupt, stamp_in, unpack
from graph.patterns.cache.generations import held, mark_of, stamp_of
from graph.patterns.cache.lease import Granted, is_due
from graph.patterns.cache.local_copies import KNOWN, TAGS, Copy, LocalCopies, Recent
from graph.patterns.client import command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from graph.patterns.cache.generations import Generations
    from graph.patterns.cache.lease import Claim, Leases
    from graph.patterns.client import Client, Command, Replies, Reply

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

    def __init__(
        self, client: Client, generations: Generations, prefix: str, local_bytes: int, beta: float, *, leases: Leases
    ) -> None:
        """Look for keys below `prefix`, and keep `local_bytes` of copies in this process."""
        self._client = client
        self._leases = leases
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
        return Look(key, None, tags, self.reads([self.keys(key)[0], *self.generations.keys(tags)]))

    def look_at(self, key: str, copy: Copy) -> Look:
        """The commands whose replies tell whether `copy` is the current entry of `key`."""
        commands = self._checks.get(copy.tags)
        if commands is None:
            self._checked += len(copy.tags)
            if len(self._checks) >= KNOWN or self._checked > TAGS:
                self._checks.clear()
                self._checked = len(copy.tags)
            commands = self._checks[copy.tags] = self.reads(self.generations.keys(copy.tags))
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
            return None if isinstance(asked, Exception) else self._told(look, look.claim, asked[1])
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

    def _told(self, look: Look, claim: Claim, blob: bytes | None) -> Hit | None:
        """The entry that came in place of the lease, if it was made under the generations that were read before."""
        copy = self._unpack(look.key, blob)
        if copy is None or claim.marks is None or copy.tags != look.tags:
            return None
        if copy.stamp != sure_stamp([claim.marks.get(tag) for tag in look.tags]):
            return None
        self._local.put(look.key, copy, time.time())
        return hit_of(copy)

    def _is_newer(self, look: Look, reply: Reply) -> bool:
        """Whether the `reply` to a claim has another entry than that which was found not to be current."""
        claim = look.claim
        if claim is None or claim.marks is None or isinstance(reply, Exception) or reply[1] is None:
            return False
        return stamp_in(reply[1]) not in {claim.outdated, self._past.get(look.key)}

    async def settle(self, look: Look, replies: Replies, place: int = 0) -> Hit | None:
        """Do `judge`, and then `again` where the replies show that the entry may have been replaced."""
        hit = self.judge(look, replies, place)
        if hit is None and (
            look.copy is not None
            or (self._tags.get(look.key) or ()) != look.tags
            or self._is_newer(look, replies[place])
        ):
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

    # --- what was requested with a look ---

    def granted(self, look: Look, replies: Replies, place: int = 0) -> Granted | None:
        """The lease that was requested with `look`, if it was granted: give it up, or make the answer."""
        claim = look.claim
        if claim is None or isinstance(reply := replies[place], Exception) or not reply[0]:
            return None
        if self._is_newer(look, reply):
            self.abandon(look)
            return None
        values = values_in(replies, place + 1, place + len(look.commands)) or []
        marks = [mark_of(*value) for value in values]
        if claim.marks is not None:
            foreseen = {**claim.marks, **dict(zip(claim.foreseen, marks, strict=False))}
            return Granted(self._leases, claim.lease, claim.marks, foreseen)
        foreseen = dict(zip(claim.foreseen, marks[len(claim.tags) :], strict=False))
        return Granted(self._leases, claim.lease, dict(zip(claim.tags, marks, strict=False)), foreseen)

    def abandon(self, look: Look) -> None:
        """Give up the lease that was requested with `look`, whose replies nobody waits for."""
        if look.claim is not None:
            self._leases.give_up([look.claim.lease])

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
