"""Answers to what never becomes a request: no HTTP, a head without end, a chunk that is none, a handshake that fails.

They are answers of the endpoint like any other refusal: JSON with an ``extensions.code``, and the same headers. The
texts are fixed, so nothing that a client sent is in them. The connection ends after such an answer, because nobody can
tell where the next request would begin.
"""

from __future__ import annotations

from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from graph.endpoint.errors import REFUSALS
from graph.endpoint.http import HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable


class Malformed(Enum):
    """Why the connection ends: status, code and message."""

    HTTP = (HTTPStatus.BAD_REQUEST, "BAD_REQUEST", "This is not a valid HTTP/1.1 request.")
    HEAD = (
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "HEAD_TOO_LARGE",
        "The request line and the headers are too long.",
    )
    HANDSHAKE = (HTTPStatus.BAD_REQUEST, "BAD_REQUEST", "This is not a valid WebSocket handshake.")
    CROWDED = (HTTPStatus.SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", "There are too many connections.")
    METHOD = (HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "A WebSocket is opened with GET.")
    FORBIDDEN = (HTTPStatus.FORBIDDEN, "FORBIDDEN", "There is no WebSocket here.")
    BROKEN = (HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR", "Internal server error")

    @property
    def body(self) -> bytes:
        """The answer's body."""
        _, code, message = self.value
        return orjson.dumps({"errors": [{"message": message, "extensions": {"code": code}}]})

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The answer's headers."""
        return [
            (b"content-type", b"application/json; charset=utf-8"),
            (b"content-length", b"%d" % len(self.body)),
            *HEADERS,
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
        ]

    def count(self) -> None:
        """Count it among the refusals."""
        REFUSALS.labels(self.value[1]).inc()

    def response(self, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
        """The whole answer as it goes over the wire, with further `headers`; counted."""
        self.count()
        status = self.value[0]
        lines = [f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()]
        lines += [b"%b: %b\r\n" % line for line in (*headers, *self.headers)]
        return b"".join([*lines, b"\r\n", self.body])


HANDSHAKES = {
    403: Malformed.FORBIDDEN,
    405: Malformed.METHOD,
    414: Malformed.HEAD,
    431: Malformed.HEAD,
    500: Malformed.BROKEN,
}
"""By the status that a WebSocket library refuses a handshake with; any other is `Malformed.HANDSHAKE`."""
