"""The session cookie, for GraphiQL and for web pages; programs send ``Authorization: Bearer``.

With TLS its name begins with ``__Host-`` (RFC 6265bis, 4.1.3.2), so that no other host and no plain connection can have
set it. Scripts cannot read it, and from other sites browsers send it only when a link is clicked. It is accepted only
for requests from this server's own pages and from the allowed origins, and with TLS only from pages that were loaded
over TLS (`counts`): a socket from a foreign page, to which browsers add cookies, stays anonymous and gets the reason.
"""

from __future__ import annotations

from http.cookies import CookieError
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

from graph.endpoint.http import is_own_page

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.datastructures import Headers
    from starlette.responses import Response

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_YEAR = 365 * 86_400
_TYPED = "none"  # a typed URL or a bookmark
UNBELIEVED = "\0cookie"
"""Stands for the token of a cookie in a request of a page that may not act for the user."""


class SessionCookie:
    """Reads and writes the session cookie."""

    def __init__(self, *, secure: bool = False, origins: Collection[str] = (), max_age: float = 30 * 86_400.0) -> None:
        """Trust `origins` (``https://shop.example``) and our own pages; browsers keep the cookie `max_age` seconds."""
        self.name = "__Host-session" if secure else "session"
        self.device_name = "__Host-device" if secure else "device"
        self._secure = secure
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._max_age = int(max_age)

    def read(self, headers: Headers) -> str | None:
        """Return the token in the cookie, if there is one; `UNBELIEVED` if the cookie is not accepted."""
        raw = headers.get("cookie")
        if not raw:
            return None
        try:
            token = cookie_parser(raw).get(self.name)
        except CookieError:
            return None
        if not token:
            return None
        return token if self.counts(headers) else UNBELIEVED

    def counts(self, headers: Headers) -> bool:
        """Whether the request comes from a page that may act for the user.

        ``Sec-Fetch-Site``, which no page can set, says so even if a proxy changed Host; a browser sends it with every
        request to a trustworthy origin. Without it the page's origin must be the requested host: browsers send Origin
        on every socket, every POST and every request to another origin. A request with neither is a simple one to our
        own origin; a socket with neither does not come from a browser.
        """
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        own = is_own_page(headers)
        if own and sites:
            return True
        if not origins:
            return sites in ([], [_TYPED]) and "sec-websocket-key" not in headers
        if len(origins) > 1:
            return False
        origin = origins[0].lower()
        if self._secure and not _is_safe(origin):
            return False  # that page may have been changed in transit
        return own or origin in self._origins

    def write(self, response: Response, token: str) -> None:
        """Set the cookie to the token."""
        response.set_cookie(
            self.name, token, max_age=self._max_age, path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def device(self, headers: Headers) -> str | None:
        """Return the device cookie. It grants no rights, so it is accepted from any page."""
        try:
            return cookie_parser(headers.get("cookie", "")).get(self.device_name)
        except CookieError:
            return None

    def write_device(self, response: Response, device: str) -> None:
        """Set the device cookie, which outlives the session."""
        response.set_cookie(
            self.device_name, device, max_age=_YEAR, path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def clear(self, response: Response) -> None:
        """Delete the session cookie."""
        response.delete_cookie(self.name, path="/", secure=self._secure, httponly=True, samesite="lax")


def _is_safe(origin: str) -> bool:
    """Whether a page of `origin` cannot have been changed in transit: it uses TLS, or is on this machine."""
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    return page.scheme == "https" or page.hostname in _LOOPBACK
