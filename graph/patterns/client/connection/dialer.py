"""Finds a Redis server and performs the handshake with it.

redis-py reads the URL, makes the TLS context and asks the Sentinels; what comes out is a `wire.Wire` that is
authenticated, speaks RESP3 and has the right database selected. The server is located anew for every connection, so a
failover is followed by the first connection after it.

URLs: `redis://[user:password@]host:port/db`, `rediss://…` (TLS), `unix://[user:password@]/path?db=0`,
`redis+sentinel://[user:password@]host:port,host:port/service/db` (credentials are the data servers'; the Sentinels'
own are the options `sentinel_username` and `sentinel_password`) and `redis+cluster://host:port,host:port`, both also as
`rediss+…`. A cluster is also recognised behind a plain URL of one of its nodes. Options are redis-py's:
`?ssl_ca_certs=…&ssl_cert_reqs=none&client_name=…`.

It fails with `RedisUnavailable`, whatever the reason; the message holds no password.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio.connection import SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from graph.patterns.client.batch import Batch, RedisUnavailable, Replies, Reply
from graph.patterns.client.commands import Argument, Command, command
from graph.patterns.client.connection.wire import Wire

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from graph.patterns.client.commands import Script

_log = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
OLDEST = 7
"""Major version of Redis; any Valkey is new enough."""
_SENTINEL_TIMEOUT = 1.0  # seconds for one Sentinel to answer before the next is asked


class Address(NamedTuple):
    """Where a server listens: a host and a TCP port, or the path of a unix socket and port 0."""

    host: str
    port: int


class Dialer:
    """Opens connections to the server that a URL names, wherever that is at the moment."""

    def __init__(self, url: str, *, timeout: float = CONNECT_TIMEOUT) -> None:
        """Read `url`; a connection must stand within `timeout` seconds. Raises ValueError for a bad URL."""
        parts = urlsplit(url)
        scheme, _, self.kind = parts.scheme.partition("+")
        if self.kind not in ("", "sentinel", "cluster"):
            raise ValueError(f"unknown kind of Redis URL: {parts.scheme}://")
        user, at, hosts = parts.netloc.rpartition("@")
        first, *others = hosts.split(",")
        path = parts.path
        if self.kind == "sentinel":
            _, self.service, *rest = [*path.split("/"), ""]
            path = f"/{rest[0]}" if rest else ""
            if not self.service:
                raise ValueError("a Sentinel URL names its service: redis+sentinel://host:port/service")
        self.options: dict[str, Any] = dict(
            parse_url(urlunsplit((scheme, user + at + first, path, parts.query, "")))  # it accepts only one host
        )
        self.tls = self.options.pop("connection_class", None) is SSLConnection
        self.hosts = [_host_port(host, 26379 if self.kind == "sentinel" else 6379) for host in (first, *others)]
        self.local = scheme == "unix"
        self.database = int(self.options.get("db") or 0)
        self._timeout = timeout
        self._ssl: ssl.SSLContext | None = None

    async def dial(self, scripts: Iterable[Script] = (), *, address: Address | None = None) -> Wire:
        """Connect to `address`, or to wherever the URL leads now, and teach the server `scripts`."""
        try:
            async with asyncio.timeout(self._timeout):
                address = address or await self._locate()
                wire = await self._open(address)
                wire.address = address
                try:
                    await self._greet(wire, scripts)
                except BaseException:
                    wire.abort()
                    raise
        except (OSError, RedisError) as error:  # TimeoutError is an OSError
            raise RedisUnavailable(f"cannot connect to Redis: {str(error) or type(error).__name__}") from error
        except Exception as error:
            _log.exception("connecting to Redis failed in a way that is not foreseen")
            raise RedisUnavailable(f"cannot connect to Redis: {error!r}") from error
        if wire.closed:
            raise RedisUnavailable("the connection was lost at once")
        return wire

    async def moved(self, wire: Wire) -> bool:
        """Whether the Sentinels name another primary than the server behind `wire`; False if they do not answer."""
        if self.kind != "sentinel":
            return False
        try:
            return await self._locate() != wire.address
        except (OSError, RedisError):
            return False
        except Exception:  # noqa: BLE001 - they are asked again
            _log.exception("asking the Sentinels failed in a way that is not foreseen")
            return False

    async def _locate(self) -> Address:
        if self.local:
            return Address(self.options.get("path", ""), 0)
        if self.kind != "sentinel":
            return self.hosts[0]
        kwargs = {
            "socket_timeout": _SENTINEL_TIMEOUT,
            "socket_connect_timeout": _SENTINEL_TIMEOUT,
            "retry": Retry(NoBackoff(), 0),  # the next Sentinel is asked instead
            "username": self.options.get("sentinel_username"),
            "password": self.options.get("sentinel_password"),
            **({"ssl": True, **self._tls_options()} if self.tls else {}),
        }
        sentinel = Sentinel(self.hosts, sentinel_kwargs=kwargs)
        try:
            found = await cast("Any", sentinel).discover_master(self.service)  # untyped
        except MasterNotFoundError:
            asked = ", ".join(f"{host}:{port}" for host, port in self.hosts)
            raise RedisUnavailable(
                f"no Sentinel of {asked} answers, or none knows a primary of {self.service}"
            ) from None
        finally:
            for each in sentinel.sentinels:
                await each.aclose()
        return Address(str(found[0]), int(found[1]))

    def _tls_options(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if name.startswith("ssl_")}

    async def _open(self, address: Address) -> Wire:
        loop = asyncio.get_running_loop()
        if self.local:
            return (await loop.create_unix_connection(Wire, address.host))[1]
        if self.tls and self._ssl is None:
            self._ssl = cast("Any", SSLConnection(**self._tls_options())).ssl_context.get()  # untyped
        transport, wire = await loop.create_connection(Wire, address.host, address.port, ssl=self._ssl)
        plug: socket.socket = transport.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
            with contextlib.suppress(AttributeError, OSError):  # each system has its own selection of these
                plug.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return wire

    async def _greet(self, wire: Wire, scripts: Iterable[Script]) -> None:
        options = self.options
        hello: list[Argument] = ["HELLO", 3]
        if options.get("password") or options.get("username"):  # a user may have no password
            hello += ["AUTH", options.get("username") or "default", options.get("password") or ""]
        if options.get("client_name"):
            hello += ["SETNAME", options["client_name"]]
        first = [Command(tuple(hello), None, retry=False), command("INFO", "server")]
        if options.get("db"):
            first.append(command("SELECT", options["db"], retry=False))
        load = [command("SCRIPT", "LOAD", script.source, retry=False) for script in scripts]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Replies] = loop.create_future()
        wire.submit(Batch((*first, *load), loop.time() + self._timeout, future))
        replies = await future
        for reply in replies[: len(first)]:  # a script that was not taken now (LOADING) is loaded on NOSCRIPT
            if isinstance(reply, Exception):
                raise reply
        self._check(wire, replies[0])
        info: bytes = replies[1]
        wire.run_id = info.partition(b"run_id:")[2].partition(b"\r")[0]

    def _check(self, wire: Wire, hello: dict[bytes, Reply]) -> None:
        """Refuse a server that cannot serve: too old, a Sentinel, or a primary that the Sentinels have just deposed."""
        version: bytes = hello[b"version"]
        if hello[b"server"] == b"redis" and int(version.partition(b".")[0]) < OLDEST:
            raise RedisUnavailable(f"Redis {version.decode()} is too old: {OLDEST}.0 or newer, or Valkey, is needed")
        wire.mode = hello[b"mode"]
        if wire.mode == b"sentinel":
            raise RedisUnavailable("this is a Sentinel: use redis+sentinel://host:port/service")
        if self.kind == "sentinel" and hello[b"role"] != b"master":
            raise RedisUnavailable("the server that the Sentinels named is not a primary yet")


def _host_port(text: str, default: int) -> Address:
    parts = urlsplit(f"//{text}")
    return Address(parts.hostname or "localhost", parts.port or default)
