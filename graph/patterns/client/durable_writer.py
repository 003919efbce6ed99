"""Writes that survive a crash when they are acknowledged, as far as the servers can say so.

They travel on a connection of their own, because WAITAOF (Redis ≥ 7.2, Valkey) and WAIT block the connection they are
sent on. One group is in progress at a time: its commands, one `WAITAOF 1 0`, and where the server has replicas one
`WAIT 1`; commands sent meanwhile form the next group. So 500 concurrent writes cost about one wait for fsync, which
with `appendfsync everysec` is about a second at most, and one for a replica, which takes about a round trip.

Valkey (to 9.1) and Redis before 8 confirm too early under `appendfsync everysec`: all that was written within a second
of an fsync that did not include it (https://github.com/redis/redis/pull/13793). There the fsync itself is waited for:
it has begun `BEGUN` seconds after the confirmation, and is over when INFO shows none in progress, twice. Under
`appendfsync always` there is nothing to wait for; a server whose user may not ask for its configuration does not tell.

A write that a replica has is not lost with its primary: Sentinels and clusters promote the replica that knows most.

Where a server cannot confirm, the reply is returned as soon as the command ran. That is so without AOF, without
WAITAOF, and where nothing is being synced to disk: under ``appendfsync no``, or while a rewrite runs under
``no-appendfsync-on-rewrite yes``. The server is asked whether that is so, and again after `LAX` seconds. It is also so
without a replica, and where no replica was heard of for `FRESH` seconds or has the write after `TIMEOUT`: then a log
line tells of it, `LAX` seconds apart at least. Whoever wants such writes refused sets `min-replicas-to-write`.
If an fsync in progress is not confirmed in time, the connection is lost first, or the Sentinels name another primary
by then, `OutcomeUnknown` is raised.
"""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, cast

from redis.exceptions import ResponseError

from graph.patterns.client.batch import Batch, OutcomeUnknown, RedisUnavailable, Replies, Reply, ServerConnection
from graph.patterns.client.commands import Command
from graph.patterns.client.connection import COMMAND_DEADLINE, Link

if TYPE_CHECKING:
    from graph.patterns.client.router import Router

TIMEOUT = 3.0
"""Seconds that the server may take to confirm; less than the deadline of a command, which the group shares."""

LAX = 30.0
"""Seconds for which writes do not wait for a server that was seen to sync nothing."""

FRESH = 3
"""Seconds since a replica was last heard of, up to which it is waited for; each says every second how far it is."""

BEGUN = 1.2
"""Seconds after which a server that syncs every second, and looks ten times a second, syncs whatever it had written."""

_LOOK = 0.15  # seconds until the look after one that saw no fsync: longer than it takes to begin the next one
_GLANCE = 0.03  # seconds until the look after one that saw one: a slow disk is busy for all but moments
_SYNCED = Command(("WAITAOF", 1, 0, round(TIMEOUT * 1000)), None, retry=False)
_REPLICATED = Command(("WAIT", 1, round(TIMEOUT * 1000)), None, retry=False)
_REPLICAS = Command(("INFO", "replication"), None, retry=False)
_PERSISTENCE = Command(("INFO", "persistence"), None, retry=True)
_APPENDFSYNC = Command(("CONFIG", "GET", "appendfsync"), None, retry=True)
_MAY_ASK = Command(  # a denied CONFIG would be in the server's ACL LOG
    ("EVAL", "return redis.acl_check_cmd('CONFIG', 'GET', 'appendfsync') and 1 or 0", 0), None, retry=True
)
_IDLE = b"aof_pending_bio_fsync:0"
_ONLINE = re.compile(rb"state=online,.*?lag=(\d+)")

logger = logging.getLogger(__name__)


