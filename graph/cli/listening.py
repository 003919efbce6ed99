"""The checks before ``graph serve`` loads the application: whether it can listen, use TLS and store data.

With ``GRAPH_ENV=production`` it first checks whether the settings are safe on the open internet (`unsafe`). Any problem
ends the command at once, with a sentence for each that says what to do instead.
"""

import contextlib
import ipaddress
import socket
import ssl
import stat
from collections.abc import Generator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from graph.cli import support
from graph.engines.disk import DiskError, check_directory
from graph.settings import ServerSettings, Settings

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@contextlib.contextmanager
def listening(settings: Settings) -> Generator[socket.socket]:
    """Run all checks; returns the socket to serve on."""
    server = settings.server
    refuse_unsafe(settings)
    check_tls(server)
    try:
        check_directory(server.data_dir)
    except DiskError as error:
        support.fail(str(error))
    with listen(server.host, server.port) as listener:
        yield listener


def listen(host: str, port: int, *, variable: str = "GRAPH_PORT", command: str = "serve") -> socket.socket:
    """Return a listening socket, or end the command with advice."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        support.fail(f"cannot listen on {host}: {error.strerror}")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        support.fail(
            f"cannot listen on {host}:{port}: {error.strerror}. Another port: {variable}={port + 1} graph {command}"
        )
    return listener


def check_tls(server: ServerSettings) -> None:
    """End the command with advice if the certificate and the key are missing or do not match."""
    if server.tls_certificate is None:
        if server.tls_key is not None:
            support.fail("GRAPH_TLS_KEY needs GRAPH_TLS_CERTIFICATE")
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(server.tls_certificate, server.tls_key, lambda: "")
    except OSError as error:
        support.fail(
            f"GRAPH_TLS_CERTIFICATE={server.tls_certificate} and GRAPH_TLS_KEY={server.tls_key or ''} are not a "
            f"certificate and its unencrypted key, in PEM: {error.strerror or error}"
        )


# --- production ---


def refuse_unsafe(settings: Settings) -> None:
    """End the command if the settings are for production and not safe there."""
    if settings.server.env == "production" and (found := list(unsafe(settings))):
        support.fail("GRAPH_ENV=production does not start like this:\n" + "\n".join(f"  - {one}" for one in found))


def unsafe(settings: Settings) -> Iterator[str]:
    """Return what is unsafe on the open internet, each with advice."""
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
            yield f"GRAPH_CORS_ORIGINS trusts {origin}, whose pages can be changed in transit: it must be https."


def _stores(settings: Settings) -> Iterator[str]:
    for variable, url in (("GRAPH_REDIS_URL", settings.redis.url), ("GRAPH_DATABASE_URL", settings.database.url)):
        if url is None or url.startswith(("unix:", "sqlite")):
            continue
        user, _, _ = url.partition("://")[2].partition("/")[0].rpartition("@")
        where = urlsplit(url.replace(",", "/")).hostname or ""
        if ":" not in user and where not in _LOOPBACK and "ssl" not in url and not url.startswith("rediss"):
            yield f"{variable} reaches {where} without a password and without TLS, so anybody can."


def _open_to_all(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IRWXO)
    except OSError:
        return False
