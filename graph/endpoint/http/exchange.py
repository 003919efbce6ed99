"""What the server underneath can do for a request, beyond ASGI: `graph.server.http_express` does it for uvicorn.

The scope of a request holds a `ServerExchange` under the key `EXCHANGE`. Under a server that puts none there, queries
of clients that hang up run to their end, and no request is recognised by its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from graph.endpoint.kept import EXCHANGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from graph.endpoint.document import OperationRequest
    from graph.endpoint.kept import Leftover, Sight
    from graph.endpoint.observe import OperationSpan


class ServerExchange(Protocol):
    """One HTTP exchange of the server underneath, as the application sees it."""

    sight: Sight | None
    """The request, if it came in one piece over a connection that stays."""
    left: Leftover | None
    """What has already been done for it."""
    span: OperationSpan | None
    """Its span, if one was begun."""

    def attend(self, left: Callable[[], None] | None) -> bool:
        """Call `left` (in place of an earlier one) when the client disconnects; False if it has already."""
        ...


def read_before(scope: Scope, body: bytes) -> OperationRequest | None:
    """The operation that `Express` found in the body; None if it did not read it, or something has changed it since."""
    exchange: ServerExchange | None = scope.get(EXCHANGE)
    sight = exchange.sight if exchange is not None else None
    return sight.asked if sight is not None and sight.parts.body == body else None
