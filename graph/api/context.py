"""What a resolver may reach: the services, the caller, the loaders of this operation.

One `Context` serves one operation. Reading `caller` (or `viewer_touched` being set by whoever read it) marks the
answer as this caller's own, so that it is never put into the shared response cache, whatever the document looked like.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import strawberry

from graph.api.loaders import Loaders

if TYPE_CHECKING:
    from graph.api.auth.cookie import SessionCookie
    from graph.endpoint.identity import Caller
    from graph.services import Services


class Context:
    """Made by the endpoint for each operation."""

    __slots__ = ("_caller", "connection", "cookie", "loaders", "response", "services", "viewer_touched")

    def __init__(
        self,
        services: Services,
        caller: Caller,
        connection: Any = None,
        response: Any = None,
        *,
        cookie: SessionCookie | None = None,
    ) -> None:
        """Serve `caller`; `connection` is Starlette's request or socket, `response` what headers are set on.

        `cookie` is how a browser keeps its session; without it none is set.
        """
        self.services = services
        self._caller = caller
        self.connection = connection
        self.response = response
        self.cookie = cookie
        self.viewer_touched = False
        self.loaders = Loaders(services)

    @property
    def caller(self) -> Caller:
        """Who asks. Reading it makes the answer private."""
        self.viewer_touched = True
        return self._caller


Info: TypeAlias = strawberry.Info[Context, None]
"""What a resolver is handed as its ``info``."""
