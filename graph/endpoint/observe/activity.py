"""What the server processes of this machine are doing, as numbers to look at: read from the metrics, twice.

`read_metrics` takes a reading; `activity` tells what happened between two. Rates and percentiles are of that time
alone, and every answer is counted in exactly one of the intervals between successive readings. Percentiles are
interpolated in the buckets of ``graph_operation_seconds``, as Prometheus' ``histogram_quantile`` does.
"""

from __future__ import annotations

import time
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from graph.endpoint.observe.metrics import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_BUCKET, _COUNT = "graph_operation_seconds_bucket", "graph_operation_seconds_count"
_ERRORS, _REFUSALS = "graph_operation_errors_total", "graph_refusals_total"
_REQUESTS = "graph_http_requests_total"
_GAUGES = (
    "graph_http_requests_in_progress",
    "graph_websocket_connections",
    "graph_stream_followers",
    "graph_live_queries",
    "graph_live_followers",
)
_NAMES = frozenset((_BUCKET, _COUNT, _ERRORS, _REFUSALS, _REQUESTS, *_GAUGES))

MOST = 20
"""Operations, and codes of refusals, that are told of; those that come most often."""

Labels: TypeAlias = tuple[tuple[str, str], ...]


class MetricsReading(NamedTuple):
    """The metrics at one moment of the monotonic clock: by name and by labels in the order of their names.

    `cost` is the processor time, in seconds, that the reading took.
    """

    at: float
    values: Mapping[str, Mapping[Labels, float]]
    cost: float = 0.0


class OperationActivity(NamedTuple):
    """Operations of one name: answers and errors a second, and seconds until half, and 99 in 100, were answered."""

    name: str
    per_second: float
    errors_per_second: float
    p50: float
    p99: float


class Activity(NamedTuple):
    """What happened in so many `seconds`, and how many clients there are at their end."""

    seconds: float
    requests_per_second: float
    operations: Sequence[OperationActivity]
    kept_ratio: float | None
    refusals: Sequence[tuple[str, float]]
    in_progress: int
    sockets: int
    subscriptions: int
    live_queries: int
    live_followers: int


def read_metrics() -> MetricsReading:
    """The metrics of all server processes of this machine; it takes some milliseconds, so call it in a thread."""
    values: dict[str, dict[Labels, float]] = {name: {} for name in _NAMES}
    at, began = time.monotonic(), time.thread_time()
    for family in registry(_NAMES).collect():
        for sample in family.samples:
            if sample.name in _NAMES:
                values[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return MetricsReading(at, values, time.thread_time() - began)


def activity(before: MetricsReading, after: MetricsReading) -> Activity:
    """What happened between two readings."""
    seconds = max(after.at - before.at, 1e-3)

    def grown(name: str) -> Iterator[tuple[dict[str, str], float]]:
        known = before.values[name]
        for labels, value in after.values[name].items():
            yield dict(labels), max(0.0, value - known.get(labels, 0.0))

    def rates(name: str, label: str) -> dict[str, float]:
        found: defaultdict[str, float] = defaultdict(float)
        for labels, count in grown(name):
            found[labels[label]] += count / seconds
        return {key: rate for key, rate in sorted(found.items(), key=lambda one: -one[1]) if rate}

    counts: dict[str, defaultdict[str, float]] = {"kept": defaultdict(float), "executed": defaultdict(float)}
    for labels, count in grown(_COUNT):
        if (source := labels["source"]) in counts:
            counts[source][labels["operation"]] += count
    kept, executed = (sum(one.values()) for one in counts.values())
    answers = {name: sum(one[name] for one in counts.values()) for name in {*counts["kept"], *counts["executed"]}}
    buckets: defaultdict[str, defaultdict[float, float]] = defaultdict(lambda: defaultdict(float))
    for labels, count in grown(_BUCKET):
        if labels["source"] in counts:
            buckets[labels["operation"]][float(labels["le"])] += count
    errors = rates(_ERRORS, "operation")
    often = sorted((one for one in answers if answers[one]), key=lambda one: (-answers[one], one))[:MOST]
    return Activity(
        seconds,
        sum(count for _, count in grown(_REQUESTS)) / seconds,
        [
            OperationActivity(
                name,
                answers[name] / seconds,
                errors.get(name, 0.0),
                quantile(0.5, buckets[name]),
                quantile(0.99, buckets[name]),
            )
            for name in often
        ],
        kept / (kept + executed) if kept + executed else None,
        list(rates(_REFUSALS, "code").items())[:MOST],
        *(round(sum(after.values[name].values())) for name in _GAUGES),
    )


def quantile(share: float, buckets: Mapping[float, float]) -> float:
    """The value that `share` of the observations do not exceed; `buckets` count those up to each bound.

    Above the last finite bound nothing is known: that bound is returned.
    """
    bounds = sorted(buckets)
    if not bounds:
        return 0.0
    rank = share * buckets[bounds[-1]]
    for lower, upper in pairwise((0.0, *bounds)):
        there = buckets[upper]
        if there >= rank:
            if upper == float("inf"):
                return lower
            under = buckets.get(lower, 0.0)
            return lower + (upper - lower) * ((rank - under) / (there - under) if there > under else 1.0)
    return bounds[-1]
