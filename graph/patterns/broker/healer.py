"""Keeps the topics of a process in step with their histories: finds events that were missed, and reads them.

When a topic is known to have missed something (a hole in the offsets, a new connection), its healing is requested. The
histories of many topics are read in one round trip, repeatedly until each is in step. A lost message with none after
it leaves no trace, so every `check_every` seconds the ends of all histories are compared with what was given out.

While Redis is away, healing is retried with growing pauses of at most half a second. Nothing is raised.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING

from graph.patterns.broker.channel import PAGE
from graph.patterns.broker.topic import HistoryPage, read_command
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graph.patterns.broker.channel import Channel
    from graph.patterns.broker.topic import Position
    from graph.patterns.client import Client

_BATCH = 128  # topics whose histories are read in one trip
_GRACE = 0.25  # seconds a message may be on its way before it counts as lost
_RETRY_FIRST, _RETRY_CAP = 0.02, 0.5  # seconds

logger = logging.getLogger(__name__)


class Healer:
    """Reads histories for the `channels` of a broker; it does not add or remove channels."""

    def __init__(self, client: Client, channels: Mapping[str, Channel], check_every: float) -> None:
        """Compare every `check_every` seconds."""
        self._client = client
        self._channels = channels
        self._check_every = check_every
        self._dirty: dict[Channel, None] = {}
        self._work = asyncio.Event()

    def request(self, channel: Channel) -> None:
        """Ask for the history of `channel` to be read soon."""
        self._dirty[channel] = None
        self._work.set()

    def forget(self, channel: Channel) -> None:
        """Stop reading history for `channel`: nobody follows it any more."""
        self._dirty.pop(channel, None)

    async def heal_forever(self) -> None:
        """Read the histories of the topics that missed something, many in one trip, until each is in step again."""
        delay = _RETRY_FIRST
        while True:
            await self._work.wait()
            self._work.clear()
            batch = list(itertools.islice(self._dirty, _BATCH))
            for channel in batch:
                del self._dirty[channel]
                channel.reading()
            commands = [read_command(c.topic, c.keys, c.position, PAGE) for c in batch]
            failed = False
            for channel, reply in zip(batch, await self._client.batch(*commands), strict=True):
                if isinstance(reply, Exception):
                    failed = True
                    if not isinstance(reply, RedisUnavailable):
                        logger.error("the history of %s cannot be read: %s", channel.topic.name, reply)
                elif channel.heal(HistoryPage.of(channel.topic, reply)):
                    continue
                if self._channels.get(channel.keys.channel) is channel:
                    self._dirty[channel] = None
            if self._dirty:
                self._work.set()
            delay = min(delay * 2, _RETRY_CAP) if failed else _RETRY_FIRST
            # Subscribers always get a turn between two pages of a long history.
            await asyncio.sleep(delay if failed else 0)

    async def check_forever(self) -> None:
        """Find lost messages that left no trace because no message came after them."""
        while True:
            await asyncio.sleep(self._check_every)
            channels = list(self._channels.values())
            for start in range(0, len(channels), _BATCH):
                await self._check(channels[start : start + _BATCH])

    async def _check(self, channels: Sequence[Channel]) -> None:
        channels = [channel for channel in channels if channel.position is not None]
        commands = [read_command(c.topic, c.keys, None, 0) for c in channels]
        if not commands:
            return
        ends: list[tuple[Channel, Position]] = []
        for channel, reply in zip(channels, await self._client.batch(*commands), strict=True):
            if not isinstance(reply, Exception):
                end = HistoryPage.of(channel.topic, reply).end
                if channel.behind(end):
                    ends.append((channel, end))
        if not ends:
            return
        await asyncio.sleep(_GRACE)
        for channel, end in ends:
            if channel.behind(end):
                channel.lose()
