"""A topic as an object: publish to it, and follow it from any process, from now on or from where a reader left off.

What followers may rely on is told in `graph.patterns.broker`. It raises `RedisUnavailable` while Redis is away, and
`BadCursor` for a text that is not a cursor; what is being followed stays open and heals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from graph.patterns.broker import Broker, Event, Position, Topic


class RedisTopic:
    """One topic. Use `Redis.topic`."""

    def __init__(self, topic: Topic, broker: Callable[[], Awaitable[Broker]]) -> None:
        """Publish and follow `topic` through the broker of the running event loop."""
        self.topic = topic
        self._broker = broker

    async def publish(self, data: Any) -> Position:
        """Tell all followers, in every process, a JSON value; gives the cursor of the event."""
        return await (await self._broker()).publish(self.topic, data)

    async def follow(self, after: str | None = None) -> AsyncGenerator[Event]:
        """Every event from now on, or after the cursor `after`: ``async for event in topic.follow()``.

        ``event.data`` is what was published, ``event.cursor`` is where to go on, and ``event.gap`` tells that events
        before this one are missing (then `data` may be None).
        """
        broker = await self._broker()
        async with broker.subscribe(self.topic, after) as events:
            async for event in events:
                yield event
