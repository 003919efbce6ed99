"""Counts of the Redis traffic of this process, as Prometheus metrics.

The hot path adds to plain integers; they become metrics only when somebody scrapes. Metrics:
`graph_redis_commands_total` (sent, counting every re-send), `graph_redis_batches_total`, `graph_redis_retries_total`
(commands sent again), `graph_redis_reconnects_total` (connections replaced), `graph_redis_overloaded_total` (batches
refused because too many bytes waited), `graph_redis_queued_bytes` (packed commands that wait for room on their socket).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import REGISTRY
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric


class Traffic(Collector):
    """The counters themselves; event loops in several threads would lose a count now and then, nothing more."""

    def __init__(self) -> None:
        self.commands = 0
        self.batches = 0
        self.retries = 0
        self.reconnects = 0
        self.overloaded = 0
        self.queued = 0

    def collect(self) -> Iterator[Metric]:
        """Give the present values."""
        for name, meaning, value in (
            ("commands", "Commands sent to Redis, counting every re-send.", self.commands),
            ("batches", "Batches of commands sent to Redis.", self.batches),
            ("retries", "Commands sent to Redis again.", self.retries),
            ("reconnects", "Redis connections that were lost and replaced.", self.reconnects),
            ("overloaded", "Batches refused because too many bytes waited for Redis.", self.overloaded),
        ):
            yield CounterMetricFamily(f"graph_redis_{name}", meaning, value=value)
        yield GaugeMetricFamily(
            "graph_redis_queued_bytes", "Bytes of commands that wait for room on their socket.", value=self.queued
        )


TRAFFIC = Traffic()
REGISTRY.register(TRAFFIC)
