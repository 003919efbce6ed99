"""Redis Cluster: one link a primary, batches divided by the slots of their keys.

The slot map is read from a node, and again when a node redirects (MOVED), cannot be reached, or says that the
cluster is down. A redirected command is sent on at once, ASK with ASKING before it; TRYAGAIN is tried again until
the deadline, CLUSTERDOWN for a moment, as every other refusal (`connection.circuit`). A redirected command was not
run, so this is safe for every command. Commands of one batch on different nodes run in no particular order.

A command goes where its first key lives: the keys of one command or script share a hash tag.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

from redis.crc import key_slot
from redis.exceptions import RedisError

from graph.patterns.client.batch import Batch, RedisUnavailable
from graph.patterns.client.commands import ASKING, Argument, Command, Script, command
from graph.patterns.client.connection import COMMAND_DEADLINE, PAUSE, Address, Link
from graph.patterns.client.refusals import SLOTS
from graph.patterns.outage import Outage

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from graph.patterns.client.batch import Receiver, Replies, Reply
    from graph.patterns.client.connection import Dialer, Newcomers

_NODE_TIMEOUT = 1.0  # seconds for one node to tell the slot map before the next is asked
_REFRESH_PAUSE = 0.1  # seconds between two readings of the slot map


def slot_of(key: Argument) -> int:
    """The slot of a key, from 0 to 16383."""
    return key_slot(key if isinstance(key, bytes) else str(key).encode())


class Cluster:
    """Sends batches to the nodes of a cluster for as long as it is open."""

    def __init__(self, dialer: Dialer, newcomers: Newcomers | None = None, log: logging.Logger | None = None) -> None:
        """Prepare for the cluster that the hosts of `dialer` belong to; `open` connects.

        Nodes that are away are told of in `log`.
        """
        if dialer.options.get("db"):
            raise ValueError("a Redis Cluster has no databases but 0")
        self._dialer = dialer
        self._newcomers = newcomers
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._links: dict[Address, Link] = {}
        self._slots: dict[int, Link] = {}
        self._scripts: set[Script] = set()
        self._refresher: asyncio.Task[None] | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._closed = False
        self.on_change: list[Callable[[], None]] = []

    @property
    def connected(self) -> bool:
        """Whether every primary can be reached at the moment."""
        return bool(self._links) and all(link.connected for link in self._links.values())

    @property
    def run_id(self) -> bytes:
        """Empty: a cluster has many; ask the replies."""
        return b""

    @property
    def refusal(self) -> str:
        """Why a node refuses writes, or some commands; empty while all of them take everything."""
        return next((link.refusal for link in self._links.values() if link.refusal), "")

    @property
    def links(self) -> Sequence[Link]:
        """A link to every primary."""
        return tuple(self._links.values())

    async def open(self) -> None:
        """Read the slot map and connect to every primary, raising `RedisUnavailable` when no node tells the map."""
        await self._refresh()
        await asyncio.gather(*(link.submit([command("PING")]) for link in self._links.values()))

    async def close(self) -> None:
        """Stop; whatever still waits fails with `RedisUnavailable`, or `OutcomeUnknown` if it may have run."""
        self._closed = True
        tasks = [task for task in (self._refresher, *self._leaving) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for link in self._links.values():
            await link.close()

    # --- sending ---

    def link_for(self, key: Argument | None) -> Link:
        """The link to the node that holds `key`; to any node for None."""
        link = self._slots.get(slot_of(key)) if key is not None else None
        return link or random.choice(list(self._links.values()))  # noqa: S311 - a choice, not a secret

    def address_for(self, key: Argument) -> Address | None:
        """Where the node that holds `key` listens."""
        return self.link_for(key).address

    def submit(self, commands: Sequence[Command], seconds: float = COMMAND_DEADLINE) -> asyncio.Future[Replies]:
        """Send a batch; the future never fails: errors stand in their command's place."""
        future: asyncio.Future[Replies] = self._loop.create_future()
        self.deliver(future, commands, seconds)
        return future

    def deliver(self, receiver: Receiver, commands: Sequence[Command], seconds: float = COMMAND_DEADLINE) -> None:
        """Send a batch for `receiver`."""
        pending = Batch(commands, self._loop.time() + seconds, receiver)
        groups: dict[Link, list[int]] = {}
        for place, one in enumerate(commands):
            if one.script is not None:
                self._scripts.add(one.script)
            groups.setdefault(self.link_for(one.key), []).append(place)
        if len(groups) > 1:
            pending.hold()
            for link, part in zip(groups, pending.spread(groups.values()), strict=True):
                link.put(part)
            pending.release()
        else:
            next(iter(groups), self.link_for(None)).put(pending)

    # --- redirections ---

    def _reroute(self, link: Link, pending: Batch, place: int, word: str) -> bool:
        """Take over a command that belongs to another node, or for the moment to none."""
        if word in ("MOVED", "ASK"):
            _, slot, where = str(pending.replies[place]).split()[:3]
            host, _, port = where.rpartition(":")
            assert link.address is not None
            target = self._link_at(Address(_host(host) or link.address.host, int(port)))
            if word == "MOVED":
                self._slots[int(slot)] = target
                self.refresh()
            target.again(pending.part([place], [ASKING] if word == "ASK" else ()))
        elif word == "TRYAGAIN" or word in SLOTS:
            self.refresh()
            if word in SLOTS and not link.is_passing(word):
                return False
            link.again(pending.part([place]), PAUSE)
        else:
            return False
        return True

    def _link_at(self, address: Address) -> Link:
        link = self._links.get(address)
        if link is None:
            name = f"Redis at {address.host}:{address.port}"
            link = self._links[address] = Link(
                self._dialer,
                address=address,
                scripts=self._scripts,
                reroute=self._reroute,
                on_trouble=self.refresh,
                newcomers=self._newcomers,
                outage=Outage(f"{name} is away", f"{name} is back", self._log),
            )
            link.start()
        return link

    # --- the slot map ---

    def refresh(self) -> None:
        """Read the slot map again, in the background and once for all who ask."""
        if self._refresher is None and not self._closed:
            self._refresher = asyncio.create_task(self._refresh_soon(), name="redis-slots")

    async def _refresh_soon(self) -> None:
        try:
            with contextlib.suppress(RedisUnavailable):
                await self._refresh()
            await asyncio.sleep(_REFRESH_PAUSE)
        finally:
            self._refresher = None

    async def _refresh(self) -> None:
        found = await self._read()
        if not found:
            raise RedisUnavailable("the cluster serves no slots")
        slots: dict[int, Link] = {}
        for served, address in found:  # a range at a time: there are 16,384 slots
            slots |= dict.fromkeys(served, self._link_at(address))
        self._slots = slots
        kept = set(self._slots.values())
        for address, link in list(self._links.items()):
            if link not in kept:
                del self._links[address]
                task = asyncio.create_task(self._part_with(link), name="redis-leave")
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)
        for callback in self.on_change:
            callback()

    async def _part_with(self, link: Link) -> None:
        """Close the link to a node that no longer serves any slot, once it has answered the commands in progress."""
        try:
            for pending in await link.leave():
                self.link_for(pending.commands[0].key).put(pending)
            await asyncio.sleep(COMMAND_DEADLINE)
        finally:
            await link.close()

    async def _read(self) -> list[tuple[range, Address]]:
        """The ranges of the slot map and who serves them, as the first node has it that answers with one."""
        known = list({*self._links, *self._dialer.hosts})
        why: Exception | None = None
        for address in random.sample(known, len(known)):
            try:
                async with asyncio.timeout(_NODE_TIMEOUT):
                    if found := await self._ask(address):
                        return found
            except TimeoutError:
                why = TimeoutError(f"{address[0]}:{address[1]} does not answer")
            except (OSError, RedisError) as error:
                why = error
        raise RedisUnavailable(f"no node tells the slots of the cluster: {why or 'it serves none'}") from why

    async def _ask(self, address: Address) -> list[tuple[range, Address]]:
        wire = await self._dialer.dial(address=address)
        try:
            future: asyncio.Future[Replies] = self._loop.create_future()
            wire.submit(Batch((command("CLUSTER", "SLOTS"),), self._loop.time() + _NODE_TIMEOUT, future))
            (ranges,) = await future
            if isinstance(ranges, Exception):
                raise ranges
            return [
                (range(first, last + 1), Address(_host(primary[0]) or address.host, int(primary[1])))
                for first, last, primary, *_ in ranges
            ]
        finally:
            wire.abort()


def _host(told: Reply) -> str:
    """The host in the map or in a redirection; empty where it is the one that was asked.

    A cluster behind a proxy may say so (`cluster-preferred-endpoint-type unknown-endpoint`): then only ports differ.
    """
    host = told.decode() if isinstance(told, bytes) else told or ""
    return "" if host == "?" else host
