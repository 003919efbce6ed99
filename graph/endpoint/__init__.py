"""Serves any Strawberry schema: bounds, rate limits, kept answers, subscriptions. It knows nothing of shop or game.

`GraphQLEndpoint` is one ASGI application that contains all of it and is complete once constructed. A schema declares
the properties of a field (`cost`, `cached`, `live`) at the field itself.

To use it in another project: this package needs `graph.patterns`, Strawberry, Starlette, orjson and prometheus_client.
"""

try:
    from graph.endpoint import declare
    from graph.endpoint.admission import Admission, RateLimit
    from graph.endpoint.declare import Rows, RowShape, Scope, cached, cost, do_not_keep, keep_until, uncached
    from graph.endpoint.document import Bounds, Persisted, read_manifest
    from graph.endpoint.endpoint import PROTOCOLS, GraphQLEndpoint
    from graph.endpoint.errors import REFUSALS, Refusal
    from graph.endpoint.execution import EventExecutor
    from graph.endpoint.identity import Anonymous, Authenticator, BatchAuthenticator, Caller, NotesViewer
    from graph.endpoint.kept import KeptAnswers
    from graph.endpoint.websocket import SocketLimits, connection_params
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] == "graph":
        raise
    told = f"graph.endpoint needs {error.name}: install graph-server[endpoint]"
    raise ModuleNotFoundError(told, name=error.name) from error
live = declare.live  # not the room of that name, which importing the endpoint puts there

__all__ = [
    "PROTOCOLS",
    "REFUSALS",
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
    "RowShape",
    "Rows",
    "Scope",
    "SocketLimits",
    "cached",
    "connection_params",
    "cost",
    "do_not_keep",
    "keep_until",
    "live",
    "read_manifest",
    "uncached",
]
