"""Who may run how many operations.

`Admission` is the one rule, and the one place that charges. `RateLimit` puts it into a schema.
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
