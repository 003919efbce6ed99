"""GraphQL over WebSocket: the graphql-transport-ws protocol, bounded.

`WebSockets` is the ASGI application; it hands each operation to a `subscriptions.Runner`.
"""

from graph.endpoint.websocket.connecting import OnConnect, connection_params
from graph.endpoint.websocket.limits import SocketLimits
from graph.endpoint.websocket.socket import SUBPROTOCOL, WRITE_TEXT, WebSockets
from graph.endpoint.websocket.unspoken import refuse_socket

__all__ = [
    "SUBPROTOCOL",
    "WRITE_TEXT",
    "OnConnect",
    "SocketLimits",
    "WebSockets",
    "connection_params",
    "refuse_socket",
]
