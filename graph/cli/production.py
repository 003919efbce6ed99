"""What ``graph serve`` does not start with when ``GRAPH_ENV=production``: each in a sentence that says what to do."""

import ipaddress
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from graph.cli import support
from graph.settings import Settings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def refuse_unsafe(settings: Settings) -> None:
    """End the command if the settings are meant for production and unsafe there."""
    if settings.server.env == "production" and (found := list(unsafe(settings))):
        support.fail("GRAPH_ENV=production does not start like this:\n" + "\n".join(f"  - {one}" for one in found))


def unsafe(settings: Settings) -> Iterator[str]:
    """What is unsafe on the open internet, and what to do about it."""
    yield from _transport(settings)
    yield from _origins(settings.endpoint.cors_origins)
    yield from _stores(settings)
    if settings.server.debug:
        yield "GRAPH_DEBUG shows clients tracebacks and the names of fields: leave it out."
    for path in (settings.server.data_dir, settings.database_path, settings.server.tls_key):
        if path is not None and _open_to_all(path):
            yield f"{path} may be used by every user of this machine: chmod o-rwx {path}"


def _transport(settings: Settings) -> Iterator[str]:
    server, secure = settings.server, settings.accounts.secure_cookie
    if server.tls_certificate is None and not (server.trusted_proxies and secure):
        yield (
            "Nobody ends TLS: set GRAPH_TLS_CERTIFICATE and GRAPH_TLS_KEY, or name the proxy that does in "
            "GRAPH_TRUSTED_PROXIES and set GRAPH_ACCOUNTS_SECURE_COOKIE=true."
        )
    for proxy in filter(None, (part.strip() for part in server.trusted_proxies.split(","))):
        if proxy == "*" or _is_everybody(proxy):
            yield f"GRAPH_TRUSTED_PROXIES={proxy} lets everybody say which address they have: name your proxies."


def _is_everybody(proxy: str) -> bool:
    try:
        return ipaddress.ip_network(proxy, strict=False).prefixlen == 0
    except ValueError:
        return False


def _origins(origins: str) -> Iterator[str]:
    for origin in filter(None, (part.strip() for part in origins.split(","))):
        if origin == "*":
            yield "GRAPH_CORS_ORIGINS=* lets every page read the answers: name the origins of your own pages."
        elif urlsplit(origin).scheme != "https":
            yield f"GRAPH_CORS_ORIGINS trusts {origin}, whose pages anybody on the way can change: it must be https."


def _stores(settings: Settings) -> Iterator[str]:
    for variable, url in (("GRAPH_REDIS_URL", settings.redis.url), ("GRAPH_DATABASE_URL", settings.database.url)):
        if url is None or url.startswith(("unix:", "sqlite")):
            continue
        user, _, _ = url.partition("://")[2].partition("/")[0].rpartition("@")
        where = urlsplit(url.replace(",", "/")).hostname or ""
        if ":" not in user and where not in _LOOPBACK and "ssl" not in url and not url.startswith("rediss"):
            yield f"{variable} reaches {where} without a password and without TLS: so can anybody."


def _open_to_all(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IRWXO)
    except OSError:
        return False
