"""One subscriber of a topic: a bounded queue of live events, and before it whatever history the subscriber missed."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Self

from graph.patterns.broker import metrics
from graph.patterns.broker.channel import PAGE
from graph.patterns.broker.topic import Delivery, Event, HistoryPage, Position, judge
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.patterns.broker.channel import Channel

_RETRY = 0.1  # seconds between two tries to read the history


class SlowConsumer(Exception):
    """Events came faster than the subscriber took them; it may go on after `cursor`, the last one it took."""

    def __init__(self, cursor: str) -> None:
        """Carry the `cursor` after which to resume."""
        super().__init__("The events came faster than they were read; resume after the cursor")
        self.cursor = cursor


class Subscription:
    """An async iterator over the events of a topic; `Broker.subscribe` opens and closes it.

    While the subscriber still has history to read it takes no live events, because the history has those, too. The
    queue opens before the last page is read, and an event that is in both is given only once.
    """

    def __init__(
        self,
        channel: Channel,
        read: Callable[[Position], Awaitable[HistoryPage]],
        *,
        after: Position | None,
        limit: int,
        patient: bool,
    ) -> None:
        """Start after `after`, or with the next event. At most `limit` events wait to be taken."""
        self.position = after or _position(channel)
        self._channel = channel
        self._every = channel.topic.kind is Delivery.EVERY
        self._read = read
        self._limit = limit
        self._patient = patient
        self._queue: deque[Event] = deque()
        self._page: deque[Event] = deque()
        self._behind = after is not None
        self._open = not self._behind
        self._wake = asyncio.Event()
        self._error: SlowConsumer | None = None
        self._closed = False

    @property
    def cursor(self) -> str:
        """Where the subscriber stands: after the last event it took."""
        return str(self.position)

    # --- the channel's side ---

    def push(self, event: Event, /, *, late: bool) -> None:
        """Take an event from the channel (`EventSink`)."""
        queue = self._queue
        if not self._open or self._error is not None:
            return
        if not self._every:
            if queue:
                metrics.CONFLATED.labels(self._channel.topic.family).inc()
                if queue.pop().gap and not event.gap:
                    event = Event(event.position, event.raw, gap=True)
        elif len(queue) >= self._limit:
            if late or self._behind or self._patient:  # read from the history at the subscriber's own pace
                self._open, self._behind = False, True
                return
            self._error = SlowConsumer(self.cursor)
            queue.clear()
            metrics.SLOW.inc()
            self._wake.set()
            return
        queue.append(event)
        self._wake.set()

    def close(self) -> None:
        """End the iteration."""
        self._closed = True
        self._wake.set()

    # --- the subscriber's side ---

    def __aiter__(self) -> Self:
        """Return itself: several loops over it would share the events."""
        return self

    async def __anext__(self) -> Event:
        """Wait for the next event; raises `SlowConsumer` when the subscriber fell too far behind."""
        while True:
            if self._error is not None:
                raise self._error
            if self._closed:
                raise StopAsyncIteration
            if self._page:
                event = self._page.popleft()
                self.position = event.position
                return event
            if self._queue:
                event = self._queue.popleft()
                here, before = event.position, self.position
                known = here.same_epoch(before)
                if known and here.offset <= before.offset:
                    continue
                if event.gap or (known and (here.offset == before.offset + 1 or not self._every)):
                    self.position = here
                    return event
                self._behind = True  # what is in between, if only in another epoch, the history tells
                self._shut()
                continue
            if self._behind:
                await self._catch_up()
            else:
                self._wake.clear()
                await self._wake.wait()

    async def _catch_up(self) -> None:
        """Read the next page of history, and take live events from now on in case it is the last."""
        channel = self._channel
        await channel.synced.wait()
        if self._closed:
            return
        self._queue.clear()
        self._open = True
        try:
            await self._read_page(channel)
        finally:
            if self._behind:  # also where the reader has given up waiting, and asks again later
                self._shut()

    async def _read_page(self, channel: Channel) -> None:
        live = _position(channel)
        try:
            page = await self._read(self.position)
        except RedisUnavailable:
            await asyncio.sleep(_RETRY)
            return
        now = _position(channel)
        if not now.same_epoch(live) or not page.end.same_epoch(now) or page.end.offset < live.offset:
            # The page came from another server process than the live events, or from one that is still being
            # refilled: wait until both show the same history.
            channel.lose()
            await asyncio.sleep(_RETRY)
            return
        events, position = judge(channel.topic, self.position, page)
        self._page.extend(events)
        if not events:
            self.position = position
        self._behind = len(page.events) == PAGE or not self._open

    def _shut(self) -> None:
        """Take no live events: they would come before the history that is still to be read."""
        self._open = False
        self._queue.clear()


def _position(channel: Channel) -> Position:
    assert channel.position is not None, "a channel in step has a position"
    return channel.position