class DurableWriter:
    """Sends durable commands over links of its own."""

    def __init__(self, router: Router) -> None:
        """Use the open `router`, which nobody else may use, and close it with `close`."""
        self._router = router
        self._groups: dict[tuple[Link, bool], _Group] = {}
        self._closed = False

    @property
    def refusal(self) -> str:
        """Why the server refuses writes, or some commands, at the moment; empty while it takes everything."""
        return self._router.refusal

    async def send(self, one: Command, *, disk: bool = True) -> Reply:
        """Return the reply of `one`, even an error, once it is on disk; raises `OutcomeUnknown` when in doubt.

        Without `disk` only a replica is waited for.
        """
        if self._closed:
            raise RedisUnavailable("the client was closed")
        link = self._router.link_for(one.key)
        group = self._groups.get((link, disk))
        if group is None:
            group = self._groups[link, disk] = _Group(link, disk=disk)
        return await group.send(one)

    async def close(self) -> None:
        """Stop; commands in progress fail with `OutcomeUnknown`, unsent ones with `RedisUnavailable`."""
        self._closed = True
        await self._router.close()  # ends the groups under way
        for group in self._groups.values():
            await group.end()


class _Group:
    """The commands that wait for one link."""

    def __init__(self, link: Link, *, disk: bool) -> None:
        self._link = link
        self._disk = disk
        self._loop = asyncio.get_running_loop()
        self._waiting: list[tuple[Command, asyncio.Future[Reply]]] = []
        self._task: asyncio.Task[None] | None = None
        self._lax_until = self._told = float("-inf")
        self._allowed: tuple[ServerConnection | None, bool] = (None, False)  # to ask for the configuration

    async def send(self, one: Command) -> Reply:
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append((one, future))
        if self._task is None:
            self._task = asyncio.create_task(self._drain(), name="redis-durable")
        return await future

    async def end(self) -> None:
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _drain(self) -> None:
        """Send group after group until no command waits."""
        group: list[tuple[Command, asyncio.Future[Reply]]] = []
        try:
            while True:
                await asyncio.sleep(0)  # include everything that is sent in this turn of the loop
                group = [(one, future) for one, future in self._waiting if not future.done()]
                self._waiting.clear()
                if not group:
                    return
                for (_, future), outcome in zip(group, await self._write([one for one, _ in group]), strict=True):
                    if future.done():
                        continue
                    if isinstance(outcome, RedisUnavailable):
                        future.set_exception(outcome)
                    else:
                        future.set_result(outcome)
        finally:
            self._task = None
            for _, future in (*group, *self._waiting):  # none, unless something went wrong in here
                if not future.done():
                    future.set_exception(OutcomeUnknown("the durable write was broken off"))
            self._waiting.clear()

    async def _write(self, commands: list[Command]) -> list[Reply]:
        outcomes, replies = await self._confirmed(commands)
        wires = {replies.wire_of(place) for place in range(len(commands))}
        doubts = {wire: await self._deposed(wire) for wire in wires}
        return [
            outcome if isinstance(outcome, Exception) else doubts[replies.wire_of(place)] or outcome
            for place, outcome in enumerate(outcomes)
        ]

    async def _deposed(self, wire: ServerConnection | None) -> OutcomeUnknown | None:
        """What is wrong with a write that the primary acknowledged, if it is not the primary any more."""
        try:
            counts = await self._link.vouches(wire)
        except RedisUnavailable as error:
            return OutcomeUnknown(f"the write ran, but nobody can say whether on the primary: {error}")
        return None if counts else OutcomeUnknown("the write ran on a primary that had been deposed")

    async def _confirmed(self, commands: list[Command]) -> tuple[list[Reply], Replies]:
        """The replies, errors where no fsync was confirmed, and what tells which connection gave them."""
        asked = self._disk and self._loop.time() >= self._lax_until
        questions = (_SYNCED, _REPLICAS) if asked else (_REPLICAS,)
        replies = await self._link.submit([*commands, *questions])
        info = replies.pop()
        synced = replies.pop() if len(questions) > 1 else None
        if replies.wires is None:
            doubts = {replies.wire: await self._doubt(replies.wire, synced, info)}
        else:  # some commands may have run after that WAITAOF: ask again, on the very connections that answered them
            wires = {replies.wire_of(place) for place in range(len(commands))}
            doubts = {wire: await self._doubt(wire, *await self._again(wire, *questions)) for wire in wires}
        outcomes = [
            reply if isinstance(reply, Exception) else doubts[replies.wire_of(place)] or reply
            for place, reply in enumerate(replies)
        ]
        return outcomes, replies

    async def _again(self, wire: ServerConnection | None, *questions: Command) -> tuple[Reply, Reply]:
        """The replies to WAITAOF, None unless it is among the questions, and to INFO."""
        *synced, info = await self._ask(wire, *questions)
        return (synced[0] if synced else None), info

    async def _ask(self, wire: ServerConnection | None, *questions: Command) -> list[Reply]:
        """What the server says on the connection that the writes went over."""
        if wire is None:
            return [RedisUnavailable("the connection was lost")] * len(questions)
        future: asyncio.Future[Replies] = self._loop.create_future()
        wire.submit(Batch(questions, self._loop.time() + COMMAND_DEADLINE, future))
        return list(await future)

    async def _doubt(self, wire: ServerConnection | None, synced: Reply, info: Reply) -> OutcomeUnknown | None:
        """What is left open by the replies to WAITAOF (None: it was not asked) and INFO."""
        return await self._unsynced(wire, synced) or await self._unreplicated(wire, info)

    async def _unsynced(self, wire: ServerConnection | None, synced: Reply) -> OutcomeUnknown | None:
        if isinstance(synced, RedisUnavailable) and not isinstance(synced, ResponseError):
            return OutcomeUnknown(f"the write ran, but its fsync was not confirmed: {synced}")
        if not isinstance(synced, list):
            return None  # the server has no file, or does not know the command
        if not cast("list[int]", synced)[0]:
            if not await self._is_lax():
                return OutcomeUnknown(f"the write ran, but its fsync was not confirmed: {synced}")
            self._lax_until = self._loop.time() + LAX
            return None
        if wire is None or not wire.confirms_early or await self._syncs_at_once(wire):
            return None
        return await self._unsettled(wire)

    async def _syncs_at_once(self, wire: ServerConnection) -> bool:
        """Whether the server says that it syncs before it answers; it does so from when it is told to on."""
        if self._allowed[0] is not wire:
            (allowed,) = await self._ask(wire, _MAY_ASK)
            self._allowed = (wire, allowed == 1)
        if not self._allowed[1]:
            return False
        (told,) = await self._ask(wire, _APPENDFSYNC)
        return told == {b"appendfsync": b"always"}

    async def _unsettled(self, wire: ServerConnection) -> OutcomeUnknown | None:
        """Wait until what the server has written by now is on disk; the doubt that is left after `TIMEOUT`.

        An fsync that is seen after a look that saw none began after the write, so its end is the second such look.
        """
        until = self._loop.time() + BEGUN + TIMEOUT
        pause, rested = BEGUN, False
        while True:
            await asyncio.sleep(pause)
            (info,) = await self._ask(wire, _PERSISTENCE)
            if isinstance(info, ResponseError):
                return None  # it may not be asked: then what it confirmed has to do
            if not isinstance(info, bytes) or self._loop.time() > until:
                return OutcomeUnknown(f"the write ran, but its fsync was not seen to end: {info!r:.100}")
            idle = _IDLE in info
            if idle and rested:
                return None
            pause, rested = (_LOOK, True) if idle else (_GLANCE, rested)

    async def _unreplicated(self, wire: ServerConnection | None, info: Reply) -> OutcomeUnknown | None:
        if not isinstance(info, bytes):  # it may not be asked, or is gone: nobody can say that there is no replica
            refused = isinstance(info, ResponseError)
            return None if refused else OutcomeUnknown(f"the write ran, but the connection was lost: {info}")
        if all(int(lag) > FRESH for lag in _ONLINE.findall(info)):
            return None
        (count,) = await self._ask(wire, _REPLICATED)
        if count == 0:
            self._tell()
        elif isinstance(count, RedisUnavailable) and not isinstance(count, ResponseError):
            return OutcomeUnknown(f"the write ran, but no replica confirmed it: {count}")
        return None

    def _tell(self) -> None:
        if self._loop.time() > self._told + LAX:
            self._told = self._loop.time()
            logger.warning("no replica of Redis confirmed a write: if its primary died now, the write would be lost")

    async def _is_lax(self) -> bool:
        """Whether the server is syncing nothing, so that waiting longer would confirm nothing either."""
        (info,) = await self._link.submit([_PERSISTENCE])
        if not isinstance(info, bytes):
            return False
        return _IDLE in info and b"aof_last_write_status:ok" in info
