"""Tells whoever follows an answer that it may have changed: a tag that it was made of has got a new generation.

`TagWatch` listens to the channels of the tags that somebody follows, and to no others: a tag that nobody follows costs
a writer a PUBLISH without a receiver, and the readers nothing. A `Watched` is one answer. It is told of a change once,
and again only after it was `arm`ed: a tag that changes a thousand times between two readings costs one call.

An announcement can be lost: with the connection, at a failover, with a hold that expired because its writer died. So
whatever is followed is also *compared*: its stamp with the present generations, all tags in one batch, when a channel
becomes live and every `check_every` seconds. A change is found at the latest then.

Failure: while Redis is away nobody is told anything; the comparison is repeated until it succeeds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from graph.patterns.cache import metrics
from graph.patterns.cache.entries import sure_stamp
from graph.patterns.cache.generations import held, mark_of
from graph.patterns.client import RedisUnavailable, command
from graph.patterns.outage import Sparingly
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from graph.patterns.cache.generations import Generations, Mark
    from graph.patterns.client import Client, Listener

_PAGE = 512  # keys that one MGET reads
_RETRY = 0.25  # seconds between two comparisons that Redis does not answer

logger = logging.getLogger(__name__)


class Watched:
    """One answer that is followed. `changed` is called when it may have changed, once after each `arm`."""

    __slots__ = ("_armed", "_left", "_watch", "changed", "stamp", "tags")

    def __init__(self, watch: TagWatch, changed: Callable[[], None]) -> None:
        """Use `TagWatch.follow` instead."""
        self.changed = changed
        self.tags: tuple[str, ...] = ()
        self.stamp: bytes | None = None
        self._watch = watch
        self._armed = False
        self._left = False

    def arm(self) -> None:
        """Tell of the next change. Call it before the answer is made anew, so that no change meanwhile is missed."""
        self._armed = True
        self._watch.arm(self)

    def made(self, tags: tuple[str, ...], stamp: bytes | None) -> None:
        """The answer was made of `tags` at `stamp`; None: while a writer was at work on them.

        A change of a tag that was not followed before is found by a comparison, as soon as its channel is live. For one
        that has left this does nothing.
        """
        if self._left:
            return
        before, self.tags, self.stamp = self.tags, tags, stamp
        self._watch.replace(self, before)

    def leave(self) -> None:
        """Stop following; a second call does nothing."""
        self._armed = False
        self.made((), None)
        self._left = True

    def tell(self) -> bool:
        """Call back and say so, unless that was done since `arm`."""
        if not self._armed:
            return False
        self._armed = False
        try:
            self.changed()
        except Exception:  # whatever a callback raises, the others are told
            logger.exception("a callback of a followed answer failed")
        return True


class _Tag:
    """A tag that somebody follows."""

    __slots__ = ("armed", "channel", "users")

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.users: set[Watched] = set()
        self.armed: set[Watched] = set()


class TagWatch:
    """The followed answers of one process, on one pub/sub connection, which opens with the first of them."""

    def __init__(self, client: Client, generations: Generations, *, check_every: float = 4.0) -> None:
        """Follow the tags of `generations`; compare all of them every `check_every` seconds."""
        self._client = client
        self._generations = generations
        self._check_every = check_every
        self._tags: dict[str, _Tag] = {}
        self._channels: dict[str, str] = {}
        self._suspects: set[Watched] = set()
        self._suspicion = asyncio.Event()
        self._listener: Listener | None = None
        self._tasks = Tasks()
        self._losses = Sparingly(logger, logging.INFO)

    def __len__(self) -> int:
        return len(self._tags)

    def follow(self, changed: Callable[[], None]) -> Watched:
        """Follow an answer: it has no tags until `Watched.made` says which."""
        if self._listener is None:
            self._listener = self._client.listen(self._on_message, self._on_up, self._on_down)
            self._tasks.spawn(self._compare_forever())
        return Watched(self, changed)

    async def close(self) -> None:
        """Leave nothing running."""
        await self._tasks.close()
        if self._listener is not None:
            await self._listener.close()
        self._losses.close()
        metrics.WATCHED.dec(len(self._tags))
        self._tags.clear()
        self._channels.clear()

    # --- what the answers are made of ---

    def arm(self, one: Watched) -> None:
        """Have `one` told of the next change of its tags."""
        for name in one.tags:
            if (tag := self._tags.get(name)) is not None:
                tag.armed.add(one)

    def replace(self, one: Watched, before: tuple[str, ...]) -> None:
        """Follow the present tags of `one` in place of those that it had `before`."""
        if one.tags == before:
            return
        new = set(one.tags)
        for name in before:
            if name not in new:
                self._drop(name, one)
        for name in one.tags:
            tag = self._tags.get(name) or self._add(name)
            if one not in tag.users:
                tag.users.add(one)
                tag.armed.add(one)
                self._suspect((one,))  # it may have changed since it was read

    def _add(self, name: str) -> _Tag:
        tag = self._tags[name] = _Tag(self._generations.channel(name))
        self._channels[tag.channel] = name
        self._tasks.spawn(self._listen(tag))
        metrics.WATCHED.inc()
        return tag

    def _drop(self, name: str, one: Watched) -> None:
        tag = self._tags.get(name)
        if tag is None:
            return
        tag.users.discard(one)
        tag.armed.discard(one)
        if not tag.users:
            del self._tags[name]
            del self._channels[tag.channel]
            metrics.WATCHED.dec()
            self._tasks.spawn(self._unlisten(tag))

    async def _listen(self, tag: _Tag) -> None:
        assert self._listener is not None
        if tag.users:
            with contextlib.suppress(RedisUnavailable):  # the listener keeps trying, and calls on_up
                await self._listener.subscribe(tag.channel)
                self._suspect(tag.users)

    async def _unlisten(self, tag: _Tag) -> None:
        assert self._listener is not None
        if tag.channel not in self._channels:
            await self._listener.unsubscribe(tag.channel)

    # --- announcements ---

    def _on_message(self, channel: str, _payload: bytes) -> None:
        name = self._channels.get(channel)
        if name is None:
            return
        metrics.ANNOUNCED.inc()
        tag = self._tags[name]
        armed, tag.armed = tag.armed, set()
        for one in armed:
            one.tell()

    def _on_up(self, channels: Sequence[str]) -> None:
        for channel in channels:
            if (name := self._channels.get(channel)) is not None:
                self._suspect(self._tags[name].users)

    def _on_down(self, channels: Sequence[str]) -> None:
        self._losses.say(f"the pub/sub connection was lost; {len(channels)} tags will be compared")

    # --- comparing ---

    def _suspect(self, those: Iterable[Watched]) -> None:
        self._suspects.update(those)
        self._suspicion.set()

    async def _compare_forever(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + self._check_every
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._suspicion.wait()
            if clock() >= due:
                due = clock() + self._check_every
                self._suspects.update(one for tag in self._tags.values() for one in tag.users)
            self._suspicion.clear()
            suspects, self._suspects = self._suspects, set()
            try:
                await self._compare(suspects)
            except RedisError:
                metrics.REDIS.inc()
                await asyncio.sleep(_RETRY)
                self._suspect(suspects)

    async def _compare(self, suspects: set[Watched]) -> None:
        """Tell those of `suspects` whose stamp is not that of the present generations."""
        names = list({name for one in suspects for name in one.tags})
        if not names:
            return
        marks = await self._marks(names)
        for one in suspects:
            if any(name not in marks for name in one.tags):  # it was made of other tags meanwhile
                self._suspect((one,))
                continue
            found = [marks[name] for name in one.tags]
            # While a writer is at work its release will be announced; if it dies, its hold is gone at the next look.
            at_work = any(mark is not None and held(mark) for mark in found)
            if one.tags and (None in found or (not at_work and sure_stamp(found) != one.stamp)) and one.tell():
                metrics.MISSED.inc()

    async def _marks(self, names: list[str]) -> dict[str, Mark]:
        marks: dict[str, Mark] = {}
        pages = [names[start : start + _PAGE] for start in range(0, len(names), _PAGE)]
        if self._client.clustered:  # the keys are on several nodes
            pages = [[name] for name in names]
        commands = [command("MGET", *map(self._generations.key, page)) for page in pages]
        replies = await self._client.batch(*commands)
        for place, page in enumerate(pages):
            reply: Any = replies[place]
            if isinstance(reply, Exception):
                raise reply
            run_id = replies.run_id_of(place)
            marks.update((name, mark_of(value, run_id)) for name, value in zip(page, reply, strict=True))
        return marks
