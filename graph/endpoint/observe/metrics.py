"""The metrics of everything that is served, and the page that shows them to Prometheus.

The page tells of all processes that count in one folder (`prometheus_client.multiprocess`); or of this one, which
counts in memory, and those that count in a folder `beside`.

``graph_http_requests_total{route, method, status}``, ``graph_http_request_seconds{route}`` (until the last byte of the
answer was handed over), ``graph_http_requests_in_progress`` and ``graph_websocket_connections``.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter as Tallied
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric

from graph.endpoint.observe.files import MetricsFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.registry import Collector

REQUESTS = Counter("graph_http_requests_total", "Requests answered.", ["route", "method", "status"])
SECONDS = Histogram(
    "graph_http_request_seconds",
    "Time until the last byte of the answer was handed over.",
    ["route"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IN_PROGRESS = Gauge("graph_http_requests_in_progress", "Requests under way.", multiprocess_mode="livesum")
SOCKETS = Gauge("graph_websocket_connections", "Open WebSocket connections.", multiprocess_mode="livesum")


def observe_one(histogram: Histogram, value: float) -> None:
    """Observe `value`, which has no exemplar: the same as the library's method, without its checks."""
    inner: Any = histogram
    inner._buckets[bisect_left(inner._upper_bounds, value)].inc(1)  # noqa: SLF001 - there is no public way past the checks
    inner._sum.inc(value)  # noqa: SLF001 - the same


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """Observe all `values` at once: one addition for each bucket that any of them falls into."""
    # Kept answers go out ten thousand a second, and the library has no public way to observe many values at once.
    inner: Any = histogram
    for place, count in Tallied(bisect_left(inner._upper_bounds, value) for value in values).items():  # noqa: SLF001
        inner._buckets[place].inc(count)  # noqa: SLF001
    inner._sum.inc(sum(values))  # noqa: SLF001


def exposition(accept: str = "", *, beside: Path | None = None) -> tuple[bytes, str]:
    """Every metric, of all processes together, and the content type.

    In Prometheus' text format, or in OpenMetrics', with exemplars, for a client that says it will `accept` that.
    `beside` is the folder of processes whose metrics are not in that of this one.
    """
    encode, content_type = choose_encoder(accept)
    shown = registry()
    if beside is not None:
        shown = CollectorRegistry()
        shown.register(_Together(registry(), MetricsFiles(beside)))
    return encode(shown), content_type


def registry(names: Iterable[str] | None = None) -> Collector:
    """The metrics of all server processes of this machine; where there is one, of those with these sample `names`."""
    if (folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR")) is not None:
        together = CollectorRegistry()
        together.register(MetricsFiles(Path(folder)))
        return together
    return REGISTRY if names is None else REGISTRY.restricted_registry(names)


class _Together:
    """The sum of two collectors, sample by sample; what one alone tells stays as it is."""

    def __init__(self, one: Collector, other: Collector | MetricsFiles) -> None:
        self._one, self._other = one, other

    def collect(self) -> Iterable[Metric]:
        """Add them up."""
        more = {family.name: family for family in self._other.collect()}
        for family in self._one.collect():
            yield _sum(family, found) if (found := more.pop(family.name, None)) is not None else family
        yield from more.values()


def _sum(one: Metric, other: Metric) -> Metric:
    """A family with the samples of both."""
    values = {(sample.name, *sorted(sample.labels.items())): sample for sample in other.samples}
    total = Metric(one.name, one.documentation, one.type, one.unit)
    for sample in one.samples:
        same = values.pop((sample.name, *sorted(sample.labels.items())), None)
        total.samples.append(sample if same is None else sample._replace(value=sample.value + same.value))
    total.samples.extend(values.values())
    return total
