"""Turns a request into an operation that may run.

A document's text is found (`Persisted`), then parsed, measured, validated, costed and given its cache policy once
(`Operations`). All requests that send the same text share the result.
"""

from graph.endpoint.document.allowance import Allowance
from graph.endpoint.document.bounds import Bounds
from graph.endpoint.document.caching import Policy, derive
from graph.endpoint.document.contributed import Contributed
from graph.endpoint.document.cost_plan import Estimate
from graph.endpoint.document.live import Wish, wish_of
from graph.endpoint.document.operations import Operation, Operations, Prepared
from graph.endpoint.document.persisted import Persisted, read_manifest
from graph.endpoint.document.request import OperationRequest, is_shallow, parse_operation
from graph.endpoint.document.retention import Retention

__all__ = [
    "Allowance",
    "Bounds",
    "Contributed",
    "Estimate",
    "Operation",
    "OperationRequest",
    "Operations",
    "Persisted",
    "Policy",
    "Prepared",
    "Retention",
    "Wish",
    "derive",
    "is_shallow",
    "parse_operation",
    "read_manifest",
    "wish_of",
]
