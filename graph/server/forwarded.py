"""Reads what a proxy says about the request that it passes on: the client, the scheme, the host, the path prefix.

``X-Forwarded-For``, ``-Proto``, ``-Host`` and ``-Prefix`` are believed only when they come from a trusted peer; from
anybody else they are ordinary headers. The forwarded host replaces Host, so that the server recognises its own pages
by the host that browsers see. A prefix, forwarded or configured, becomes the scope's ``root_path``, and the path
begins with it, as ASGI requires, whether or not the proxy removed it. An invalid host or path is ignored.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, cast

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send
    from uvicorn._types import ASGI3Application

_HOST = re.compile(rb"[A-Za-z0-9._~-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")
PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)+")
"""A path prefix: it begins with a slash and does not end in one."""


class Forwarded:
    """An ASGI application that believes the headers of trusted proxies."""

    def __init__(self, app: ASGIApp, trusted: str = "", root_path: str = "") -> None:
        """Serve `app` below `root_path`, behind the `trusted` addresses and networks (comma-separated)."""
        self._app = app
        self._root_path = root_path
        inner = cast("ASGI3Application", self._locate)
        self._believing = ProxyHeadersMiddleware(inner, trusted) if trusted else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one WebSocket or the lifespan."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif self._believing is None:
            await self._locate(scope, receive, send)
        else:
            client = scope.get("client")
            if client is not None and client[0] in self._believing.trusted_hosts:
                self._believe(scope)
            await self._believing(scope, receive, send)  # pyright: ignore[reportArgumentType] - uvicorn's own names for the same

    @staticmethod
    def _believe(scope: Scope) -> None:
        said = {name: value.split(b",")[0].strip() for name, value in reversed(scope["headers"])}
        host = said.get(b"x-forwarded-host", b"")
        if _HOST.fullmatch(host):
            others = [pair for pair in scope["headers"] if pair[0] != b"host"]
            scope["headers"] = [(b"host", host), *others]
        prefix = said.get(b"x-forwarded-prefix", b"").decode("latin-1").rstrip("/")
        if PREFIX.fullmatch(prefix):
            scope["root_path"] = prefix

    async def _locate(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope["root_path"] = scope.get("root_path") or self._root_path
        path: str = scope["path"]
        if root and not path.startswith(f"{root}/"):
            scope["path"] = f"{root}/" if path == root else root + path
        await self._app(scope, receive, send)
