"""Keeps answers that may be sent again.

`KeptAnswers` says how an endpoint keeps them. `Lane` answers a known operation before the schema does, with one batch
to Redis; `Express` answers a request that it recognises by what its answer depends on, before it is parsed.
"""

from graph.endpoint.kept.answers import KeptAnswers
from graph.endpoint.kept.approach import Approach, Arrival, Fast
from graph.endpoint.kept.compression import Compressed, compressed, encoding_of
from graph.endpoint.kept.errand import Errand, OutdatedAnswer, Perform, WantedAnswer
from graph.endpoint.kept.express import EXPRESS, Express
from graph.endpoint.kept.lane import Lane
from graph.endpoint.kept.visit import EXCHANGE, ClientConnection, Leftover, RawHeaders, Sight, Visit, copied

__all__ = [
    "EXCHANGE",
    "EXPRESS",
    "Approach",
    "Arrival",
    "ClientConnection",
    "Compressed",
    "Errand",
    "Express",
    "Fast",
    "KeptAnswers",
    "Lane",
    "Leftover",
    "OutdatedAnswer",
    "Perform",
    "RawHeaders",
    "Sight",
    "Visit",
    "WantedAnswer",
    "compressed",
    "copied",
    "encoding_of",
]
