"""Finds a Redis server and performs the handshake with it.

redis-py reads the URL and makes the TLS context; what comes out is a `wire.Wire` that is
authenticated, speaks RESP3 and has the right database selected. The server is located anew for every connection, so a
failover is followed by the first connection after it. Behind Sentinels it is the one that a majority of them names.

URLs: `redis://[user:password@]host:port/db`, `rediss://…` (TLS), `unix://[user:password@]/path?db=0`,
`redis+sentinel://[user:password@]host:port,host:port/service/db` (credentials are the data servers'; the Sentinels'
own are the options `sentinel_username` and `sentinel_password`) and `redis+cluster://host:port,host:port`, both also as
`rediss+…`. A cluster is also recognised behind a plain URL of one of its nodes. Options are redis-py's:
`?ssl_ca_certs=…&client_name=…`, and one more: `address_map=10.0.0.1:6379=redis.example.org:7001,…` says
where to connect in place of an address that a node of a cluster or a Sentinel announces, for servers behind NAT. Either
may be a host alone: then the port stays. Certificates whose files are replaced are read again for the next connection.

It fails with `RedisUnavailable`, whatever the reason; the message holds no password.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import RedisError

from graph.patterns.client.batch import Batch, RedisUnavailable, Replies, Reply
from graph.patterns.client.commands import Argument, Command, command
from graph.patterns.client.connection.sentinels import Address, Sentinels, View
from graph.patterns.client.connection.wire import Wire
from graph.patterns.client.refusals import RedisRefused, error_word, refusal_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from graph.patterns.client.commands import Script

_CERTIFICATES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
logger = logging.getLogger(__name__)

CONNECT_TIMEOUT = 10.0
OLDEST = 7
"""Major version of Redis; any Valkey is new enough."""
HONEST = 8
"""Major version of Redis from which WAITAOF answers after the fsync; no Valkey does so yet."""


class BadRedisUrl(ValueError):
    """A URL that names no Redis; the message says what is wrong with it, and holds no password."""


class Dialer:
    """Opens connections to the server that a URL names, wherever that is at the moment."""

    def __init__(self, url: str, *, timeout: float = CONNECT_TIMEOUT) -> None:
        """Read `url`; a connection must stand within `timeout` seconds. Raises `BadRedisUrl`."""
        self._timeout = timeout
        self._ssl: ssl.SSLContext | None = None
        self._ssl_files: object = None  # the state of its files when they were read
        try:
            self._read(url)
        except ValueError as error:
            raise BadRedisUrl(str(error)) from error

    def _read(self, url: str) -> None:
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
        self.hosts = [_host_port(host, 26379 if self.kind == "sentinel" else 6379) for host in (first, *others)]
        self.options: dict[str, Any] = dict(
            parse_url(urlunsplit((scheme, user + at + first, path, parts.query, "")))  # it accepts only one host
        )
        self.tls = self.options.pop("connection_class", None) is SSLConnection
        self._map = _address_map(self.options.pop("address_map", ""))
        self.sentinels = self._sentinels() if self.kind == "sentinel" else None
        self.local = scheme == "unix"
        self.database = int(self.options.get("db") or 0)

    async def dial(self, scripts: Iterable[Script] = (), *, address: Address | None = None) -> Wire:
        """Connect to `address`, or to wherever the URL leads now, and teach the server `scripts`."""
        try:
            async with asyncio.timeout(self._timeout):
                view: View | None = None
                if address is None:
                    address, view = await self._locate()
                wire = await self._open(address)
                wire.address, wire.view = address, view
                try:
                    await self._greet(wire, scripts)
                except BaseException:
                    wire.abort()
                    raise
        except (OSError, RedisError) as error:  # TimeoutError is an OSError
            why = f"cannot connect to Redis: {str(error) or type(error).__name__}"
            word = error_word(error)
            raise (RedisRefused(word, why) if refusal_of(error) else RedisUnavailable(why)) from error
        except Exception as error:
            logger.exception("connecting to Redis failed in a way that is not foreseen")
            raise RedisUnavailable(f"cannot connect to Redis: {error!r}") from error
        if wire.closed:
            raise RedisUnavailable("the connection was lost at once")
        return wire

    def reach(self, announced: Address) -> Address:
        """Where to connect to the server that announces itself as that."""
        host, port = self._map.get(announced) or self._map.get(announced._replace(port=0)) or announced
        return Address(host, port or announced.port)

    async def view(self) -> View:
        """What the Sentinels say now; raises `RedisUnavailable`."""
        assert self.sentinels is not None
        return await self.sentinels.view()

    async def role(self, address: Address) -> bytes:
        """What the server at `address` says that it is (master, replica); empty where none listens."""
        try:
            wire = await self._open(address)
        except ConnectionRefusedError:
            return b""
        try:
            (hello, *_) = await self._hello(wire, [])
            if isinstance(hello, Exception):
                raise hello
            return hello[b"role"]
        finally:
            wire.abort()

    async def _locate(self) -> tuple[Address, View | None]:
        if self.local:
            return Address(self.options.get("path", ""), 0), None
        if self.sentinels is None:
            return self.hosts[0], None
        view = await self.sentinels.view()
        return view.address, view

    def _sentinels(self) -> Sentinels:
        options = {
            "username": self.options.get("sentinel_username"),
            "password": self.options.get("sentinel_password"),
            **({"ssl": True, **self._tls_options()} if self.tls else {}),
        }
        return Sentinels(self.hosts, self.service, options, self.reach)

    def _tls_options(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if name.startswith("ssl_")}

    async def _open(self, address: Address) -> Wire:
        loop = asyncio.get_running_loop()
        if self.local:
            return (await loop.create_unix_connection(Wire, address.host))[1]
        host, port = self.reach(address)
        transport, wire = await loop.create_connection(Wire, host, port, ssl=self._secured() if self.tls else None)
        plug: socket.socket = transport.get_extra_info("socket")
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
            with contextlib.suppress(AttributeError, OSError):  # each system has its own selection of these
                plug.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return wire

    def _secured(self) -> ssl.SSLContext:
        """What a TLS connection needs, with certificates as they are now; as they were, while they cannot be read."""
        options = self._tls_options()
        files = [_state_of(options.get(name)) for name in _CERTIFICATES]
        if self._ssl is None or files != self._ssl_files:
            try:
                self._ssl = cast("ssl.SSLContext", cast("Any", SSLConnection(**options)).ssl_context.get())  # untyped
                self._ssl_files = files
            except (OSError, RedisError):
                if self._ssl is None:
                    raise
        return self._ssl

    async def _greet(self, wire: Wire, scripts: Iterable[Script]) -> None:
        more = [command("INFO", "server")]
        if self.options.get("db"):
            more.append(command("SELECT", self.options["db"], retry=False))
        load = [command("SCRIPT", "LOAD", script.source, retry=False) for script in scripts]
        replies = await self._hello(wire, [*more, *load])
        for reply in replies[: 1 + len(more)]:  # a script that was not taken now (LOADING) is loaded on NOSCRIPT
            if isinstance(reply, Exception):
                raise reply
        self._check(wire, replies[0])
        wire.run_id = _server_id(replies[1], wire.view)

    async def _hello(self, wire: Wire, more: list[Command]) -> Replies:
        """Sign in, with `more` commands in the same write."""
        options = self.options
        hello: list[Argument] = ["HELLO", 3]
        if options.get("password") or options.get("username"):  # a user may have no password
            hello += ["AUTH", options.get("username") or "default", options.get("password") or ""]
        if options.get("client_name"):
            hello += ["SETNAME", options["client_name"]]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Replies] = loop.create_future()
        wire.submit(Batch((Command(tuple(hello), None, retry=False), *more), loop.time() + self._timeout, future))
        return await future

    def _check(self, wire: Wire, hello: dict[bytes, Reply]) -> None:
        """Refuse a server that cannot serve: too old, a Sentinel, or a primary that the Sentinels have just deposed."""
        version: bytes = hello[b"version"]
        major = int(version.partition(b".")[0]) if hello[b"server"] == b"redis" else None  # every Valkey is new enough
        if major is not None and major < OLDEST:
            raise RedisUnavailable(f"Redis {version.decode()} is too old: {OLDEST}.0 or newer, or Valkey, is needed")
        wire.mode = hello[b"mode"]
        wire.confirms_early = major is None or major < HONEST
        if wire.mode == b"sentinel":
            raise RedisUnavailable("this is a Sentinel: use redis+sentinel://host:port/service")
        if self.kind == "sentinel" and hello[b"role"] != b"master":
            raise RedisUnavailable("the server that the Sentinels named is not a primary yet")


def _state_of(path: str | None) -> tuple[int, ...]:
    """What is another one after a file was replaced, or a link to it; empty where there is none."""
    try:
        found = Path(path or "/nowhere").stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def _host_port(text: str, default: int) -> Address:
    parts = urlsplit(f"//{text}")
    try:
        return Address(parts.hostname or "localhost", parts.port or default)
    except ValueError:  # which shows what may be the beginning of a password
        raise ValueError("a port makes no sense; in a password write / as %2F, # as %23, ? as %3F") from None


def _address_map(text: str) -> dict[Address, Address]:
    """Read ``announced=reachable,…``; port 0 stands for any port, or for the same one. Raises ValueError."""
    found: dict[Address, Address] = {}
    for pair in text.split(",") if text else ():
        announced, arrow, reachable = pair.partition("=")
        if not (announced and arrow and reachable):
            raise ValueError(f"address_map is announced=reachable,announced=reachable, not {pair!r}")
        found[_host_port(announced, 0)] = _host_port(reachable, 0)
    return found


def _server_id(info: bytes, view: View | None) -> bytes:
    """What tells this server process, as the primary that it is, from every other: see `Replies.run_id`."""
    told = info.partition(b"run_id:")[2].partition(b"\r")[0]
    if view is not None:
        return b"%s@%d" % (told or _nonce(), view.epoch)
    return told or _nonce()


def _nonce() -> bytes:
    """For a server that does not tell its run id: each connection to it may be to another process."""
    return b"@" + secrets.token_hex(8).encode()
