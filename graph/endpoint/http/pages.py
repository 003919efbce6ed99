"""Pages for browsers, from files of this server alone.

A `StaticPage` is HTML; its scripts, styles and workers come from `Assets`. The Content Security Policy lets it load
nothing from, and talk to nothing but, its own origin, and run no script inside the page. A file whose name tells its
content (there is a dash in it) may be kept forever, any other is asked for again each time. Every address in a page is
relative, so that it works under any path prefix, whether the server knows it or not.

A browser that opens the GraphQL endpoint gets `GraphiqlPage`, whose files ``make graphiql`` builds from npm packages.
"""

from __future__ import annotations

import asyncio
import html
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
    from collections.abc import Mapping

    from starlette.types import Scope

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
}
_GRAPHIQL = {
    "worker-src": "'self'",
    "style-src": "'self' 'unsafe-inline'",  # Monaco writes its themes into style elements
    "font-src": "'self' data:",
}
_HEADERS = {"Cache-Control": "no-cache", "Referrer-Policy": "same-origin", "X-Content-Type-Options": "nosniff"}
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


class StaticPage:
    """A page whose links (``./static/…``, or ``../static/…`` a level down) begin at the path that it is served at."""

    def __init__(
        self,
        file: Path,
        *,
        policy: Mapping[str, str] | None = None,
        told: Mapping[str, str] | None = None,
        words: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Read it from `file`; `policy` adds directives to its Content Security Policy, or replaces them.

        What its scripts are `told` are ``data-`` attributes of its body. The `words` stand in place of their names in
        braces.
        """
        data = "".join(f' data-{name}="{html.escape(value)}"' for name, value in (told or {}).items())
        self._plain = file.read_text(encoding="utf-8").replace("<body>", f"<body{data}>")
        for name, text in (words or {}).items():
            self._plain = self._plain.replace(f"{{{name}}}", html.escape(text))
        self._below = re.sub(r'(src|href)="(?:\./|(?=\.\./))', r'\1="../', self._plain)
        allowed = "; ".join(f"{name} {sources}" for name, sources in (_POLICY | dict(policy or {})).items())
        self._headers = {"Content-Security-Policy": allowed, **_HEADERS, **(headers or {})}

    def response(self, scope: Scope, status: int = 200) -> Response:
        """The page, for the path of `scope`: with a slash at its end, links start a level higher."""
        text = self._below if scope["path"].endswith("/") else self._plain
        return Response(text, status, media_type="text/html", headers=self._headers)


class GraphiqlPage(StaticPage):
    """The page of an endpoint; its links go to ``static/`` beside the endpoint's path."""

    def __init__(self, folder: Path) -> None:
        """Read it from `folder`."""
        super().__init__(folder / "index.html", policy=_GRAPHIQL, headers={"Vary": "Accept"})


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
