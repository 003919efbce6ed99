"""The session's cookie, for GraphiQL and for web pages; programs send ``Authorization: Bearer``.

Where TLS is on its name begins with ``__Host-`` (RFC 6265bis, 4.1.3.2), so that no other host and no plain connection
can have planted it. Scripts cannot read it, and other sites send it with nothing but a click on a link. It counts only
for requests from this server's own pages and from the allowed origins, and where TLS is on only from pages that came by
TLS (`counts`): a socket from a foreign page, which browsers let through with its cookies, stays anonymous, and is told
why.
"""

from __future__ import annotations

from http.cookies import CookieError
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import cookie_parser

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.datastructures import Headers
    from starlette.responses import Response

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_DEFAULT_PORTS = {"http": 80, "https": 443}
_YEAR = 365 * 86_400
_SAME_ORIGIN = "same-origin"
_TYPED = "none"  # an address that was typed, a bookmark
UNBELIEVED = "\0cookie"
"""What stands for the token of a cookie that came with the request of a page that may not act for the user."""


class SessionCookie:
    """Reads and writes the cookie."""

    def __init__(self, *, secure: bool = False, origins: Collection[str] = (), max_age: float = 30 * 86_400.0) -> None:
        """Believe `origins` (``https://shop.example``) beside our own pages; browsers keep it `max_age` seconds."""
        self.name = "__Host-session" if secure else "session"
        self.device_name = "__Host-device" if secure else "device"
        self._secure = secure
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._max_age = int(max_age)

    def read(self, headers: Headers) -> str | None:
        """The token in the cookie, if there is one; `UNBELIEVED` in its place where it does not count."""
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

        ``Sec-Fetch-Site``, which no page can set, says so whatever a proxy has made of Host; a browser sends it with
        every request to an address that it trusts. Without it the page's origin must be the host that was asked:
        browsers name it on every socket, every POST and every request to another origin. A request with neither is a
        plain one to our own origin; on a socket it is no browser's.
        """
        origins, sites = headers.getlist("origin"), headers.getlist("sec-fetch-site")
        if sites == [_SAME_ORIGIN]:
            return True
        if not origins:
            return sites in ([], [_TYPED]) and "sec-websocket-key" not in headers
        if len(origins) > 1:
            return False
        origin = origins[0].lower()
        if self._secure and not _is_safe(origin):
            return False  # whoever is on the way can have put anything into that page
        return origin in self._origins or (not sites and _is_own(origin, headers.get("host", "")))

    def write(self, response: Response, token: str) -> None:
        """Have the browser keep the token."""
        response.set_cookie(
            self.name, token, max_age=self._max_age, path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def device(self, headers: Headers) -> str | None:
        """What the device says to be known by. It gives no rights, so it counts whoever's page sent it."""
        try:
            return cookie_parser(headers.get("cookie", "")).get(self.device_name)
        except CookieError:
            return None

    def write_device(self, response: Response, device: str) -> None:
        """Have the browser keep what it is known by, beyond the session."""
        response.set_cookie(
            self.device_name, device, max_age=_YEAR, path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def clear(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self.name, path="/", secure=self._secure, httponly=True, samesite="lax")


def _is_safe(origin: str) -> bool:
    """Whether nobody on the way can have changed a page of `origin`: it came by TLS, or from this machine."""
    try:
        page = urlsplit(origin)
    except ValueError:
        return False
    return page.scheme == "https" or page.hostname in _LOOPBACK


def _is_own(origin: str, host: str) -> bool:
    """Whether the origin is the host that was asked; the scheme is the proxy's business where one ends TLS."""
    try:
        page, asked = urlsplit(origin), urlsplit(f"//{host.lower()}")
        ports = page.port, asked.port
    except ValueError:  # a port that is none, a broken IPv6 address
        return False
    default = _DEFAULT_PORTS.get(page.scheme)
    if default is None or page.hostname is None:
        return False
    return (page.hostname, ports[0] or default) == (asked.hostname, ports[1] or default)
