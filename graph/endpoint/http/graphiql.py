"""GraphiQL for browsers, from files of this server alone.

A browser that opens the GraphQL endpoint gets `GraphiqlPage`; its scripts, styles and workers come from `Assets`. The
Content Security Policy lets the page load nothing from, and talk to nothing but, its own origin. The files are built
from npm packages by ``make graphiql`` and named by their content, so that a browser may keep them forever. Every
address in them is relative, so that it works under any path prefix, whether the server knows it or not.
"""

from __future__ import annotations

import asyncio
import re
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

from graph.endpoint.http.negotiation import HTML, prefers_html
from graph.endpoint.kept import Compressed, encoding_of

if TYPE_CHECKING:
    import os

    from starlette.types import Scope

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "worker-src 'self'",
    "style-src 'self' 'unsafe-inline'",  # Monaco writes its themes into style elements
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
PAGE_HEADERS = {
    "Content-Security-Policy": "; ".join(_POLICY),
    "Cache-Control": "no-cache",
    "Referrer-Policy": "same-origin",
    "Vary": "Accept",
    "X-Content-Type-Options": "nosniff",
}
_AS_THEY_ARE = frozenset({"image/png", "font/woff2"})  # they are compressed already
FOREVER = "public, max-age=31536000, immutable"


def wants_graphiql(scope: Scope) -> bool:
    """Whether a GET comes from a browser that was pointed at the endpoint, and not from a GraphQL client.

    A browser names ``text/html`` in Accept, a GraphQL client does not, or not before its own types. A link with
    ``?query=`` opened in a browser shows that query in the page rather than its bare answer.
    """
    if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
        return False
    accept = Headers(scope=scope).get("accept", "")
    return HTML in accept.lower() and prefers_html(accept)


class GraphiqlPage:
    """The page of an endpoint; its links go to ``static/`` beside the endpoint's path."""

    def __init__(self, folder: Path) -> None:
        """Read it from `folder`."""
        self._plain = (folder / "index.html").read_text()
        self._below = re.sub(r'(src|href)="\./', r'\1="../', self._plain)

    def response(self, scope: Scope) -> Response:
        """The page, for the path of `scope`: with a slash at its end, links start a level higher."""
        text = self._below if scope["path"].endswith("/") else self._plain
        return Response(text, media_type="text/html", headers=PAGE_HEADERS)


class Assets(StaticFiles):
    """The files that the page loads, in the encoding that the browser takes; each is compressed once."""

    def __init__(self, *, directory: Path) -> None:
        """Serve what is below `directory`."""
        super().__init__(directory=directory)
        self._compressed = Compressed()

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer a GET or HEAD of the file at `path`."""
        response = await super().get_response(path, scope)
        if not isinstance(response, FileResponse) or response.status_code != HTTPStatus.OK:
            return response
        size = int(response.headers["Content-Length"])
        headers = Headers(scope=scope)
        encoding = encoding_of(headers.get("accept-encoding"), size)
        if encoding is None or "range" in headers or response.media_type in _AS_THEY_ARE:
            return response
        told = {name: value for name, value in response.headers.items() if name not in {"content-length", "etag"}}
        told |= {"Content-Encoding": encoding, "ETag": f"W/{response.headers['ETag']}"}
        name = f"{response.path} {response.headers['ETag']}"
        body = self._compressed.known(name, encoding)
        if body is None:
            plain = await asyncio.to_thread(Path(response.path).read_bytes)
            body = await self._compressed.give(name, encoding, plain)
        return Response(body, headers=told)

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        """Let a browser keep a file whose name tells its content."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = FOREVER if "-" in str(full_path).rpartition("/")[2] else "no-cache"
        response.headers["Vary"] = "Accept-Encoding"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
