"""GraphQL serving for any Strawberry schema: bounds, rate limits, kept answers, subscriptions; no shop and no game.

`GraphQLEndpoint` is the whole of it, one ASGI application that is complete once it is made. What a schema may say about
its fields (`cost`, `cached`, `live`) is declared where the field is.

Lifting it: this package needs `graph.patterns`, Strawberry, Starlette, orjson and prometheus_client.
"""

from graph.endpoint.admission import Admission, RateLimit
from graph.endpoint.declare import Scope, cached, cost, do_not_keep, keep_until, live, uncached
from graph.endpoint.document import Bounds, Persisted, read_manifest
from graph.endpoint.endpoint import GraphQLEndpoint
from graph.endpoint.errors import Refusal
from graph.endpoint.execution import EventExecutor
from graph.endpoint.identity import Anonymous, Authenticator, BatchAuthenticator, Caller, NotesViewer
from graph.endpoint.kept import KeptAnswers
from graph.endpoint.websocket import SocketLimits

__all__ = [
    "Admission",
    "Anonymous",
    "Authenticator",
    "BatchAuthenticator",
    "Bounds",
    "Caller",
    "EventExecutor",
    "GraphQLEndpoint",
    "KeptAnswers",
    "NotesViewer",
    "Persisted",
    "RateLimit",
    "Refusal",
    "Scope",
    "SocketLimits",
    "cached",
    "cost",
    "do_not_keep",
    "keep_until",
    "live",
    "read_manifest",
    "uncached",
]
