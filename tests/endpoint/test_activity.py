"""What is told of the time between two readings of the metrics."""

from __future__ import annotations

import math

import pytest

from graph.endpoint.observe import MetricsReading, OperationMetrics, activity, quantile, read_metrics


def test_a_percentile_is_interpolated_in_its_bucket() -> None:
    """As Prometheus does it: linearly between two bounds; above the last bound nothing is known."""
    buckets = {0.1: 0.0, 0.2: 50.0, 0.4: 100.0, math.inf: 100.0}
    assert quantile(0.25, buckets) == pytest.approx(0.15)
    assert quantile(0.5, buckets) == pytest.approx(0.2)
    assert quantile(0.75, buckets) == pytest.approx(0.3)
    assert quantile(0.99, {0.1: 1.0, math.inf: 100.0}) == 0.1
    assert quantile(0.5, {}) == 0.0


def test_each_answer_is_in_one_interval_under_its_name() -> None:
    """Executed and kept ones count, events do not; errors are beside them; a quiet interval has no operations."""
    metrics = OperationMetrics()
    name = metrics.names.admit("ActivityTest", "somebody", trusted=True)
    first = read_metrics()
    for seconds in (0.004, 0.004, 0.03):
        metrics.answered(name, "executed", seconds, cost=1, codes=["UNAVAILABLE"])
    metrics.kept("ActivityTest", [0.004], [1])
    metrics.answered(name, "event", 9.0, cost=None, codes=[])
    second = MetricsReading(first.at + 2.0, read_metrics().values)
    seen = next(one for one in activity(first, second).operations if one.name == name)
    assert seen.per_second == 2.0
    assert seen.errors_per_second == 1.5
    assert 0.0025 < seen.p50 <= 0.005
    assert 0.025 < seen.p99 <= 0.05
    assert name not in {one.name for one in activity(second, second).operations}
    assert activity(second, second).kept_ratio is None
