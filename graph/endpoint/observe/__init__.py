"""Metrics and the access log of everything that is served.

`Observed` wraps the application. What runs inside adds facts to the line of its request with `annotate`. `activity`
tells what happened between two readings of the metrics.
"""

from graph.endpoint.observe.access_log import FACTS, AccessLog, annotate
from graph.endpoint.observe.activity import (
    Activity,
    MetricsReading,
    OperationActivity,
    activity,
    quantile,
    read_metrics,
)
from graph.endpoint.observe.files import MetricsFiles, fold
from graph.endpoint.observe.metrics import exposition
from graph.endpoint.observe.operations import OperationMetrics, OperationNames, Source
from graph.endpoint.observe.own import OwnActivity
from graph.endpoint.observe.requests import ABORTED, Observed, Tally, route_path
from graph.endpoint.observe.tracing import NoTracing, OperationSpan, Tracing, carried

__all__ = [
    "ABORTED",
    "FACTS",
    "AccessLog",
    "Activity",
    "MetricsFiles",
    "MetricsReading",
    "NoTracing",
    "Observed",
    "OperationActivity",
    "OperationMetrics",
    "OperationNames",
    "OperationSpan",
    "OwnActivity",
    "Source",
    "Tally",
    "Tracing",
    "activity",
    "annotate",
    "carried",
    "exposition",
    "fold",
    "quantile",
    "read_metrics",
    "route_path",
]
