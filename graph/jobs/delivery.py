"""One worker's view of the queue: takes deliveries, keeps them alive, gives back those it does not work on.

A delivery is an entry of the stream, given to one worker of the consumer group at a time. New ones are read by a
blocking command on a connection of its own; everything else goes over the shared client, so the queue works with a
single server, Sentinel or a cluster.

A delivery is never lost: it stays in the stream until the script that records the end of its job removes it. Its worker
sends a heartbeat every `HEARTBEAT` seconds; after `DEAD_AFTER` seconds without one the delivery goes to another worker.
A delivery whose reply was lost on the way is taken again at once.

Failure: if Redis fails in any way, `take` returns nothing and may be called again; no method raises. A missing group is
created again. The beginning and the end of an outage are logged once each (`graph.patterns.outage`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from redis.exceptions import RedisError

from graph.jobs.queue import GROUP
from graph.jobs.records import ASIDE_KEPT, FAILED_KEPT_MS
from graph.patterns.client import Command, Script, open_client
from graph.patterns.outage import Outage

if TYPE_CHECKING:
    from collections.abc import Collection

    from graph.jobs.queue import Jobs
    from graph.patterns.client import Client

HEARTBEAT = 2.0
"""Seconds between two heartbeats."""
DEAD_AFTER = 7.0
"""Seconds without a heartbeat after which a delivery is given to another worker."""
BLOCK = 1.0
"""Longest wait for new deliveries, and between two checks for abandoned ones, in seconds."""
TRIES = 5
"""How often an entry that cannot be processed is delivered before it is set aside."""
_PAUSE = 0.05
_LONGEST_PAUSE = 1.0

_CLAIM = Script(__name__, "claim")
_HOLD = Script(__name__, "hold", idempotent=True)
_RELEASE = Script(__name__, "release", idempotent=True)
_SET_ASIDE = Script(__name__, "set_aside")

logger = logging.getLogger(__name__)


class JobDelivery(NamedTuple):
    """An entry of the queue, and the job that it names."""

    id: str
    job: str


class Deliveries:
    """The deliveries of one worker; use it as a context manager."""

    def __init__(self, jobs: Jobs, consumer: str) -> None:
        """Take from the queue of `jobs` as `consumer`, a name that is unique in the fleet."""
        self._jobs = jobs
        self._queue = jobs.keys.queue
        self._me = (GROUP, consumer)
        self._reader: Client | None = None
        self._open = contextlib.AsyncExitStack()
        self._looked = float("-inf")
        self._doubt = False
        self._outage = Outage("the job queue cannot be read", "the job queue can be read again", logger)
        self._pause = _PAUSE

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._outage.close()
        await self._open.aclose()

    async def take(self, room: int, held: Collection[str]) -> list[JobDelivery]:
        """Return up to `room` deliveries: abandoned ones if there are any, else new ones, waiting a while for them.

        `held` are the ids of those being worked on, as they are whenever it is read.
        """
        try:
            found = await self._take(room, held)
        except (RedisError, OSError) as error:
            self._doubt = True
            await self._troubled(error)
            return []
        self._outage.ended()
        self._pause = _PAUSE
        return found

    async def _take(self, room: int, held: Collection[str]) -> list[JobDelivery]:
        if self._doubt:
            await self._release(held)
            self._doubt, self._looked = False, float("-inf")
        now = asyncio.get_running_loop().time()
        if now - self._looked >= BLOCK:
            pairs: list[bytes] = await self._jobs.client.run(
                _CLAIM, [self._queue], [*self._me, int(DEAD_AFTER * 1000), room]
            )
            if pairs:
                logger.info("took over %d jobs of workers that stopped or do not respond", len(pairs) // 2)
                found = [JobDelivery(i.decode(), _id(job)) for i, job in zip(pairs[::2], pairs[1::2], strict=True)]
                return await self._jobs_only(found)
            self._looked = now
        return await self._jobs_only(await self._read(room))

    async def _read(self, room: int) -> list[JobDelivery]:
        if self._reader is None:
            self._reader = await self._open.enter_async_context(open_client(self._jobs.client.url))
        block = int(BLOCK * 1000)
        args = ("XREADGROUP", "GROUP", *self._me, "COUNT", room, "BLOCK", block, "STREAMS", self._queue, ">")
        reply: dict[bytes, list[Any]] | None = await self._reader.send(Command(args, self._queue, retry=False))
        entries: list[tuple[bytes, list[bytes]]] = [entry for page in (reply or {}).values() for entry in page]
        return [
            JobDelivery(entry.decode(), _id(dict(zip(fields[::2], fields[1::2], strict=True)).get(b"id", b"")))
            for entry, fields in entries
        ]

    async def _jobs_only(self, found: list[JobDelivery]) -> list[JobDelivery]:
        """Set aside entries that do not name a job."""
        for stray in found:
            if not stray.job:
                await self.set_aside(stray.id, "it names no job", tries=1)
        return [delivery for delivery in found if delivery.job]

    async def set_aside(self, entry: str, why: str, *, tries: int = TRIES) -> None:
        """Remove an entry that cannot be processed from the queue, once it has been delivered `tries` times."""
        keys = self._jobs.keys
        args = [GROUP, entry, tries, why, ASIDE_KEPT, FAILED_KEPT_MS]
        with contextlib.suppress(RedisError):  # it will be delivered again
            if await self._jobs.client.run(_SET_ASIDE, [keys.queue, keys.aside], args):
                logger.error("entry %s of the job queue was set aside: %s", entry, why)

    async def hold(self, held: Collection[str]) -> list[str]:
        """Send a heartbeat for the deliveries `held`; returns those that have been taken over meanwhile."""
        if not held:
            return []
        try:
            lost: list[bytes] = await self._jobs.client.run(_HOLD, [self._queue], [*self._me, *held])
        except RedisError as error:
            logger.debug("no heartbeat could be sent: %s", error)
            return []
        return [entry.decode() for entry in lost]

    async def release(self) -> None:
        """Give all deliveries of this worker back at once; without Redis they are taken over after `DEAD_AFTER`."""
        await self._open.aclose()  # no more deliveries arrive
        with contextlib.suppress(RedisError):
            await self._release(())

    async def _release(self, held: Collection[str]) -> None:
        await self._jobs.client.run(_RELEASE, [self._queue], [*self._me, int(DEAD_AFTER * 2000), *held])

    async def _troubled(self, error: Exception) -> None:
        self._outage.began(str(error).partition("\n")[0] or type(error).__name__)
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _id(job: bytes) -> str:
    return job.decode(errors="replace")
