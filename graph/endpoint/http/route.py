"""A route for one ASGI application at one path, with and without a slash behind it, over HTTP and WebSocket.

Starlette's `Mount` matches only what begins with the path *and* a slash: its router answers a POST to the path itself
by an empty 307, which curl and most GraphQL clients do not follow, and refuses a WebSocket there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound

if TYPE_CHECKING:
    from typing import Any

    from starlette.types import ASGIApp, Receive, Scope, Send


class EndpointRoute(BaseRoute):
    """The application `app` at `path`; anything below it is another address."""

    def __init__(self, path: str, app: ASGIApp, *, name: str = "graphql") -> None:
        """Serve `path`, which begins with a slash; `name` is for `url_path_for`."""
        if not path.startswith("/"):
            raise ValueError(f"a path begins with a slash, as in /graphql: {path!r}")
        self.path = path.rstrip("/")
        self.app = app
        self.name = name

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the request is for this path."""
        path = str(scope.get("path", "")).removeprefix(scope.get("root_path", ""))
        here = scope["type"] in {"http", "websocket"} and path in {self.path, f"{self.path}/"}
        return (Match.FULL, {"endpoint": self.app}) if here else (Match.NONE, {})

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path, for its name."""
        if name != self.name or path_params:
            raise NoMatchFound(name, path_params)
        return URLPath(path=self.path or "/")

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        await self.app(scope, receive, send)
