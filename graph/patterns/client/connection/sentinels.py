"""Asks the Sentinels of a service which server is its primary, and believes only what a majority of them says.

A single Sentinel may be behind, or cut off: for seconds after a failover two of them name two primaries, and clients
that ask one each use both. Two majorities have a Sentinel in common, and a Sentinel never goes back to an older
configuration (its epoch only grows). So whoever asks after somebody was told of a newer primary is told of it, too.

All Sentinels are asked at once. Those that the URL leaves out are found through the others, as soon as one is missing.

A majority does not know yet what one Sentinel has just done: it promotes a replica before it tells the others, and by
hand (SENTINEL FAILOVER) it needs nobody's vote. So one that is silent may be just that one, until it has been silent
for `PATIENCE`; one whose port is closed is not.

Failure: `RedisUnavailable` when no majority of the Sentinels that there are answers and agrees.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from graph.patterns.client.batch import RedisUnavailable
from graph.patterns.client.replies import mapping

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence

PATIENCE = 5.0
"""Seconds after which a Sentinel that does not answer counts as gone."""
_TIMEOUT = 1.0  # seconds for one Sentinel to answer


class Address(NamedTuple):
    """Where a server listens: a host and a TCP port, or the path of a unix socket and port 0."""

    host: str
    port: int


class View(NamedTuple):
    """What a majority of the Sentinels says: the primary, and the epoch of the configuration that made it so.

    `asked_at` is the loop's clock before the first was asked, `settled` for how many seconds it had been so by then.
    `ending` says that one of them is making another server primary, or has, or may have and does not answer: what is
    written now may not reach that one.
    """

    address: Address
    epoch: int
    asked_at: float
    settled: float
    ending: bool


class _Vote(NamedTuple):
    sentinel: bytes
    address: Address | None
    epoch: int
    settled: float
    ending: bool
    of: int  # how many Sentinels there are, as far as this one knows


class Sentinels:
    """The Sentinels of one service."""

    def __init__(
        self,
        hosts: Sequence[Address],
        service: str,
        options: Mapping[str, Any],
        reach: Callable[[Address], Address],
    ) -> None:
        """Ask those at `hosts` about `service`; `options` are redis-py's for connecting to a Sentinel.

        `reach` says where to connect for an address that one announces.
        """
        self._hosts = hosts
        self._reach = reach
        self._service = service
        self._options = {
            "socket_timeout": _TIMEOUT,
            "socket_connect_timeout": _TIMEOUT,
            "retry": Retry(NoBackoff(), 0),
            **{name: value for name, value in options.items() if name != "ssl"},
        }
        self._tls = bool(options.get("ssl"))
        self._more: list[Address] = []  # those that the URL leaves out, as far as they were needed
        self._looked = float("-inf")
        self._silent: dict[Address, float] = {}  # since when each has not answered

    async def view(self) -> View:
        """Ask them now; raises `RedisUnavailable`."""
        asked_at = asyncio.get_running_loop().time()
        votes = await self._votes([*self._hosts, *self._more])
        missing = votes and len(votes) < max(vote.of for vote in votes.values())
        if missing and (not _majority(votes) or self._looked < asked_at - PATIENCE):
            self._looked = asked_at
            self._more = [host for host in await self._others() if host not in self._hosts]
            votes |= await self._votes(self._more)
        found = _majority(votes)
        if found is None:
            raise RedisUnavailable(self._complaint(votes))
        address, epoch = found
        settled = min(vote.settled for vote in votes.values() if (vote.address, vote.epoch) == found)
        silent = any(since > asked_at - PATIENCE for since in self._silent.values())
        ending = silent or any(vote.ending or vote.epoch > epoch for vote in votes.values())
        return View(address, epoch, asked_at, settled, ending)

    async def _votes(self, hosts: Iterable[Address]) -> dict[bytes, _Vote]:
        answers = await asyncio.gather(*(self._vote(host) for host in hosts))
        return {vote.sentinel: vote for vote in answers if vote is not None}

    async def _vote(self, host: Address) -> _Vote | None:
        asked_at = asyncio.get_running_loop().time()
        try:
            async with self._connected(host) as ask:
                name = await ask("MYID")
                where = await ask("GET-MASTER-ADDR-BY-NAME", self._service)
                state = mapping(await ask("MASTER", self._service))
        except (TimeoutError, RedisTimeoutError):
            self._silent.setdefault(host, asked_at)
            return None
        except (OSError, RedisError):  # none listens there, or it does not know the service
            self._silent.pop(host, None)
            return None
        self._silent.pop(host, None)
        busy = b"failover_in_progress" in state[b"flags"]
        address = Address(where[0].decode(), int(where[1])) if where else None
        settled = 0.0 if busy else int(state[b"role-reported-time"]) / 1000
        # Once another server has been promoted it is named, while the state is still that of the former primary.
        ending = busy and address == (state[b"ip"].decode(), int(state[b"port"]))
        of = int(state[b"num-other-sentinels"]) + 1
        return _Vote(name, address, int(state[b"config-epoch"]), settled, ending, of)

    async def _others(self) -> list[Address]:
        """The Sentinels that those of the URL know."""
        found: set[Address] = set()
        for host in self._hosts:
            try:
                async with self._connected(host) as ask:
                    for each in await ask("SENTINELS", self._service):
                        known = mapping(each)
                        found.add(Address(known[b"ip"].decode(), int(known[b"port"])))
            except (OSError, RedisError):
                continue
        return sorted(found)

    @contextlib.asynccontextmanager
    async def _connected(self, host: Address) -> AsyncGenerator[Callable[..., Awaitable[Any]]]:
        """What sends a subcommand of SENTINEL to the one at `host` and gives the reply."""
        kind: Any = SSLConnection if self._tls else Connection
        reachable = self._reach(host)
        connection = kind(host=reachable.host, port=reachable.port, **self._options)

        async def ask(*words: str) -> Any:
            await connection.send_command("SENTINEL", *words)
            return await connection.read_response()

        try:
            await connection.connect()
            yield ask
        finally:
            await connection.disconnect(nowait=True)  # a pause here could be cancelled, and leave the socket open

    def _complaint(self, votes: Mapping[bytes, _Vote]) -> str:
        asked = ", ".join(f"{host}:{port}" for host, port in self._hosts)
        if not votes:
            return f"no Sentinel of {asked} answers, or none knows a primary of {self._service}"
        of = max(vote.of for vote in votes.values())
        named = sorted({f"{vote.address.host}:{vote.address.port}" for vote in votes.values() if vote.address})
        return f"{len(votes)} of {of} Sentinels of {self._service} answer, and no majority names one primary: {named}"


def _majority(votes: Mapping[bytes, _Vote]) -> tuple[Address, int] | None:
    """The primary and its epoch that more than half of all Sentinels name."""
    of = max((vote.of for vote in votes.values()), default=1)
    counted = Counter((vote.address, vote.epoch) for vote in votes.values() if vote.address is not None)
    named = [found for found, count in counted.items() if count > of / 2]
    return named[0] if named else None
