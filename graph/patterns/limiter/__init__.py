"""Exact sliding-window limits: no window, wherever it starts, lets more than its limit pass.

`Limiter` makes a `Charge` against a `Limit` and answers with a `Verdict`. `passage_command` is the short way for a
request whose session and budget are both in order: one script checks the first and charges the second. A `Fleet` knows
what each process needs to grant its share while Redis is away.
"""

from graph.patterns.limiter.fleet import Fleet
from graph.patterns.limiter.limiter import Charge, Limit, Limiter, Verdict, passed, remembered
from graph.patterns.limiter.turnstile import Passage, passage, passage_command

__all__ = [
    "Charge",
    "Fleet",
    "Limit",
    "Limiter",
    "Passage",
    "Verdict",
    "passage",
    "passage_command",
    "passed",
    "remembered",
]
