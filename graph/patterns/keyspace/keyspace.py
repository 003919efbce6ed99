"""Binds the keys under a prefix to the database they are derived from.

Caches, rankings and sessions in Redis are true only together with the database that they were made from. A database
that is restored from a backup, or another one under the same prefix, makes them false without anybody noticing. So a
durable key keeps which state of which database the prefix belongs to (`Origin`), and every process compares it with the
database when it starts and every `INTERVAL` seconds:

- The database knows that state, or Redis was emptied: all is well. The database gets another pulse, Redis hears of it.
- It does not know it (it was restored, or is another one), and no process lives on the other database: everything
  under the prefix is dropped, as though Redis had been emptied, and rebuilt from the database. Sessions end. Jobs that
  were accepted stay where the database is the same one at an earlier time.
- Redis is bound to an earlier state than this process has bound it to, or has an earlier word of this process than its
  last, and is still the same server process: somebody has put back what it held before (SWAPDB, RESTORE, DEBUG RELOAD
  of an older file), and with it generations that agree with outdated values, and sessions that have ended. Everything
  is dropped, as above. To notice it soon, each process looks every `LOOKS` seconds; until then what was put back is
  believed. By its word it notices even what another process, to which nothing seemed exchanged, has bound anew.
- It does not know it, and others live on that: the start is refused (`ForeignKeyspace`). A process that is running (it
  was frozen for longer than `GONE`, say) logs it and goes on.

The database is given its pulse before Redis hears of it, and remembers some of those before. So a process that dies in
between, and a Redis that lost its last seconds, are no mismatch. Nor is a Redis that refuses writes, for however long:
there is no pulse beyond the first that it did not hear of. What cannot be seen is a backup that is put back
before the first pulse after it: one that was made less than `INTERVAL` before all processes were killed. Nor can what
goes back without that key (single keys, other nodes of a cluster), or is exchanged and put back before anybody has
bound what came in between, which takes `LOOKS` seconds and a write to the database.

Failure: while Redis or the database is away, or refuses, nothing is compared; a running process tries again every
second. A process that dies counts as living for `GONE` more.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import secrets
from typing import TYPE_CHECKING, Self

from redis.exceptions import RedisError

from graph.patterns.client import RedisRefused, Script, command
from graph.patterns.keyspace.origin import OriginAway
from graph.patterns.lock import LockLost, LockTimeout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from graph.patterns.client import Client
    from graph.patterns.keyspace.origin import Mark, Origin
    from graph.patterns.lock import Locks

INTERVAL = 10.0
"""Seconds between two comparisons."""
LOOKS = 1.0
"""Seconds between two looks whether Redis is still bound to the same state."""
GONE = 30.0
"""Seconds after its last word for which a process counts."""
_RETRY = 1.0  # seconds until what could not be compared is tried again
_POLL = 0.5  # seconds between two looks at the processes of another database
_GOODBYE = 2.0  # seconds that the last pulse may take
_PATIENCE = 60.0  # seconds that another process may take to drop everything
_BATCH = 500  # keys dropped at a time

DURABLE_KEYS = {"{keyspace}:bound": "it tells for which database everything else was made, however old that is"}
"""Keys without a TTL, below the prefix, and why they have none."""

EXPIRING_KEYS = {"{keyspace}:processes": "who uses the prefix"}
"""Keys with a TTL, below the prefix, and what they hold."""

_BIND = Script(__name__, "bind", idempotent=True)
_LOOK = Script(__name__, "look", idempotent=True)
_TROUBLE = (RedisError, OriginAway, LockTimeout, LockLost)
_GLOB = re.compile(r"([\\*?\[\]^])")

logger = logging.getLogger(__name__)


class ForeignKeyspace(Exception):
    """Keys of another database are in use, or must not be dropped; the message says what to do."""


class Keyspace:
    """The keys under one prefix; open it with ``async with`` before anything reads them."""

    def __init__(self, client: Client, locks: Locks, origin: Origin, *, prefix: str = "graph") -> None:
        """Bind the keys of `client` under `prefix` to `origin`."""
        self._client = client
        self._locks = locks
        self._origin = origin
        self._prefix = prefix
        self._keys = [f"{prefix}:{{keyspace}}:bound", f"{prefix}:{{keyspace}}:processes"]
        self._me = secrets.token_hex(8)
        self._mark: Mark | None = None  # the last one that both agreed upon
        self._server = self._bound_on = b""  # the server process that was looked at last, and that it was bound on
        self._until = 0  # this process's last word: until when it counts, in ms of that server's clock
        self._told = ""
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Compare, and drop what does not belong; raises `ForeignKeyspace` where others use it."""
        try:
            await self._settle()
        except _TROUBLE as error:
            self._tell("unknown", f"Whether Redis belongs to this database is not known yet: {error}")
        self._task = asyncio.create_task(self._go_on(), name="keyspace")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the database a last pulse: a backup from before does not know it."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])
        if self._mark is None or not self._client.connected or self._client.refusal:
            return
        with contextlib.suppress(*_TROUBLE, TimeoutError):
            async with asyncio.timeout(_GOODBYE):
                bound, living = await self._look()
                if self._went_back(bound, living, self._mark):
                    return
                if self._mark.knows(bound) and (renewed := await self._origin.renew(self._mark)).knows(bound):
                    await self._bind(bound, renewed)
                await self._client.send(command("ZREM", self._keys[1], self._me, retry=True))

    async def _go_on(self) -> None:
        clock = asyncio.get_running_loop().time
        due = clock() + INTERVAL
        while True:
            settled = self._mark is not None and not self._told
            await asyncio.sleep(min(INTERVAL, LOOKS) if settled else _RETRY)
            try:
                if not settled or clock() >= due or not await self._stands():
                    await self._settle()
                    due = clock() + INTERVAL
            except ForeignKeyspace as error:
                self._tell("foreign", str(error))
            except _TROUBLE as error:
                self._tell("unknown", f"Whether Redis belongs to this database is not known: {error}")

    def _tell(self, state: str, message: str = "") -> None:
        """Log a change of state, once however its reasons vary."""
        if message and state != self._told:
            logger.warning("%s", message)
        self._told = state

    # --- comparing ---

    async def _settle(self) -> None:
        """Compare until both agree, whatever has to be done for that."""
        while True:
            bound, living = await self._look()
            mark = await self._origin.read()  # read after Redis, because Redis hears of a pulse last
            if self._went_back(bound, living, mark):
                await self._replace(bound, back=True)
            elif bound == mark.name:
                renewed = mark if self._renewed_by_others(mark) else await self._origin.renew(mark)
                # Restored since it was read, it does not know that any more.
                if renewed.knows(bound) and await self._bind(bound, renewed):
                    self._agree(renewed)
                    self._tell("")
                    return
            elif not bound or mark.knows(bound):
                # Another pulse comes when Redis has heard of this one: while it refuses to, those who try again and
                # again must not have the database forget what Redis is bound to.
                await self._bind(bound, mark)
            elif await self._deserted(bound, mark):
                await self._replace(bound)

    def _renewed_by_others(self, mark: Mark) -> bool:
        """Whether another process has given the database a pulse since this one looked: one does for all."""
        return self._mark is not None and mark.pulse != self._mark.pulse

    async def _stands(self) -> bool:
        """Whether Redis is still bound to what it was; false where another process has bound it to a newer pulse."""
        assert self._mark is not None
        bound, living = await self._look()
        return bound == self._mark.name and not self._went_back(bound, living, self._mark)

    def _went_back(self, bound: str, living: Mapping[bytes, bytes], mark: Mark) -> bool:
        """Whether what this process has left in Redis was replaced by something earlier, and not by a restart."""
        if self._mark is None or not self._server or self._server != self._bound_on:
            return False
        word = living.get(self._me.encode())  # none: Redis was emptied, and others have bound it
        if word is not None and int(word) < self._until:
            return True
        ages = mark.age(bound), mark.age(self._mark.name)
        return ages[0] is not None and ages[1] is not None and ages[0] > ages[1]

    def _agree(self, mark: Mark) -> None:
        self._mark, self._bound_on = mark, self._server

    async def _look(self) -> tuple[str, Mapping[bytes, bytes]]:
        replies = await self._client.batch(_LOOK(self._keys, [self._me]))
        if isinstance(replies[0], Exception):
            raise replies[0]
        bound, living = replies[0]
        self._server = replies.run_id
        if self._server != self._bound_on:  # what another server did not hear of is no sign, not even back on the first
            self._bound_on = b""
        return bound.decode(), dict(zip(living[::2], living[1::2], strict=True))

    async def _bind(self, seen: str, mark: Mark, *, for_all: bool = False) -> bool:
        known = self._until if self._server == self._bound_on and not for_all else 0
        args = [seen, mark.name, self._me, round(GONE * 1000), known, *(("all",) if for_all else ())]
        until = int(await self._client.run(_BIND, self._keys, args))
        self._until = until or self._until
        return bool(until)

    async def _deserted(self, bound: str, mark: Mark) -> bool:
        """Whether nobody lives on what the keyspace is bound to; False when that has changed meanwhile.

        A process that speaks again while it is looked at lives; of one that was killed the last word is waited out.
        """
        if self._mark is not None and not mark.knows(self._mark.name):
            return True  # the database was restored under this process, and under the others as well
        _, first = await self._look()
        waited = False
        while True:
            now, living = await self._look()
            if now != bound and (not now or (await self._origin.read()).knows(now)):
                return False
            others = [(name, until) for name, until in living.items() if name != self._me.encode()]
            if now != bound or any(first.get(name) != until for name, until in others):
                raise ForeignKeyspace(
                    f"processes that work on another database use Redis under the prefix {self._prefix!r}: stop them, "
                    "or give this deployment a prefix (GRAPH_REDIS_PREFIX) or a Redis of its own"
                )
            if not others:
                return True
            if not waited:
                waited = True
                logger.warning("Redis was used with another database until lately; looking whether it still is")
            await asyncio.sleep(_POLL)

    # --- dropping ---

    async def _replace(self, bound: str, *, back: bool = False) -> None:
        """Drop what was derived from `bound`, unless another process does or has done it.

        `back`: Redis holds again what it held; processes that did not notice may bind that to another state meanwhile.
        """
        async with self._locks.hold("keyspace", wait=_PATIENCE):
            seen, living = await self._look()
            mark = await self._origin.read()
            if not (self._went_back(seen, living, mark) if back else seen == bound):
                return
            same = back or seen.partition(":")[0] == mark.identity
            what = "was filled from another state of this database" if same else "was filled from another database"
            if back:
                what = "holds again what it held some time ago, though it was not restarted"
            logger.warning("Redis %s: what it knows of that is dropped and made anew, and sessions end", what)
            await self._origin.rewound()
            await self._drop(keep_jobs=same)
            while not await self._bind(seen, mark, for_all=True):
                seen, _ = await self._look()
                mark = await self._origin.read()
                if seen and not mark.knows(seen):
                    return
            self._agree(mark)

    async def _drop(self, *, keep_jobs: bool) -> None:
        kept = [f"{self._prefix}:{{keyspace}}:", f"{self._prefix}:lock:{{keyspace}}"]
        if keep_jobs:
            kept.append(f"{self._prefix}:{{jobs}}:")
        spared = tuple(one.encode() for one in kept)
        pattern = _GLOB.sub(r"\\\1", self._prefix) + ":*"
        try:
            await self._drop_all(pattern, spared)
        except RedisRefused as error:
            if not error.lasting:
                raise
            raise ForeignKeyspace(
                f"Redis was filled from another database, and its user may not drop that: allow it SCAN until this has "
                f"started (ACL SETUSER … +scan), or delete all keys under the prefix {self._prefix!r} yourself"
            ) from error

    async def _drop_all(self, pattern: str, spared: tuple[bytes, ...]) -> None:
        async for keys in self._client.scan(pattern, count=_BATCH):
            found = [key for key in keys if not key.startswith(spared)]
            if not found:
                continue
            replies = await self._client.batch(*(command("UNLINK", key, retry=True) for key in found))
            for reply in replies:
                if isinstance(reply, Exception):
                    raise reply
