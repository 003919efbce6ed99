"""What a schema declares about its fields: their cost, how long answers may be kept, what their events promise.

All of it is metadata: ``strawberry.field(metadata=cost(5) | cached(60))``. This package reads only the schema.
"""

from graph.endpoint.declare.caching import (
    BadPolicy,
    Rule,
    Scope,
    Tags,
    cached,
    check,
    do_not_keep,
    keep_until,
    named_type_of,
    rule_of,
    uncached,
)
from graph.endpoint.declare.cost import ASSUMED, Cost, CostDirective, cost, cost_of, costs_of, declare_costs
from graph.endpoint.declare.definitions import core_of, metadata_of
from graph.endpoint.declare.implementations import implementations
from graph.endpoint.declare.live import Live, cursor_variable, live, live_of
from graph.endpoint.declare.live_queries import LIVE, LONGEST, THROTTLE, declare_live
from graph.endpoint.declare.rows import Rows, RowShape
from graph.endpoint.declare.uploads import takes_files

__all__ = [
    "ASSUMED",
    "LIVE",
    "LONGEST",
    "THROTTLE",
    "BadPolicy",
    "Cost",
    "CostDirective",
    "Live",
    "RowShape",
    "Rows",
    "Rule",
    "Scope",
    "Tags",
    "cached",
    "check",
    "core_of",
    "cost",
    "cost_of",
    "costs_of",
    "cursor_variable",
    "declare_costs",
    "declare_live",
    "do_not_keep",
    "implementations",
    "keep_until",
    "live",
    "live_of",
    "metadata_of",
    "named_type_of",
    "rule_of",
    "takes_files",
    "uncached",
]
