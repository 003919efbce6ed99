"""Finds out what the user of a Redis URL may not do, on every server that the URL leads to.

Access lists belong to a server, not to a cluster or a Sentinel group: a user that may do everything on the primary may
be unknown to the replica that is primary tomorrow. So every node of a cluster is asked, replicas included, and behind
Sentinels the Sentinels, the primary and its replicas.

Nothing is changed: Redis looks at the permissions before it looks at anything else, so each command is sent in a form
that does nothing. Each server is asked over a connection of its own, with redis-py, because a `Client` cannot connect
where what it needs is denied. A server that cannot be reached is reported as such, never raised.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from redis.asyncio.connection import Connection, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from graph.patterns.client.connection import Address, Dialer
from graph.patterns.client.replies import mapping

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping, Sequence

_TIMEOUT = 5.0  # seconds for a server to answer
_ASKED_OF_SENTINELS = ("myid", "get-master-addr-by-name", "master", "sentinels")
_OF_A_KEY = (("SETRANGE", "0", ""), ("GET",), ("ZREM", "graph-doctor"))  # the key may be in use: they change nothing


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a user needs: `commands` as they are sent, by name; `keys` and `channels`, an unused one of each, by shape.

    The commands `in_clusters` are asked of the nodes of a cluster alone, those `elsewhere` of all other servers alone.
    """

    commands: Mapping[str, Sequence[str]]
    keys: Mapping[str, str]
    channels: Mapping[str, str]
    in_clusters: Collection[str] = ()
    elsewhere: Collection[str] = ()


class Denied(NamedTuple):
    """What one server refuses: `names` of commands, shapes of keys or of channels.

    Where the server could not be asked at all (`sign in`, `reach`) there are none, and `why` is what it said.
    """

    server: str
    user: str
    what: Literal["command", "key", "channel", "sign in", "reach"]
    names: tuple[str, ...]
    why: str = ""


async def denied(url: str, wanted: Wanted) -> list[Denied]:
    """Ask every server of `url`, at once; raises `BadRedisUrl`."""
    dialer = Dialer(url)
    if dialer.sentinels is None:
        return await _all(_Server(dialer, address, wanted) for address in await _nodes(dialer))
    sentinels = [_Sentinel(dialer, address) for address in dialer.hosts]
    found = await _all(sentinels)
    others = {address for one in sentinels for address in one.sentinels} - set(dialer.hosts)
    found += await _all(_Sentinel(dialer, address) for address in sorted(others))
    servers = {address for one in sentinels for address in one.servers}
    return found + await _all(_Server(dialer, address, wanted) for address in sorted(servers))


async def _all(servers: Any) -> list[Denied]:
    answers = await asyncio.gather(*(server.ask() for server in servers))
    return [one for answer in answers for one in answer]


class _Asked:
    """One server, and the user that signs in there."""

    kind = ""
    own = ""

    def __init__(self, dialer: Dialer, address: Address) -> None:
        self.dialer = dialer
        self.address = address
        self.credentials = {name: dialer.options.get(f"{self.own}{name}") for name in ("username", "password")}
        self.user: str = self.credentials["username"] or "default"
        self.name = f"{self.kind}{address.host}:{address.port}" if address.port else address.host

    async def ask(self) -> list[Denied]:
        """What it denies."""
        try:
            async with asyncio.timeout(2 * _TIMEOUT), _connected(self.dialer, self.address, **self.credentials) as send:
                return await self.examine(send)
        except (AuthenticationError, NoPermissionError) as error:
            return [Denied(self.name, self.user, "sign in", (), str(error))]
        except (OSError, RedisError) as error:  # TimeoutError is an OSError
            return [Denied(self.name, self.user, "reach", (), str(error) or type(error).__name__)]

    async def examine(self, send: _Send) -> list[Denied]:
        raise NotImplementedError


class _Server(_Asked):
    """A server that holds keys."""

    def __init__(self, dialer: Dialer, address: Address, wanted: Wanted) -> None:
        super().__init__(dialer, address)
        self.wanted = wanted

    async def examine(self, send: _Send) -> list[Denied]:
        wanted = self.wanted
        skipped = wanted.elsewhere if await _in_cluster(send) else wanted.in_clusters
        commands = {name: words for name, words in wanted.commands.items() if name not in skipped}
        if "select" in commands:
            commands["select"] = ("SELECT", str(self.dialer.database))
            if not self.dialer.database:
                del commands["select"]
        publish = "PUBLISH" if "publish" in commands else "SPUBLISH"
        suffix = f":{self.dialer.database}" if self.dialer.database else ""  # see `Client.channel`
        asked = {
            "command": {name: [words] for name, words in commands.items()},
            "key": {shape: [(verb, key, *more) for verb, *more in _OF_A_KEY] for shape, key in wanted.keys.items()},
            "channel": {shape: [(publish, f"{channel}{suffix}", "")] for shape, channel in wanted.channels.items()},
        }
        found: list[Denied] = []
        for what in ("command", "key", "channel"):
            probes = asked[what]
            replies = iter(await send([words for several in probes.values() for words in several]))
            names = [
                name for name, several in probes.items() if what in [_what_is_denied(next(replies)) for _ in several]
            ]
            if names:
                found.append(Denied(self.name, self.user, what, tuple(names)))
        return found


