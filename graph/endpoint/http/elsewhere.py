"""Answers of a server outside its endpoint: not found, method not allowed, and redirects.

They look like the refusals of the endpoint: JSON with an ``extensions.code``, the same headers, CORS for the same
origins, preflights included (a page whose preflight fails can read nothing). So a client that uses a wrong address is
told so in a form that it can read; a WebSocket at one is refused with 404.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

import orjson
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import WebSocketRoute

from graph.endpoint.errors import REFUSALS
from graph.endpoint.http.security import HEADERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.applications import Starlette
    from starlette.requests import HTTPConnection, Request
    from starlette.types import ASGIApp
    from starlette.websockets import WebSocket

    from graph.endpoint.http.security import Origins

logger = logging.getLogger(__name__)

CODES: Mapping[int, tuple[str, str]] = {
    404: ("NOT_FOUND", "There is nothing here: GraphQL is at {graphql}."),
    405: ("METHOD_NOT_ALLOWED", "This address is not used that way: GraphQL is at {graphql}."),
}


class Elsewhere:
    """Makes those answers, for a server whose endpoint is at the path `graphql`."""

    def __init__(self, graphql: str, origins: Origins) -> None:
        """Let pages of `origins` read them."""
        self._graphql = graphql
        self._origins = origins

    def attach(self, app: Starlette) -> ASGIApp:
        """Make `app` refuse in this form; returns the application to serve in its place."""
        app.router.redirect_slashes = False  # it would name the address that a proxy sees
        app.add_exception_handler(HTTPException, self._failed)
        app.add_exception_handler(Exception, self._broken)
        app.router.routes.append(WebSocketRoute("/{path:path}", self._no_socket))
        return app

    def redirect(self, request: Request) -> Response:
        """Redirect the root path to the endpoint."""
        root: str = request.scope.get("root_path", "")
        address = root + self._graphql if root else self._graphql.removeprefix("/")  # a proxy may not tell its prefix
        answer = self._answer(request, 307, "MOVED", f"GraphQL is at {self._graphql}.")
        answer.headers["location"] = address
        return answer

    async def _failed(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
            answer = Response(status_code=204)
            answer.raw_headers += [*HEADERS, *self._origins.preflight(request.headers)]
            return answer
        code, message = CODES.get(error.status_code, ("BAD_REQUEST", "This request makes no sense here."))
        answer = self._answer(request, error.status_code, code, message.format(graphql=self._graphql))
        if allowed := (error.headers or {}).get("Allow"):
            answer.headers["allow"] = allowed
        return answer

    async def _broken(self, request: Request, error: Exception) -> Response:
        key = secrets.token_hex(8)
        logger.error("error %s at %s", key, request.url.path, exc_info=error)
        return self._answer(request, 500, "INTERNAL_SERVER_ERROR", "Internal server error", id=key)

    async def _no_socket(self, socket: WebSocket) -> None:
        code, message = CODES[404]
        answer = self._answer(socket, 404, code, message.format(graphql=self._graphql))
        await socket.send_denial_response(answer)

    def _answer(self, request: HTTPConnection, status: int, code: str, message: str, **facts: str) -> Response:
        REFUSALS.labels(code).inc()
        body = orjson.dumps({"errors": [{"message": message, "extensions": {"code": code, **facts}}]})
        answer = Response(body, status, media_type="application/json")
        answer.raw_headers += [*HEADERS, *self._origins.headers(request.headers), (b"vary", b"Origin")]
        answer.headers["cache-control"] = "no-store"
        return answer
