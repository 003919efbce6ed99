"""Puts everything that streams onto an endpoint: graphql-transport-ws, SSE and multipart, over one `Streams`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from graph.endpoint.http.multipart import Multipart
from graph.endpoint.http.negotiation import EVENT_STREAM, MULTIPART
from graph.endpoint.http.sse import ServerSentEvents
from graph.endpoint.http.stream import HttpStreams
from graph.endpoint.subscriptions.streams import Streams
from graph.endpoint.websocket.socket import SocketLimits, WebSockets

if TYPE_CHECKING:
    from graph.endpoint.http.endpoint import GraphQLEndpoint

Context = TypeVar("Context")


def attach(
    endpoint: GraphQLEndpoint[Context], limits: SocketLimits | None = None, *, keep_alive: float = 12.0
) -> Streams[Context]:
    """Serve subscriptions on `endpoint`; the `Streams` returned wants to be closed with it.

    `limits` bound each WebSocket, and with their `queue` what waits for a slow client of a long HTTP response, too;
    `keep_alive` is the seconds between two signs of life on a quiet one.
    """
    limits = limits or SocketLimits()
    streams = Streams(endpoint.engine)
    framings = {EVENT_STREAM: ServerSentEvents(), MULTIPART: Multipart()}
    endpoint.streams = HttpStreams(streams, endpoint.authenticator, framings, keep_alive=keep_alive, queue=limits.queue)
    endpoint.websocket = WebSockets(streams, endpoint.authenticator, limits)
    return streams
