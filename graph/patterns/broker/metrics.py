"""What the broker counts, as Prometheus metrics. Topics count by family: the part of their name before a colon."""

from prometheus_client import Counter, Gauge, Histogram

TOPICS = Gauge("graph_broker_topics", "Topics that server processes follow.", multiprocess_mode="livesum")
SUBSCRIBERS = Gauge("graph_broker_subscribers", "Subscribers of topics.", ["topic"], multiprocess_mode="livesum")
PUBLISHED = Counter("graph_broker_published_total", "Events published by this process.", ["topic"])
DELIVERED = Counter("graph_broker_delivered_total", "Events handed to subscribers.", ["topic"])
CONFLATED = Counter("graph_broker_conflated_total", "Events replaced by a newer one before they were read.", ["topic"])
SLOW = Counter(
    "graph_broker_slow_consumers_total", "Subscriptions ended because events came faster than they were read."
)
RECONNECTS = Counter("graph_broker_reconnects_total", "Times the pub/sub connection was lost.")
HEALED = Counter("graph_broker_healed_total", "Times missed events were read from a history.")
REPORTED = Counter("graph_broker_gaps_total", "Gaps that could not be healed and were reported to subscribers.")
FANOUT = Histogram(
    "graph_broker_fanout_seconds",
    "Time to hand one event to all its subscribers in this process.",
    buckets=(0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0),
)
