"""What the server underneath can do for a request, beyond ASGI: `graph.server.http_express` does it for uvicorn.

The scope of a request holds a `ServerExchange` under the key `EXCHANGE`. Under a server that puts none there, queries
of clients that hang up run to their end, and no request is recognised by its bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.endpoint.kept import Leftover, Sight

EXCHANGE = "graph.exchange"
"""Where the scope holds the `ServerExchange`."""


class ServerExchange(Protocol):
    """One HTTP exchange of the server underneath, as the application sees it."""

    sight: Sight | None
    """The request, if it came in one piece over a connection that stays."""
    left: Leftover | None
    """What has already been done for it."""

    def attend(self, left: Callable[[], None] | None) -> bool:
        """Call `left` (in place of an earlier one) when the client disconnects; False if it has already."""
        ...