class _Sentinel(_Asked):
    """A Sentinel, which tells where the others are: of its kind, and those that hold keys."""

    kind = "Sentinel "
    own = "sentinel_"

    def __init__(self, dialer: Dialer, address: Address) -> None:
        super().__init__(dialer, address)
        self.sentinels: list[Address] = []
        self.servers: list[Address] = []

    async def examine(self, send: _Send) -> list[Denied]:
        service = self.dialer.service
        words = [("SENTINEL", name, *((service,) if name != "myid" else ())) for name in _ASKED_OF_SENTINELS]
        replies = await send([*words, ("SENTINEL", "REPLICAS", service)])
        _, primary, _, sentinels, replicas = replies
        if not isinstance(primary, Exception) and primary:
            self.servers.append(Address(primary[0].decode(), int(primary[1])))
        self.servers += _addresses(replicas)
        self.sentinels = _addresses(sentinels)
        names = [
            f"sentinel|{name}"
            for name, reply in zip(_ASKED_OF_SENTINELS, replies, strict=False)
            if _what_is_denied(reply) == "command"
        ]
        return [Denied(self.name, self.user, "command", tuple(names))] if names else []


def _addresses(reply: Any) -> list[Address]:
    """The servers in a reply of the Sentinels; none where it is an error."""
    known = [] if isinstance(reply, Exception) else [mapping(each) for each in reply]
    return [Address(one[b"ip"].decode(), int(one[b"port"])) for one in known]


def _what_is_denied(reply: Any) -> str:
    """What Redis names in a denial; empty for any other reply: then the user was allowed to ask."""
    if not isinstance(reply, NoPermissionError):
        return ""
    text = str(reply)
    return next((what for what in ("channel", "key") if f" {what}" in text), "command")


async def _nodes(dialer: Dialer) -> list[Address]:
    """Every node of a cluster, as the first one says that answers; else where the URL leads."""
    if dialer.local:
        return [Address(dialer.options.get("path", ""), 0)]
    user = {name: dialer.options.get(name) for name in ("username", "password")}
    for address in dialer.hosts:
        with contextlib.suppress(OSError, RedisError):
            async with asyncio.timeout(_TIMEOUT), _connected(dialer, address, **user) as send:
                (ranges,) = await send([("CLUSTER", "SLOTS")])
                if not isinstance(ranges, Exception):
                    nodes = [node for _, _, *nodes in ranges for node in nodes]
                    return sorted({Address(_host(node[0], address), int(node[1])) for node in nodes})
    return list(dialer.hosts) if dialer.kind == "cluster" else dialer.hosts[:1]


def _host(told: bytes | None, asked: Address) -> str:
    return asked.host if told in (None, b"", b"?") else told.decode()


async def _in_cluster(send: _Send) -> bool:
    (hello,) = await send([("HELLO",)])
    return not isinstance(hello, Exception) and mapping(hello)[b"mode"] == b"cluster"


class _Send:
    """Sends commands together and gives their replies, errors among them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def __call__(self, commands: Sequence[Sequence[str]]) -> list[Any]:
        await self._connection.send_packed_command(self._connection.pack_commands(commands))
        replies: list[Any] = []
        for _ in commands:
            try:
                replies.append(await self._connection.read_response())
            except ResponseError as error:
                replies.append(error)
        return replies


@contextlib.asynccontextmanager
async def _connected(dialer: Dialer, address: Address, **user: Any) -> AsyncGenerator[_Send]:
    options: dict[str, Any] = {
        "protocol": 2,  # the reply to SUBSCRIBE comes in its turn
        "socket_timeout": _TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        **user,
    }
    if dialer.local:
        connection: Any = UnixDomainSocketConnection(path=address.host, **options)
    else:
        kind: Any = SSLConnection if dialer.tls else Connection
        secure = {name: value for name, value in dialer.options.items() if name.startswith("ssl_")}
        host, port = dialer.reach(address)
        connection = kind(host=host, port=port, socket_connect_timeout=_TIMEOUT, **secure, **options)
    try:
        await connection.connect()
        yield _Send(connection)
    finally:
        await connection.disconnect(nowait=True)
