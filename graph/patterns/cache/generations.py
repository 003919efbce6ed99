"""Generations of tags, which invalidate a cached value the moment a write is acknowledged.

A tag (``product:7``) has one key in Redis. It holds the tag's generation, a random word that is never used twice; or,
while writers are at work, their holds; or nothing, which is a miss. A cached value carries a stamp: a digest of the
generations of all its tags, read before its loader started, and of the ids of the server processes that hold
them. It is served only while a fresh read of the generations gives the same stamp. Therefore

* a slow loader that stores an outdated value does no harm: its stamp is outdated too;
* two writers hold one tag independently, and a writer that dies leaves a hold that expires by itself;
* no earlier stamp matches a server that was restarted or failed over and may have lost acknowledged invalidations;
* behind Sentinels a write is acknowledged only once no process can read from a primary without its invalidation.

The script that ends a hold also announces it, on a channel of the tag's own. `watch` listens to the channels of the
tags that somebody follows; what nobody follows is announced to nobody.

Failure: a write that cannot place its hold is refused before it starts (`CacheWriteRefused`). A write that was made but
whose invalidation Redis does not confirm in time is not acknowledged (`CacheWriteUnconfirmed`); confirming goes on in
the background. If a writer dies between its commit and its release, within a second of a Redis crash that lost its
hold, readers may not see its unacknowledged value until the entries expire.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any, TypeAlias

from graph.patterns.cache import metrics
from graph.patterns.cache.codec import STAMP_SIZE
from graph.patterns.client import RedisUnavailable, Script, command
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Sequence

    from graph.patterns.client import Client, Command, Replies

Mark: TypeAlias = bytes | None
"""What was read of a tag: run id and generation; ``!`` and the holds; or None where there is nothing."""

_GENERATION = Script(__name__, "generation")
_HOLD = Script(__name__, "hold", idempotent=True)
_RELEASE = Script(__name__, "release")

EXPIRING_KEYS = {"tag:{*}": "the generations of a tag"}
"""Keys with a TTL, below the prefix, and what they hold."""

CHANNELS = {"tag:{*}": "that a tag has changed"}
"""Channels below the prefix, and what they tell."""


class CacheWriteRefused(RedisUnavailable):
    """The write was not started: readers could not be told about it."""


class CacheWriteUnconfirmed(RedisUnavailable):
    """The write was made, but Redis did not confirm that nothing older is served; this goes on in the background."""


def held(mark: bytes) -> bool:
    """Whether a writer is at work on the tag."""
    return mark.startswith(b"!")


def stamp_of(marks: Iterable[bytes]) -> bytes:
    """The digest that an entry carries: of the marks of its tags, in the order in which the reader names the tags."""
    return hashlib.blake2b(b"".join(marks), digest_size=STAMP_SIZE).digest()


def mark_of(value: bytes | None, run_id: bytes) -> Mark:
    """The mark of a tag whose key holds `value` on the server process `run_id`; None if that process is unknown."""
    if value is None or not run_id:
        return None
    return value if value.startswith(b"!") else run_id + value


_WORDS = 64
_words: list[str] = []
os.register_at_fork(after_in_child=_words.clear)  # two processes must not use the same ones


def fresh() -> str:
    """A word that has never been used before: 96 random bits."""
    while True:
        try:
            return _words.pop()
        except IndexError:
            random = secrets.token_bytes(12 * _WORDS)  # one call of the system for many words
            _words.extend(urlsafe_b64encode(random[at : at + 12]).decode() for at in range(0, len(random), 12))


def _marks_in(tags: Sequence[str], replies: Replies, place: int = 0) -> dict[str, Mark]:
    """The marks of `tags` in the replies to a command for each, which begin at `place`; raises the first error."""
    marks: dict[str, Mark] = {}
    for i, tag in enumerate(tags, place):
        reply = replies[i]
        if isinstance(reply, Exception):
            raise reply
        marks[tag] = mark_of(reply, replies.run_id_of(i))
    return marks


def _created(tags: Sequence[str], commands: Sequence[Command], replies: Replies) -> dict[str, Mark]:
    """The marks of `tags` after the `commands` that create them; raises the first error."""
    marks: dict[str, Mark] = {}
    for i, (tag, sent) in enumerate(zip(tags, commands, strict=True)):
        reply = replies[i]
        if isinstance(reply, Exception):
            raise reply
        word = str(sent.args[2]).encode()  # it is there now, unless another one was
        marks[tag] = mark_of(word if reply is None else reply, replies.run_id_of(i))
    return marks


class Generations:
    """Read, create, hold and replace the generations of tags."""

    def __init__(
        self, client: Client, *, prefix: str = "graph", hold: float = 10.0, keep: float = 3600.0, patience: float = 5.0
    ) -> None:
        """Keep the hold of a writer that died for `hold` seconds, and a generation for at least `keep` seconds.

        `patience` bounds, in seconds, how long a finished write waits for its invalidation to be confirmed.
        """
        self._client = client
        self._prefix = prefix
        self._hold = hold
        self._keep = keep
        self._patience = patience
        self._tasks = Tasks()

    @property
    def clustered(self) -> bool:
        """Whether the tags are on several nodes."""
        return self._client.clustered

    def key(self, tag: str) -> str:
        """The Redis key of `tag`."""
        return f"{self._prefix}:tag:{{{tag}}}"

    def keys(self, tags: Iterable[str]) -> list[str]:
        """The Redis keys of `tags`."""
        return [self.key(tag) for tag in tags]

    def channel(self, tag: str) -> str:
        """The channel on which new generations of `tag` are announced; in a cluster it is on the node of its key."""
        return self._client.channel(self.key(tag))

    # --- for readers ---

    def ensure_commands(self, tags: Sequence[str], ttl: float) -> list[Command]:
        """Commands that read each of `tags` and create missing ones, to outlive an entry that lives `ttl` seconds."""
        return [_GENERATION((self.key(tag),), (fresh(), self._life(ttl))) for tag in tags]

    def _life(self, ttl: float) -> int:
        return int(max(ttl + 60, self._keep / 2) * 1000)

    @staticmethod
    def ensured(tags: Sequence[str], replies: Replies, place: int = 0) -> dict[str, Mark]:
        """Read the marks from the replies to `ensure_commands`, which begin at `place`; raises the first error."""
        return _marks_in(tags, replies, place)

    async def read(self, first: Sequence[str], then: Sequence[str], ttl: float) -> dict[str, Mark]:
        """The marks of the tags `first`, and then, not before, those of `then`; raises `RedisError`.

        Those of `first` that are missing are created, to outlive an entry that lives `ttl` seconds.
        """
        if self._client.clustered:  # the keys are on several nodes, whose replies come in any order
            marks = await self._marks(first)
            missing = [tag for tag in first if marks[tag] is None]
            if missing:
                commands = self._create_commands(missing, ttl)
                marks |= _created(missing, commands, await self._client.batch(*commands))
            return marks | await self._marks(then)
        marks = await self._marks([*first, *then])
        missing = [tag for tag in first if marks[tag] is None]
        if missing:
            commands = self._create_commands(missing, ttl)
            replies = await self._client.batch(*commands, *[command("GET", self.key(tag)) for tag in then])
            marks |= _created(missing, commands, replies)
            in_order = replies.wires is None  # none of them was refused for now, and sent again
            marks |= _marks_in(then, replies, len(commands)) if in_order else await self._marks(then)
        return marks

    def _create_commands(self, tags: Sequence[str], ttl: float) -> list[Command]:
        """Commands that create what is missing of `tags`, and say what is there instead if it is there by now."""
        return [command("SET", self.key(tag), fresh(), "NX", "GET", "PX", self._life(ttl)) for tag in tags]

    async def _marks(self, tags: Sequence[str]) -> dict[str, Mark]:
        if not tags:
            return {}
        if self._client.clustered:
            return _marks_in(tags, await self._client.batch(*[command("GET", name) for name in self.keys(tags)]))
        replies = await self._client.batch(command("MGET", *self.keys(tags)))
        values: Any = replies[0]
        if isinstance(values, Exception):
            raise values
        return {tag: mark_of(value, replies.run_id) for tag, value in zip(tags, values, strict=True)}

    # --- for writers ---

    @contextlib.asynccontextmanager
    async def invalidating(self, *tags: str) -> AsyncGenerator[None]:
        """Bracket a transaction: hold `tags`, let the block commit, then give them new generations.

        Once the block has ended normally and this context manager has exited, no reader anywhere gets a value older
        than what was committed. Meanwhile readers call their loaders. An exception in the block ends the hold as well;
        after a cancellation the hold expires by itself, because the transaction may still be on its way to the disk.

        Raises `CacheWriteRefused` before the block, `CacheWriteUnconfirmed` after it.
        """
        names = sorted(set(tags))
        hold = fresh()
        await self._place(names, hold)
        keeper = self._tasks.spawn(self._renew(names, hold))
        try:
            yield
        except Exception:
            keeper.cancel()
            with contextlib.suppress(RedisUnavailable):
                await self._release(names, hold)
            raise
        except BaseException:
            keeper.cancel()
            raise
        keeper.cancel()
        await self._release(names, hold)

    async def ready(self) -> None:
        """Raise `CacheWriteRefused` unless Redis answers now. For a write that only calls `invalidate` at its end."""
        (reply,) = await self._client.batch(command("PING"))
        if isinstance(reply, Exception):
            metrics.REFUSED.inc()
            raise CacheWriteRefused(f"the write was not started: {reply}") from reply

    async def invalidate(self, *tags: str, then: Sequence[str] = ()) -> None:
        """Give `tags` new generations, for a change that has already happened; see `invalidating` for a transaction.

        Those of `then` get theirs once all of `tags` have (`narrowing`).

        If a writer dies between its commit and this call, readers get the old value until the entries expire. To
        prevent that, something durable has to tell others to make this call instead.

        Raises `CacheWriteUnconfirmed` when Redis does not confirm it in time; it goes on in the background.
        """
        await self._release(sorted(set(tags)), fresh(), then)

    async def _place(self, tags: list[str], hold: str) -> None:
        replies = await self._client.batch(*self._hold_commands(tags, hold, retry=True))
        errors = [reply for reply in replies if isinstance(reply, Exception)]
        if errors:
            metrics.REFUSED.inc()
            self._tasks.spawn(self._settle(tags, hold))
            raise CacheWriteRefused(f"the write was not started: {errors[0]}") from errors[0]

    def _hold_commands(self, tags: list[str], hold: str, *, retry: bool) -> list[Command]:
        # A renewal is never resent: it could arrive after the release.
        milliseconds = int(self._hold * 1000)
        return [_HOLD((self.key(tag),), (hold, milliseconds, fresh()))._replace(retry=retry) for tag in tags]

    async def _renew(self, tags: list[str], hold: str) -> None:
        while True:
            await asyncio.sleep(self._hold / 3)
            await self._client.batch(*self._hold_commands(tags, hold, retry=False))

    async def _release(self, tags: list[str], hold: str, then: Sequence[str] = ()) -> None:
        """End the hold; if this is cancelled or takes too long, it goes on in the background."""
        limit = asyncio.timeout(self._patience)
        try:
            async with limit:  # and not a task: this is waited for by whoever waits for a write
                await self._settle(tags, hold, then)
        except (TimeoutError, asyncio.CancelledError) as error:
            self._tasks.spawn(self._settle(tags, hold, then))
            if isinstance(error, asyncio.CancelledError) or not limit.expired():  # both may come at the same moment
                raise
            raise CacheWriteUnconfirmed("the write was made, but Redis did not confirm its invalidation") from error

    async def _settle(self, tags: list[str], hold: str, then: Sequence[str] = ()) -> None:
        """Give `tags` new generations, and then those of `then`, trying until Redis has confirmed each."""
        if then and self._client.clustered:  # the keys are on several nodes, which answer in any order
            await self._settle(tags, hold)
            await self._settle([*then], hold)
            return
        left, delay = [*tags, *then], 0.01
        while left:
            # Each attempt has a new generation: an old one must not come back after somebody else's.
            replies = await self._client.batch(*[self._release_command(tag, hold) for tag in left])
            failed = [tag for tag, reply in zip(left, replies, strict=True) if isinstance(reply, Exception)]
            if len(failed) < len(left) and not await self._counts(replies):
                failed = left
            elif failed and then:  # whatever came after one that failed must come after it
                failed = left[left.index(failed[0]) :]
            elif then and len(left) > len(then) and replies.wires is not None:  # or one that was sent again
                failed = [*then]
            metrics.INVALIDATIONS.inc(len(left) - len(failed))
            if failed:
                await asyncio.sleep(delay)
                delay = min(delay * 2, 0.5)
            left = failed

    def _release_command(self, tag: str, hold: str) -> Command:
        verb = "SPUBLISH" if self._client.clustered else "PUBLISH"
        return _RELEASE((self.key(tag), self.channel(tag)), (hold, fresh(), int(self._keep * 1000), verb))

    async def _counts(self, replies: Replies) -> bool:
        """Whether readers can see what was written: another server may have been made primary before."""
        try:
            return await self._client.vouches(replies)
        except RedisUnavailable:
            return False

    # --- life ---

    async def close(self) -> None:
        """Stop the work in the background."""
        await self._tasks.close()
