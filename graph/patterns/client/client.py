"""The Redis client of every pattern: one multiplexed connection a server, one write a turn of the event loop.

redis-py reads the URL and finds the server; the traffic itself runs over `wire.Wire`. A command has a deadline of
5 s. While the server is away commands fail at once with `RedisUnavailable` and the connection is retried in the
background with full jitter, 2 s at most between attempts. A command whose reply was lost is sent again only when that
is harmless (`Command.retry`); any other fails with `OutcomeUnknown`. While 32 MiB wait for the server, batches are
refused with `RedisOverloaded`, and a caller that awaits a single command waits for room first.

All callers share the connection, so it must not be changed or blocked: no MULTI, SELECT or BLPOP through it.

Every method takes plain keys: prefixes and hash tags are the pattern's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, TypeAlias

from graph.patterns.client.batch import RedisOverloaded, RedisUnavailable, Replies
from graph.patterns.client.cluster import Cluster, slot_of
from graph.patterns.client.commands import Argument, Command, Script, command
from graph.patterns.client.connection import COMMAND_DEADLINE, Dialer, Newcomers
from graph.patterns.client.durable_writer import DurableWriter
from graph.patterns.client.listener import Hear, Listener
from graph.patterns.client.router import Router, connect

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from graph.patterns.client.batch import Receiver, Reply
    from graph.patterns.client.connection import Prepare


Observe: TypeAlias = "Callable[[Sequence[Command], asyncio.Future[Replies]], None]"
"""Hears of the commands of each batch, and gets the future of their replies."""


class Client:
    """Send commands, scripts and batches, and listen to channels."""

    def __init__(self, url: str, dialer: Dialer, router: Router, observe: Observe | None = None) -> None:
        """Use `open_client` instead."""
        self.url = url
        self._dialer = dialer
        self._router = router
        self._observe = observe
        self._lane: DurableWriter | None = None
        self._opening = asyncio.Lock()
        self._listeners: list[Listener] = []

    @property
    def connected(self) -> bool:
        """Whether the server can be reached at the moment."""
        return self._router.connected

    @property
    def run_id(self) -> bytes:
        """The id of the server process on the other end; empty while there is none."""
        return self._router.run_id

    @property
    def refusal(self) -> str:
        """Why the server refuses writes, or some commands, at the moment; empty while it takes everything."""
        return self._router.refusal or ("" if self._lane is None else self._lane.refusal)

    @property
    def database(self) -> int:
        """The number of the selected database. Channels know nothing of it, so their names carry it."""
        return self._dialer.database

    def channel(self, name: str) -> str:
        """The channel `name` of this database: databases of one server share their channels."""
        return f"{name}:{self.database}" if self.database else name

    @property
    def clustered(self) -> bool:
        """Whether the keys are spread over a cluster: then messages go by SPUBLISH, else by PUBLISH."""
        return isinstance(self._router, Cluster)

    def batch(self, *commands: Command) -> asyncio.Future[Replies]:
        """Send `commands` together, in one write with whatever else this turn of the loop sends.

        The future gives their replies in order and never raises: a command that failed has its exception
        (`ResponseError`, `RedisUnavailable`, `OutcomeUnknown`, `RedisOverloaded`) in its place. The commands leave at
        the call, not at the await. They are not a transaction: put what belongs together into one script.
        """
        return self._submit(commands)

    def _submit(self, commands: Sequence[Command]) -> asyncio.Future[Replies]:
        sent = self._router.submit(commands)
        if self._observe is not None:
            self._observe(commands, sent)
        return sent

    def deliver(self, receiver: Receiver, *commands: Command) -> None:
        """Like `batch`, but pass the replies to `receiver` as soon as they arrive, without a future or a task."""
        self._router.deliver(receiver, commands)

    async def send(self, one: Command) -> Reply:
        """Send one command and give its reply, raising what the server or the connection reports.

        While too many bytes wait for the server it waits for room, as long as a command may take, before it raises
        `RedisOverloaded`.
        """
        reply = (await self._submit((one,)))[0]
        if type(reply) is RedisOverloaded:
            reply = await self._wait_for_room(one)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def _wait_for_room(self, one: Command) -> Reply:
        loop = asyncio.get_running_loop()
        due = loop.time() + COMMAND_DEADLINE
        while True:
            await asyncio.sleep(random.uniform(0.01, 0.05))  # noqa: S311 - jitter, not a secret
            reply = (await self._router.submit((one,)))[0]
            if type(reply) is not RedisOverloaded or loop.time() > due:
                return reply

    async def execute(self, name: str, *args: Argument, retry: bool | None = None) -> Reply:
        """Send a plain command whose first argument is its key: ``await client.execute("GET", key)``."""
        return await self.send(command(name, *args, retry=retry))

    async def run(self, script: Script, keys: Sequence[Argument], args: Sequence[Argument] = ()) -> Reply:
        """Run a script by its SHA-1; if the server no longer has it, it is loaded first."""
        return await self.send(script(keys, args))

    async def mget(self, keys: Sequence[Argument]) -> list[bytes | None]:
        """Read many plain values in one trip (one a node, in a cluster), in the order of `keys`."""
        if not self.clustered:
            return await self.send(command("MGET", *keys)) if keys else []
        slots: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            slots.setdefault(slot_of(key), []).append(place)
        replies = await self.batch(*(command("MGET", *(keys[place] for place in group)) for group in slots.values()))
        values: list[bytes | None] = [None] * len(keys)
        for group, reply in zip(slots.values(), replies, strict=True):
            for place, value in zip(group, _value(reply), strict=True):
                values[place] = value
        return values

    async def scan(self, pattern: str, *, count: int = 500) -> AsyncGenerator[list[bytes]]:
        """The keys that match `pattern`, on every node, about `count` at a time; some may come twice.

        Raises `RedisUnavailable` where another server process took over on the way: its keys may be others.
        """
        for link in self._router.links:
            cursor, server = b"0", link.run_id
            while True:
                one = Command(("SCAN", cursor, "MATCH", pattern, "COUNT", count), None, retry=True)
                cursor, keys = _value((await link.submit((one,)))[0])
                if link.run_id != server:
                    raise RedisUnavailable("another server took over while its keys were read")
                yield keys
                if cursor == b"0":
                    break

    async def durable(self, one: Command, *, disk: bool = True) -> Reply:
        """Send one command and give its reply once it is on disk, where the server can say so (WAITAOF).

        Such commands have a connection of their own and share their waits: see `durable_writer`. A server without AOF
        answers at once. Where something else survives a crash (not `disk`) only a replica is waited for. Raises what
        `send` raises, and `OutcomeUnknown` when the fsync was not confirmed in time.
        """
        async with self._opening:
            if self._lane is None:
                self._lane = DurableWriter(await connect(self._dialer))
        if self._observe is None:
            return _value(await self._lane.send(one, disk=disk))
        told: asyncio.Future[Replies] = asyncio.get_running_loop().create_future()
        self._observe((one,), told)
        try:
            reply = await self._lane.send(one, disk=disk)
        except RedisUnavailable as error:
            told.set_result(Replies([error]))
            raise
        except asyncio.CancelledError:
            told.cancel()
            raise
        told.set_result(Replies([reply]))
        return _value(reply)

    async def vouches(self, replies: Replies) -> bool:
        """Whether the writes that gave `replies` count: no other server was made primary before they ran.

        Only behind Sentinels this is a question (`primary`); on False make them again, on the new primary. Raises
        `RedisUnavailable` while no majority of the Sentinels can say.
        """
        link = self._router.link_for(None)
        wires = {replies.wire_of(place) for place in range(len(replies))}
        return all([await link.vouches(wire) for wire in wires])

    def listen(
        self,
        on_message: Callable[[str, bytes], None],
        on_up: Callable[[Sequence[str]], None],
        on_down: Callable[[Sequence[str]], None],
        *,
        ping_interval: float = 3.0,
        pong_deadline: float = 5.0,
    ) -> Listener:
        """Make a listener on a connection of its own; see `Listener`. It is closed with the client."""
        hear = Hear(on_message, on_up, on_down, ping_interval, pong_deadline)
        if isinstance(self._router, Cluster):
            cluster = self._router
            listener = Listener(self._dialer, hear, locate=cluster.address_for, on_trouble=cluster.refresh)
            cluster.on_change.append(listener.relocate)
        else:
            listener = Listener(self._dialer, hear)
        self._listeners.append(listener)
        return listener

    async def close(self) -> None:
        """Close every connection; `open_client` does it at its end."""
        for listener in self._listeners:
            await listener.close()
        if self._lane is not None:
            await self._lane.close()
        await self._router.close()


def _value(reply: Reply) -> Reply:
    if isinstance(reply, Exception):
        raise reply
    return reply


@contextlib.asynccontextmanager
async def open_client(
    url: str, *, prepare: Prepare | None = None, observe: Observe | None = None
) -> AsyncGenerator[Client]:
    """Connect to `url` (see `dialer`) for the length of the block; raises `RedisUnavailable` when that fails.

    `prepare` is called with each server process that the client meets for the first time (`Newcomer`), before any of
    its replies is used: a server that was restarted or failed over may have lost what it had acknowledged. It must be
    harmless to repeat. What it raises makes the server count as away until another attempt succeeds.

    `observe` hears of each batch when it is sent, with the future of its replies; not of what `Client.deliver` sends.
    """
    dialer = Dialer(url)
    client = Client(url, dialer, await connect(dialer, Newcomers(prepare), tell=True), observe)
    try:
        yield client
    finally:
        await client.close()
