"""uvicorn's connections, held to bounds.

`HttpProtocol` limits what a connection may send and how long it may wait, answers what is not HTTP, and answers a
request that the endpoint recognises without the application. `WebSocketConnection` does the same for WebSockets.
`Forwarded` reads what proxies say of a request; `bound_connections` says how many connections there may be. `Loop` is
the event loop that accepts them.
"""

import sys

from graph.server.crowd import bound_connections
from graph.server.forwarded import Forwarded
from graph.server.http_express import HttpProtocol
from graph.server.websocket import WebSocketConnection

if sys.platform != "win32":  # uvloop's kind
    from graph.server.loop import Loop

__all__ = ["Forwarded", "HttpProtocol", "Loop", "WebSocketConnection", "bound_connections"]
