"""Limits how many operations a caller may run.

`Admission` holds the rule and is the only place that charges. `RateLimit` adds it to a schema.
"""

from graph.endpoint.admission.extension import RateLimit
from graph.endpoint.admission.headers import over_limit, template
from graph.endpoint.admission.rule import Admission, Ticket, current

__all__ = [
    "Admission",
    "RateLimit",
    "Ticket",
    "current",
    "over_limit",
    "template",
]
