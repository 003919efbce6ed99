"""Answers to input that never becomes a request: not HTTP, an endless head, a bad chunk, a failed handshake.

They look like any other refusal of the endpoint: JSON with an ``extensions.code``, and the same headers. The
texts are fixed, so they contain nothing that a client sent. The connection closes after such an answer, because there
is no way to tell where the next request would begin.
"""

from __future__ import annotations

import re
from enum import Enum
from http import HTTPStatus
from typing import TYPE_CHECKING

import orjson

from graph.endpoint import REFUSALS
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
        """The body of the answer, as JSON."""
        _, code, message = self.value
        return orjson.dumps({"errors": [{"message": message, "extensions": {"code": code}}]})

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The headers of the answer."""
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
        """Count the refusal, and return the whole answer as it goes over the wire, with further `headers`."""
        self.count()
        status = self.value[0]
        lines = [f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()]
        lines += [b"%b: %b\r\n" % line for line in (*headers, *self.headers)]
        return b"".join([*lines, b"\r\n", self.body])


_HOST = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=:%\[\]-]*")


def names_one_host(headers: Iterable[tuple[bytes, bytes]], version: str) -> bool:
    """Whether a head says once, and in a host's characters, which host is asked (RFC 9112, 3.2); HTTP/1.0 need not."""
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1:
        return not hosts and version == "1.0"
    return _HOST.fullmatch(hosts[0]) is not None


HANDSHAKES = {
    403: Malformed.FORBIDDEN,
    405: Malformed.METHOD,
    414: Malformed.HEAD,
    431: Malformed.HEAD,
    500: Malformed.BROKEN,
}
"""By the status with which the WebSocket library refuses a handshake; any other is `Malformed.HANDSHAKE`."""
