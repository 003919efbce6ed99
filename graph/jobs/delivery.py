"""The queue as one worker sees it: takes deliveries, keeps its own alive, gives back what it does not work on.

A delivery is an entry of the stream, given to one worker of the consumer group at a time. New ones are read by a
blocking command on a connection of their own; all else goes over the client that everybody shares, so the queue is read
wherever the client leads: one server, a Sentinel set, a cluster.

A delivery is never lost: it stays in the stream until the script that records the end of its job takes it out. Its
worker gives a sign of life every `HEARTBEAT` seconds; after `DEAD_AFTER` seconds without one it is given to another. A
delivery whose reply was lost on its way is taken again at once.

Failure: whatever Redis says or does not say, `take` gives nothing and may be called again; nothing here raises. The
group is made again where it is missing. What keeps the queue from being read is logged once, and once when it is over.
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

if TYPE_CHECKING:
    from collections.abc import Collection

    from graph.jobs.queue import Jobs
    from graph.patterns.client import Client

HEARTBEAT = 2.0
"""Seconds between two signs of life."""
DEAD_AFTER = 7.0
"""Seconds without one after which a delivery is given to another worker."""
BLOCK = 1.0
"""Longest wait for new deliveries, seconds, and between two looks for abandoned ones."""
TRIES = 5
"""Deliveries of an entry that cannot be worked on before it is set aside."""
_PAUSE = 0.05
_LONGEST_PAUSE = 1.0

_CLAIM = Script(__name__, "claim")
_HOLD = Script(__name__, "hold", idempotent=True)
_RELEASE = Script(__name__, "release", idempotent=True)
_SET_ASIDE = Script(__name__, "set_aside")

_log = logging.getLogger(__name__)


class JobDelivery(NamedTuple):
    """An entry of the queue, and the job that it is about."""

    id: str
    job: str


class Deliveries:
    """What the queue gives to one worker; use it as a context manager."""

    def __init__(self, jobs: Jobs, consumer: str) -> None:
        """Take from the queue of `jobs` as `consumer`, a name that is unique in the fleet."""
        self._jobs = jobs
        self._queue = jobs.keys.queue
        self._me = (GROUP, consumer)
        self._reader: Client | None = None
        self._open = contextlib.AsyncExitStack()
        self._looked = float("-inf")
        self._doubt = False
        self._trouble = ""
        self._pause = _PAUSE

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    async def take(self, room: int, held: Collection[str]) -> list[JobDelivery]:
        """Up to `room` deliveries: abandoned ones if there are any, else new ones, waiting a while for them.

        `held` are the ids of those that are worked on; it is looked at again when that is needed.
        """
        try:
            found = await self._take(room, held)
        except (RedisError, OSError) as error:
            self._doubt = True
            await self._troubled(error)
            return []
        if self._trouble:
            _log.info("the job queue can be read again")
        self._trouble, self._pause = "", _PAUSE
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
                _log.info("took over %d jobs of workers that stopped or fell silent", len(pairs) // 2)
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
        """Set aside what is no job, and never will be."""
        for stray in found:
            if not stray.job:
                await self.set_aside(stray.id, "it names no job", tries=1)
        return [delivery for delivery in found if delivery.job]

    async def set_aside(self, entry: str, why: str, *, tries: int = TRIES) -> None:
        """Take an entry that cannot be worked on out of the queue, once it has been delivered `tries` times."""
        keys = self._jobs.keys
        args = [GROUP, entry, tries, why, ASIDE_KEPT, FAILED_KEPT_MS]
        with contextlib.suppress(RedisError):  # then it comes again
            if await self._jobs.client.run(_SET_ASIDE, [keys.queue, keys.aside], args):
                _log.error("entry %s of the job queue was set aside: %s", entry, why)

    async def hold(self, held: Collection[str]) -> list[str]:
        """Give a sign of life for the deliveries `held`; those that have been taken over meanwhile are returned."""
        if not held:
            return []
        try:
            lost: list[bytes] = await self._jobs.client.run(_HOLD, [self._queue], [*self._me, *held])
        except RedisError as error:
            _log.debug("no sign of life could be given: %s", error)
            return []
        return [entry.decode() for entry in lost]

    async def release(self) -> None:
        """Leave to the others at once whatever this worker was given; without Redis they wait for its silence."""
        await self._open.aclose()  # nothing more is given to it
        with contextlib.suppress(RedisError):
            await self._release(())

    async def _release(self, held: Collection[str]) -> None:
        await self._jobs.client.run(_RELEASE, [self._queue], [*self._me, int(DEAD_AFTER * 2000), *held])

    async def _troubled(self, error: Exception) -> None:
        reason = str(error).partition("\n")[0]
        if not self._trouble:
            _log.warning("the job queue cannot be read: %s", reason)
        self._trouble = reason
        await asyncio.sleep(self._pause)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE)


def _id(job: bytes) -> str:
    return job.decode(errors="replace")
