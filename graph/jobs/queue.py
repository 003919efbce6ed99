"""The users' view of the job queue: enqueue, look up, list, retry and discard jobs.

A job is delivered at least once, so running it again must give the same result. Jobs with the same name and unique key
do not run at the same time: a second one joins the first.

Failure: every method raises `RedisUnavailable` while Redis is away. `enqueue` returns once the job is on disk where
the server can say so, and raises `OutcomeUnknown` when it may or may not have been queued; trying again with the same
unique key is harmless.
"""

from __future__ import annotations

import json
import secrets
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from graph.jobs.records import Job, JobState, Keys
from graph.patterns.client import Script, command

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from graph.patterns.client import Client

GROUP = "workers"
RETRIES = 3
"""How many failures of a job are retried by default."""

_ENQUEUE = Script(__name__, "enqueue")
_RETRY = Script(__name__, "retry")
_DISCARD = Script(__name__, "discard")
_FORGET = Script(__name__, "forget", idempotent=True)


class UnknownJob(Exception):
    """There is no such job, or it is not in the required state."""


class AlreadyUnderWay(Exception):
    """Another job with the same unique key is queued or running."""


class Jobs:
    """Queues and manages jobs."""

    def __init__(
        self,
        client: Client,
        *,
        prefix: str = "graph",
        announce: Callable[[Job], Awaitable[object]] | None = None,
        trace: Callable[[], str] = str,
    ) -> None:
        """Keep all keys below `prefix`; call `announce` for every change that somebody may be watching.

        `trace` names the span that queues a job (W3C ``traceparent``), for the worker; empty where there is none.
        """
        self.client = client
        self.keys = Keys(prefix)
        self.announce = announce
        self._trace = trace

    # --- queueing ---

    async def enqueue(
        self,
        name: str,
        arguments: Mapping[str, Any],
        *,
        unique: str | None = None,
        retries: int = RETRIES,
        durable: bool = True,
    ) -> str:
        """Queue the job `name` with JSON `arguments`; returns its id, or the id of the job that it joins.

        While a job with this name and `unique` key is queued or running, no second one is queued. It is tried again
        after up to `retries` failures. `durable=False` does not wait for the disk.
        """
        job, keys, args = self._prepare(name, arguments, unique, retries)
        one = _ENQUEUE(keys, [job, *args, 0, self._trace()])
        reply: bytes = await (self.client.durable(one) if durable else self.client.send(one))
        return reply.decode()

    async def tick(
        self, schedule: str, every: float, name: str, arguments: Mapping[str, Any], *, now: float
    ) -> str | None:
        """Queue the job of `schedule` for the period of `every` seconds that `now` (Unix time) lies in, once a fleet.

        Gives its id, or None when another process has queued it. A period's job still under way is joined.
        """
        job, keys, args = self._prepare(name, arguments, schedule, RETRIES)
        tick = self.keys.tick(schedule, int(now // every))
        reply: bytes = await self.client.run(_ENQUEUE, [*keys, tick], [job, *args, int(every * 2000), ""])
        return reply.decode() or None

    def _prepare(
        self, name: str, arguments: Mapping[str, Any], unique: str | None, retries: int
    ) -> tuple[str, list[str], list[str | bytes | int]]:
        job = secrets.token_hex(12)
        joined = self.keys.unique(name, unique if unique is not None else job)
        keys = [self.keys.record(job), joined, self.keys.queue, self.keys.index]
        return job, keys, [name, json.dumps(dict(arguments), separators=(",", ":")), retries]

    # --- asking ---

    async def get(self, job: str) -> Job | None:
        """The job as it stands; None when there is none, or its record has expired."""
        return (await self.get_many([job]))[0]

    async def get_many(self, jobs: Sequence[str]) -> list[Job | None]:
        """Several jobs in one trip, in the order asked for."""
        replies = await self.client.batch(*(command("HGETALL", self.keys.record(job)) for job in jobs))
        return [_read(job, reply) for job, reply in zip(jobs, replies, strict=True)]

    async def list(self, *, states: frozenset[JobState] = frozenset(JobState), limit: int = 50) -> list[Job]:
        """The newest `limit` jobs in `states`, newest first; forgets index entries whose record has expired."""
        found: list[Job] = []
        start = 0
        while len(found) < limit:
            page: list[bytes] = await self.client.execute("ZRANGE", self.keys.index, start, start + 199, "REV")
            if not page:
                break
            records = await self.get_many([job.decode() for job in page])
            expired = [job for job, record in zip(page, records, strict=True) if record is None]
            if expired:
                await self.client.execute("ZREM", self.keys.index, *expired, retry=True)
                await self.client.execute("ZREM", self.keys.failed, *expired, retry=True)
                await self.client.execute("ZREM", self.keys.succeeded, *expired, retry=True)
            found += [record for record in records if record is not None and record.state in states]
            start += len(page) - len(expired)
        return found[:limit]

    async def set_aside(self) -> int:
        """How many entries of the queue were no jobs, or could not be worked on, and are kept for people to look at."""
        count: int = await self.client.execute("XLEN", self.keys.aside)
        return count

    # --- looking after ---

    async def retry(self, job: str) -> None:
        """Queue a failed job again; raises `UnknownJob`, or `AlreadyUnderWay` when a twin has taken its place."""
        unique = await self._unique(job)
        keys = [self.keys.record(job), unique, self.keys.queue, self.keys.failed]
        outcome: int = await self.client.run(_RETRY, keys, [job])
        if outcome == 0:
            raise UnknownJob(f"there is no failed job {job}")
        if outcome < 0:
            raise AlreadyUnderWay(f"another job does the work of {job} already")

    async def discard(self, job: str) -> None:
        """Delete a job in any state; a running one stops at its next report. Raises `UnknownJob`."""
        keys, unique = self.keys, await self._unique(job)
        listed = (keys.failed, keys.index, keys.due, keys.succeeded)
        if not await self.client.run(_DISCARD, [keys.record(job), unique, *listed], [job]):
            raise UnknownJob(f"there is no job {job}")

    async def forget_workers(self, *, silent: float = 3600.0) -> int:
        """Remove workers that hold no job and have been `silent` for so many seconds; returns how many.

        Every worker joins the queue's consumer group under a unique name, and the queue has no TTL.
        """
        struck: int = await self.client.run(_FORGET, [self.keys.queue], [GROUP, int(silent * 1000)])
        return struck

    async def _unique(self, job: str) -> str:
        unique: bytes | None = await self.client.execute("HGET", self.keys.record(job), "unique")
        if unique is None:
            raise UnknownJob(f"there is no job {job}")
        return unique.decode()


def _read(job: str, reply: Any) -> Job | None:
    if isinstance(reply, ResponseError) and str(reply).startswith("WRONGTYPE"):
        return Job.read(job, None)
    if isinstance(reply, Exception):
        raise reply
    return Job.read(job, reply) if reply else None
