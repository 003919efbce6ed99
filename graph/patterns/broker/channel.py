"""One topic as this process follows it: live events and history merged into one sequence, then given to every sink.

A channel knows the position of the last event it gave out. A live event that directly follows is given out at once;
one that does not is held back until the broker has read the history in between (`Channel.heal`). All sinks of a topic
share one channel, one decoded event and one subscription at the server.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from graph.patterns.broker import metrics
from graph.patterns.broker.topic import (
    BadCursor,
    Delivery,
    Event,
    HistoryPage,
    Position,
    Topic,
    TopicKeys,
    decode,
    judge,
)

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 256
"""Events that one read of a history returns at most."""

_HELD = 4 * PAGE  # live events kept while the history is read

logger = logging.getLogger(__name__)


class EventSink(Protocol):
    """Takes the events of a topic; never waits, never raises."""

    def __call__(self, event: Event, /, *, late: bool) -> None:
        """Take one event; `late` says that it was read from the history to heal a gap."""
        ...


class Channel:
    """The state of one topic in this process. It exists while somebody follows the topic."""

    def __init__(self, topic: Topic, keys: TopicKeys, request_heal: Callable[[Channel], None]) -> None:
        """Start without a position: the first heal sets it to the end of the history."""
        self.topic = topic
        self.keys = keys
        self.position: Position | None = None
        self.synced = asyncio.Event()
        self.sinks: dict[EventSink, None] = {}
        self._request_heal = request_heal
        self.users = 0
        self._held: deque[Event] = deque()
        self._read_covers = 0
        self._healing = True
        self._delivered = metrics.DELIVERED.labels(topic.family)

    # --- live ---

    def receive(self, payload: bytes) -> None:
        """Handle a message from pub/sub."""
        try:
            event = decode(payload)
        except (BadCursor, UnicodeDecodeError):
            logger.warning("%s: a message that no broker has published was dropped", self.keys.channel)
            return
        if self._healing:
            self._hold(event)
        elif not self._advance(event):
            self._hold(event)
            self.lose()

    def _hold(self, event: Event) -> None:
        if len(self._held) >= _HELD:  # the event dropped here is read from the history instead
            self._held.popleft()
            self._read_covers = max(0, self._read_covers - 1)
        self._held.append(event)

    def _advance(self, event: Event) -> bool:
        """Give `event` to the sinks if it follows the last one; False when there is a hole between them."""
        here, before = event.position, self.position
        assert before is not None
        if not here.same_epoch(before):
            return False
        if here.offset <= before.offset:
            return True
        if here.offset != before.offset + 1 and self.topic.kind is Delivery.EVERY:
            return False
        self.position = here
        self.give(event, late=False)
        return True

    def give(self, event: Event, *, late: bool) -> None:
        """Hand `event` to every sink."""
        started = time.perf_counter()
        sinks = tuple(self.sinks)
        for sink in sinks:
            sink(event, late=late)
        self._delivered.inc(len(sinks))
        metrics.FANOUT.observe(time.perf_counter() - started)

    # --- history ---

    def lose(self) -> None:
        """Hold back live events until the history has been read."""
        self._healing = True
        self.synced.clear()
        self._request_heal(self)

    def behind(self, end: Position) -> bool:
        """Whether a history that ends at `end` has anything for this channel."""
        if self.position is None or self._healing:
            return False
        if self.topic.sourced and not end.nonce:
            return False
        return not end.same_epoch(self.position) or end.offset > self.position.offset

    def reading(self) -> None:
        """Note that a page is about to be read: events already held are older than its end."""
        self._read_covers = len(self._held)

    def heal(self, page: HistoryPage) -> bool:
        """Give out the events of a page read after `position`; False when another page has to be read."""
        if self.position is None:
            self.position = page.end
        else:
            events, position = judge(self.topic, self.position, page)
            if events:
                metrics.HEALED.inc()
            self.position = position
            for event in events:
                if event.gap:
                    metrics.REPORTED.inc()
                self.give(event, late=True)
            if len(page.events) == PAGE:
                return False
        return self._release()

    def _release(self) -> bool:
        """Give out the events held while the page was read; False when there is still a hole."""
        held, covered = self._held, self._read_covers
        while held:
            if not self._advance(held[0]) and covered <= 0:
                return False
            held.popleft()  # it does not follow although the page covers it: it belongs to an old epoch
            covered -= 1
        self._healing = False
        self.synced.set()
        return True
