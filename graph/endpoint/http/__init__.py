"""GraphQL over HTTP: requests, answers, and operations that answer with a long response (SSE, multipart).

`HttpTransport` is the ASGI application. What a server underneath can do beyond ASGI is a `ServerExchange`.
"""

from graph.endpoint.http.elsewhere import Elsewhere
from graph.endpoint.http.exchange import EXCHANGE, ServerExchange
from graph.endpoint.http.framings import Multipart, ServerSentEvents
from graph.endpoint.http.negotiation import EVENT_STREAM, MULTIPART
from graph.endpoint.http.pages import Assets, GraphiqlPage, StaticPage, wants_graphiql
from graph.endpoint.http.performing import Performer
from graph.endpoint.http.request import parse_body
from graph.endpoint.http.route import EndpointRoute
from graph.endpoint.http.security import HEADERS, Origins, is_own_page
from graph.endpoint.http.streaming import HttpStreaming
from graph.endpoint.http.transport import HttpTransport

__all__ = [
    "EVENT_STREAM",
    "EXCHANGE",
    "HEADERS",
    "MULTIPART",
    "Assets",
    "Elsewhere",
    "EndpointRoute",
    "GraphiqlPage",
    "HttpStreaming",
    "HttpTransport",
    "Multipart",
    "Origins",
    "Performer",
    "ServerExchange",
    "ServerSentEvents",
    "StaticPage",
    "is_own_page",
    "parse_body",
    "wants_graphiql",
]
