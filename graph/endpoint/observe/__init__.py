"""Metrics and the access log of everything that is served.

`Observed` wraps the application. What runs inside adds facts to the line of its request with `annotate`.
"""

from graph.endpoint.observe.access_log import AccessLog, annotate
from graph.endpoint.observe.metrics import exposition
from graph.endpoint.observe.operations import OperationMetrics, OperationNames, Source
from graph.endpoint.observe.requests import ABORTED, Observed, Tally, route_path
from graph.endpoint.observe.tracing import NoTracing, OperationSpan, Tracing, carried

__all__ = [
    "ABORTED",
    "AccessLog",
    "NoTracing",
    "Observed",
    "OperationMetrics",
    "OperationNames",
    "OperationSpan",
    "Source",
    "Tally",
    "Tracing",
    "annotate",
    "carried",
    "exposition",
    "route_path",
]
