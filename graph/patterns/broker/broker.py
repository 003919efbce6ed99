"""Publish and subscribe with a history: a subscriber learns of every event, or learns that it missed some.

Publishing appends the event to a capped stream and publishes it, in one script, with an *offset* that counts 1, 2, 3
and an *epoch* (the history's nonce and the server process). Whatever the number of subscribers, a process has one
pub/sub connection; it subscribes first, then reads the history, then merges both by offset.

Delivery, as a subscriber sees it:

- events come in the order of publication, and no event comes twice;
- live delivery alone is at most once. An event that was missed (a lost connection, a dropped message) is read from the
  history: at once when the next event reveals the hole, within `check_every` seconds when it was the last. Events that
  the history no longer has, because it was trimmed or the server lost them, are reported by `Event.gap`. A restarted
  server may have lost events that it acknowledged, so a restart always counts as a gap, except for a `Topic.sourced`
  topic;
- a subscriber that reads too slowly gets `SlowConsumer` (`Delivery.EVERY`) or the newest event only
  (`Delivery.LATEST`). It delays nobody else.

While Redis is away subscriptions stay open; publishing and new subscriptions raise `RedisUnavailable`.

Offset and epoch after Centrifugo (https://centrifugal.dev/docs/server/history_and_recovery). Keys, all with a TTL that
publishing and watching renew: ``{prefix}:topic:{name}:history`` (`max_age`), ``…:state`` (twice that).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from typing import TYPE_CHECKING, Any, Self

from graph.patterns.broker import metrics
from graph.patterns.broker.channel import PAGE, Channel
from graph.patterns.broker.healer import Healer
from graph.patterns.broker.subscription import Subscription
from graph.patterns.broker.topic import (
    Event,
    HistoryPage,
    Position,
    Topic,
    TopicKeys,
    encode,
    read_command,
)
from graph.patterns.client import RedisUnavailable, Script
from graph.patterns.outage import Sparingly
from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from types import TracebackType

    from graph.patterns.client import Client, Command, Listener

_PUBLISH = Script(__name__, "publish")
_APPEND = Script(__name__, "append", idempotent=True)

logger = logging.getLogger(__name__)


class Registration:
    """A callback that follows a topic until `remove`."""

    def __init__(self, broker: Broker, channel: Channel, callback: Callable[[Event], None]) -> None:
        """Use `Broker.on` instead."""
        self._broker = broker
        self._channel = channel
        self._callback: Callable[[Event], None] | None = callback

    def push(self, event: Event, /, *, late: bool) -> None:  # noqa: ARG002 - a callback takes late events like others
        """Call back (`EventSink`)."""
        try:
            if self._callback is not None:
                self._callback(event)
        except Exception:  # whatever a callback raises, the others get the event
            logger.exception("a callback of topic %s failed", self._channel.topic.name)

    async def ready(self) -> None:
        """Wait until the topic is live: from then on no event can be missed."""
        await self._channel.synced.wait()

    def remove(self) -> None:
        """Stop calling back; a second call does nothing."""
        if self._callback is not None:
            self._callback = None  # it often leads to who holds this: a cycle
            self._broker.leave(self._channel, self.push)


class Broker:
    """The topics of one process, on one pub/sub connection. Open it with ``async with``.

    `queue` is how many events may wait for a subscriber, `check_every` the seconds between two checks for events that
    were lost unnoticed, `patience` the seconds that a new subscription waits for Redis.
    """

    def __init__(
        self,
        client: Client,
        *,
        prefix: str = "graph",
        queue: int = 1024,
        check_every: float = 5.0,
        patience: float = 5.0,
    ) -> None:
        """Keep topics under `prefix`."""
        self._client = client
        self._prefix = prefix
        self._queue = queue
        self._patience = patience
        self._channels: dict[str, Channel] = {}
        self._subscriptions: set[Subscription] = set()
        self._healer = Healer(client, self._channels, check_every)
        self._tasks = Tasks()
        self._losses = Sparingly(logger, logging.INFO)
        self._listener: Listener | None = None

    # --- life ---

    async def __aenter__(self) -> Self:
        """Start healing and checking; the connection itself opens when the first topic is followed."""
        self._listener = self._client.listen(self._on_message, self._on_up, self._on_down)
        self._tasks.spawn(self._healer.heal_forever())
        self._tasks.spawn(self._healer.check_forever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End every subscription and leave nothing running."""
        for subscription in list(self._subscriptions):
            subscription.close()
        for channel in list(self._channels.values()):
            self._forget(channel)
            channel.synced.set()  # whoever waits for it sees that this is the end
        await self._tasks.close()
        if self._listener is not None:
            await self._listener.close()
        self._losses.close()

    # --- publishing ---

    def publish_command(self, topic: Topic, data: Any) -> Command:
        """Build the command that publishes `data` (JSON bytes, or a JSON value); its reply is the cursor as bytes."""
        metrics.PUBLISHED.labels(topic.family).inc()
        return _PUBLISH(
            self._keys(topic),
            (encode(data), secrets.token_hex(4), topic.length, topic.max_age_us, topic.state_ms, self._verb),
        )

    async def publish(self, topic: Topic, data: Any) -> Position:
        """Publish `data` (JSON bytes, or a JSON value).

        Raises `RedisUnavailable` when it was not published, `OutcomeUnknown` when it may have been.
        """
        reply: bytes = await self._client.send(self.publish_command(topic, data))
        return Position.parse(reply.decode())

    async def append(
        self, topic: Topic, events: Sequence[Any], *, log: str, first: int, previous: int, begin: bool = False
    ) -> int:
        """Publish `events` of the durable log `log` as one step: number `first`, which follows `previous`, and so on.

        Returns the newest offset published so far. That is the offset of the last event, unless earlier events have to
        be published first (then it is less than `previous`) or later ones were there already (then it is more). Sending
        the same events again changes nothing. Where nothing of the log has been published yet, or all of it was lost,
        only events that may `begin` it are accepted; others return -1. The script blocks the server: a few dozen events
        at a time delay others by a fraction of a millisecond.
        """
        kept = (topic.length, topic.max_age_us, topic.state_ms, self._verb)
        places = (first, previous, int(begin))
        args = (log, *kept, *places, *map(encode, events))
        newest: int = await self._client.run(_APPEND, self._keys(topic), args)
        if newest == first + len(events) - 1:
            metrics.PUBLISHED.labels(topic.family).inc(len(events))
        return newest

    async def end(self, topic: Topic) -> Position:
        """The position at which the history of `topic` ends now."""
        return (await self._read(topic, None)).end

    async def _read(self, topic: Topic, after: Position | None) -> HistoryPage:
        command = read_command(topic, self._keys(topic), after, PAGE)
        return HistoryPage.of(topic, await self._client.send(command))

    def _keys(self, topic: Topic) -> TopicKeys:
        keys = TopicKeys.of(self._prefix, topic)
        return keys._replace(channel=self._client.channel(keys.channel))

    @property
    def _verb(self) -> str:
        return "SPUBLISH" if self._client.clustered else "PUBLISH"

    # --- subscribing ---

    @contextlib.asynccontextmanager
    async def subscribe(
        self, topic: Topic, after: str | None = None, *, patient: bool = False
    ) -> AsyncGenerator[Subscription]:
        """Follow `topic`: first every event after the cursor `after`, then everything published from now on.

        A slow subscriber that is `patient` keeps its subscription: it goes on reading from the history, as far back as
        that goes.
        Raises `BadCursor` for a text that is not a cursor, `RedisUnavailable` when Redis does not answer in time.
        """
        position = None if after is None else Position.parse(after)
        channel = self._join(topic)
        subscription: Subscription | None = None
        try:
            try:
                async with asyncio.timeout(self._patience):
                    await channel.synced.wait()
            except TimeoutError:
                raise RedisUnavailable("Redis did not confirm the subscription in time") from None
            if self._channels.get(channel.keys.channel) is not channel:
                raise RedisUnavailable("the broker was closed")
            subscription = Subscription(
                channel, lambda at: self._read(topic, at), after=position, limit=self._queue, patient=patient
            )
            channel.sinks[subscription.push] = None
            self._subscriptions.add(subscription)
            yield subscription
        finally:
            if subscription is not None:
                self._subscriptions.discard(subscription)
                subscription.close()
            self.leave(channel, subscription.push if subscription is not None else None)

    def on(self, topic: Topic, callback: Callable[[Event], None]) -> Registration:
        """Call `callback` with every event of `topic` from now on; it must not block. Its exceptions are logged.

        A bare gap (`Event.data` is None) is passed on at once: the callback's own state may have missed something.
        """
        channel = self._join(topic)
        registration = Registration(self, channel, callback)
        channel.sinks[registration.push] = None
        return registration

    def _join(self, topic: Topic) -> Channel:
        keys = self._keys(topic)
        channel = self._channels.get(keys.channel)
        if channel is None:
            channel = self._channels[keys.channel] = Channel(topic, keys, self._healer.request)
            metrics.TOPICS.inc()
            self._tasks.spawn(self._listen(keys.channel))
        channel.users += 1
        metrics.SUBSCRIBERS.labels(topic.family).inc()
        return channel

    def leave(self, channel: Channel, sink: Any) -> None:
        """Remove `sink` from `channel`, and stop listening to the channel when that was its last."""
        channel.sinks.pop(sink, None)
        channel.users -= 1
        metrics.SUBSCRIBERS.labels(channel.topic.family).dec()
        if channel.users == 0:
            self._forget(channel)

    def _forget(self, channel: Channel) -> None:
        if self._channels.get(channel.keys.channel) is channel:
            del self._channels[channel.keys.channel]
            self._healer.forget(channel)
            metrics.TOPICS.dec()
            self._tasks.spawn(self._unlisten(channel.keys.channel))

    async def _listen(self, name: str) -> None:
        assert self._listener is not None, "the broker is not open"
        with contextlib.suppress(RedisUnavailable):  # the listener keeps trying and calls on_up
            await self._listener.subscribe(name)
            if name in self._listener.live:
                self._on_up([name])

    async def _unlisten(self, name: str) -> None:
        assert self._listener is not None
        if name not in self._channels:
            await self._listener.unsubscribe(name)

    # --- the connection's side ---

    def _on_message(self, name: str, payload: bytes) -> None:
        channel = self._channels.get(name)
        if channel is not None:
            channel.receive(payload)

    def _on_up(self, names: Sequence[str]) -> None:
        for name in names:
            channel = self._channels.get(name)
            if channel is not None:
                channel.lose()

    def _on_down(self, names: Sequence[str]) -> None:
        metrics.RECONNECTS.inc()
        self._losses.say(f"the pub/sub connection was lost; {len(names)} topics will be healed")
