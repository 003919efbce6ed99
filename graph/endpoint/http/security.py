"""Prevents another site from using a visitor's browser against this endpoint.

A browser sends some requests to any site without a preflight (Fetch, "simple" requests), including cookies. None of
them can run an operation that a foreign page has chosen: a POST must be `application/json`, or a form with a header
that no foreign page can send (`Origins.check_form`), and a GET must come from one of our pages (`Origins.check_get`).
Answers cannot be framed, sniffed or embedded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from graph.endpoint.errors import Refusal
from graph.endpoint.http.negotiation import EVENT_STREAM, JSON, MULTIPART, RESPONSE, SIMPLE, parse_media
from graph.endpoint.http.request import CLOSE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.datastructures import Headers

    from graph.endpoint.document import OperationRequest
    from graph.endpoint.kept import RawHeaders

FORM_HEADERS = (
    "graphql-require-preflight",
    "apollo-require-preflight",
    "x-apollo-operation-name",
    "x-requested-with",
)
"""A browser sends any request with one of these headers to a foreign site only after a preflight."""

PREFLIGHT_HEADERS = (*FORM_HEADERS, "authorization")
"""The same for a GET. What HTTP authentication sends by itself cannot sign anybody in here."""

METHODS = "GET, POST, OPTIONS"

HEADERS: RawHeaders = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
]
"""Headers of every JSON answer; pages have their own policy."""

_EXPOSED = (
    "ETag, Retry-After, RateLimit, RateLimit-Policy, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, Age"
)
_TYPED = ["none"]
_DEFAULT_PORTS = {"http": 80, "https": 443}
_TOLD = (JSON, RESPONSE, EVENT_STREAM, MULTIPART)
_MAX_AGE = "600"


class Origins:
    """The origins whose pages may use this endpoint from a browser (CORS)."""

    def __init__(self, allowed: Iterable[str] = (), *, credentials: bool = True) -> None:
        """Allow the `allowed` origins (``https://shop.example``), with cookies if `credentials`; "*" is all of them.

        "*" cannot be combined with cookies. Raises ValueError for a text that is not an origin.
        """
        self._allowed = frozenset(origin.rstrip("/").lower() for origin in allowed)
        self._all = "*" in self._allowed
        self._credentials = credentials and not self._all
        for origin in self._allowed - {"*"}:
            parts = urlsplit(origin)
            if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path:
                raise ValueError(f"{origin!r} is no origin: expected https://host or http://host:port")

    def allow(self, origin: str | None) -> bool:
        """Whether pages of `origin` may use the endpoint."""
        return origin is not None and (self._all or origin.lower() in self._allowed)

    def check_get(self, headers: Headers, request: OperationRequest) -> None:
        """Refuse a GET that a foreign page could have made a visitor's browser send.

        It runs if a page of this server sent it (`is_own_page`), or nobody but the visitor (``Sec-Fetch-Site: none``);
        if a page of an allowed origin did; if it has a header that a page may send only after a preflight; if it asks
        for a trusted document; or if nothing suggests that a page sent it: no Origin, no ``Sec-Fetch-Site``, and an
        Accept with a type that no image, link or script requests.
        """
        if any(name in headers for name in PREFLIGHT_HEADERS) or self.allow(headers.get("origin")):
            return
        essence = parse_media(headers.get("content-type", "")).essence
        if "/" in essence and essence not in SIMPLE:
            return
        if request.query is None and (request.document_id or (request.extensions or {}).get("persistedQuery")):
            return
        sites = headers.getlist("sec-fetch-site")
        accept = headers.get("accept", "").lower()
        if (
            sites == _TYPED
            or is_own_page(headers)
            or (not sites and "origin" not in headers and any(one in accept for one in _TOLD))
        ):
            return
        raise Refusal(
            "CSRF_REFUSED",
            "This GET may have been sent by a page of another site: it needs Accept: application/json, or, from a "
            "page, a header that no foreign page can send, such as GraphQL-Require-Preflight: 1.",
        )

    def check_form(self, headers: Headers) -> None:
        """Refuse a form that a foreign page could have made a visitor's browser send.

        It needs a header that a page may send only after a preflight, and that is not empty, unless a page of an
        allowed origin sent it, or one of this server's (`is_own_page`).
        """
        own = is_own_page(headers) or self.allow(headers.get("origin"))
        if not own and not any(headers.get(name) for name in FORM_HEADERS):
            raise Refusal(
                "CSRF_REFUSED",
                "This form may have been sent by a page of another site: it needs a header that no foreign page can "
                "send, such as GraphQL-Require-Preflight: 1 or Apollo-Require-Preflight: true.",
                headers=CLOSE,
            )

    def may_open(self, headers: Headers) -> bool:
        """Whether a WebSocket may be opened: by a program, by a page of this server, or by one of an allowed origin.

        A browser lets any page open one, and sends the visitor's cookies along.
        """
        return "origin" not in headers or is_own_page(headers) or self.allow(headers.get("origin"))

    def headers(self, headers: Headers) -> RawHeaders:
        """What CORS adds to the answer to a request with `headers`."""
        origin = headers.get("origin")
        if origin is None or not self.allow(origin):
            return []
        told: RawHeaders = [(b"access-control-allow-origin", b"*" if self._all else origin.encode("latin-1"))]
        if self._credentials:
            told.append((b"access-control-allow-credentials", b"true"))
        told.append((b"access-control-expose-headers", _EXPOSED.encode()))
        return told

    def preflight(self, headers: Headers) -> RawHeaders:
        """The answer to an OPTIONS request; an origin that is not allowed gets no CORS header."""
        told: RawHeaders = [(b"allow", METHODS.encode()), (b"vary", b"Origin, Access-Control-Request-Headers")]
        cors = self.headers(headers)
        if cors and "access-control-request-method" in headers:
            told += cors
            told.append((b"access-control-allow-methods", METHODS.encode()))
            told.append((b"access-control-max-age", _MAX_AGE.encode()))
            if wanted := headers.get("access-control-request-headers"):
                told.append((b"access-control-allow-headers", wanted.encode("latin-1")))
        return told


def is_own_page(headers: Headers) -> bool:
    """Whether a page of this server sent the request.

    Browsers say so in ``Sec-Fetch-Site``, which no page can set. They leave it out where the server is asked over plain
    HTTP and is not this machine; then the page's Origin must be the host that was asked.
    """
    sites, origins = headers.getlist("sec-fetch-site"), headers.getlist("origin")
    if sites:
        return sites == ["same-origin"]
    return len(origins) == 1 and _is_host(origins[0].lower(), headers.get("host", ""))


def _is_host(origin: str, host: str) -> bool:
    """Whether the origin is the requested host; the scheme is not compared, because a proxy may terminate TLS."""
    try:
        page, asked = urlsplit(origin), urlsplit(f"//{host.lower()}")
        ports = page.port, asked.port
    except ValueError:  # an invalid port or a broken IPv6 address
        return False
    default = _DEFAULT_PORTS.get(page.scheme)
    if default is None or page.hostname is None:
        return False
    return (page.hostname, ports[0] or default) == (asked.hostname, ports[1] or default)
