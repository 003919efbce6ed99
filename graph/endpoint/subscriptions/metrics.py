"""The metrics of subscriptions."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

GROUPS = Gauge(
    "graph_stream_groups",
    "Subscriptions executed; identical ones of a process count once.",
    multiprocess_mode="livesum",
)
FOLLOWERS = Gauge("graph_stream_followers", "Clients' subscriptions.", multiprocess_mode="livesum")
SENT = Counter("graph_stream_results_total", "Results handed to clients' connections.")
FANOUT = Histogram(
    "graph_stream_fanout_seconds",
    "Time to hand one result to all connections that follow it.",
    buckets=(0.0001, 0.001, 0.01, 0.1, 1.0),
)
