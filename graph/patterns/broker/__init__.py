"""Topics with a history: a subscriber gets every event once and in order, or is told that some are missing.

`Broker` publishes to a `Topic` and subscribes to it; all topics of a process share one pub/sub connection. An `Event`
carries the cursor (`Position`) after which a subscriber can resume. A slow reader gets `SlowConsumer`.
"""

from graph.patterns.broker.broker import Broker, Registration
from graph.patterns.broker.subscription import SlowConsumer, Subscription
from graph.patterns.broker.topic import BadCursor, Delivery, Event, Position, Topic

__all__ = [
    "BadCursor",
    "Broker",
    "Delivery",
    "Event",
    "Position",
    "Registration",
    "SlowConsumer",
    "Subscription",
    "Topic",
]
