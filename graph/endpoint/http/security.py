"""What keeps another site from using a visitor's browser against this endpoint.

A browser sends some requests to any site without asking (Fetch, "simple" requests), cookies included. None of them
gets as far as an operation: a POST must be `application/json`, and a GET must carry a header that makes a browser ask
first (a preflight), which only the origins named here pass. Answers cannot be framed, sniffed or embedded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from graph.endpoint.errors import Refusal
from graph.endpoint.http.negotiation import SIMPLE, parse_media

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import Headers

Raw = list[tuple[bytes, bytes]]

PREFLIGHT_HEADERS = (
    "graphql-require-preflight",
    "apollo-require-preflight",
    "x-apollo-operation-name",
    "x-requested-with",
    "authorization",
)
"""A GET with one of these is none that a browser sends to a foreign site without asking."""

METHODS = "GET, POST, OPTIONS"

HEADERS: Raw = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
]
"""On every answer that is JSON; pages bring their own policy."""

_EXPOSED = "RateLimit, RateLimit-Policy, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Age"
_MAX_AGE = "600"


def check_get(headers: Headers) -> None:
    """Refuse a GET that any site could have made a visitor's browser send."""
    if any(name in headers for name in PREFLIGHT_HEADERS):
        return
    essence = parse_media(headers.get("content-type", "")).essence
    if "/" not in essence or essence in SIMPLE:
        raise Refusal(
            "CSRF_REFUSED",
            "A GET needs a header that no foreign page can send: Content-Type: application/json, or "
            "GraphQL-Require-Preflight: 1.",
        )


class Origins:
    """The origins whose pages may use this endpoint from a browser (CORS)."""

    def __init__(self, allowed: Iterable[str] = (), *, credentials: bool = True) -> None:
        """Allow the `allowed` origins (``https://shop.example``), with cookies if `credentials`; "*" is all of them.

        "*" never goes with cookies. Raises ValueError for what is no origin.
        """
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)
        self._all = "*" in self._allowed
        self._credentials = credentials and not self._all
        for origin in self._allowed - {"*"}:
            parts = urlsplit(origin)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
                raise ValueError(f"{origin!r} is no origin: expected https://host or http://host:port")

    def headers(self, headers: Headers) -> Raw:
        """What CORS adds to the answer to a request with `headers`."""
        origin = headers.get("origin")
        if not self._allowed or origin is None:
            return []
        if not self._all and origin.lower() not in self._allowed:
            return []
        told: Raw = [(b"access-control-allow-origin", b"*" if self._all else origin.encode("latin-1"))]
        if self._credentials:
            told.append((b"access-control-allow-credentials", b"true"))
        told.append((b"access-control-expose-headers", _EXPOSED.encode()))
        return told

    def preflight(self, headers: Headers) -> Raw:
        """The answer to an OPTIONS request; an origin that is not allowed gets no CORS header."""
        told: Raw = [(b"allow", METHODS.encode()), (b"vary", b"Origin, Access-Control-Request-Headers")]
        cors = self.headers(headers)
        if cors and "access-control-request-method" in headers:
            told += cors
            told.append((b"access-control-allow-methods", METHODS.encode()))
            told.append((b"access-control-max-age", _MAX_AGE.encode()))
            if wanted := headers.get("access-control-request-headers"):
                told.append((b"access-control-allow-headers", wanted.encode("latin-1")))
        return told
