"""taskiq's Redis stream broker, with what it lacks for jobs that must not be lost.

The library reads the stream through a consumer group and runs what it reads. Added here: deliveries of dead workers are
reclaimed while the queue is idle, too; a living worker keeps its own alive by a heartbeat, however long a job runs;
jobs queued before the first worker came are read; a finished delivery leaves the stream; and Redis being away, or
having lost its consumer group, ends nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, cast

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from taskiq import AckableMessage
from taskiq_redis import RedisStreamBroker

from graph.jobs.queue import GROUP
from graph.patterns.client.commands import Script
from graph.patterns.client.pending import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from taskiq.decor import AsyncTaskiqDecoratedTask

    from graph.jobs.queue import Jobs

HEARTBEAT = 2.0
"""Seconds between two signs of life."""
DEAD_AFTER = 7.0
"""Seconds without one after which a delivery is given to another worker."""
BLOCK = 1.0
"""Longest wait for new deliveries, seconds, between two looks for abandoned ones."""
PAGE = 50
UNKNOWN = "unknown"
"""The task that answers for jobs of a name that nobody registered; taskiq alone would drop them."""

_KEEP = Script(__name__, "keep", idempotent=True)
_HAND_OVER = Script(__name__, "hand_over", idempotent=True)

_log = logging.getLogger(__name__)


class JobBroker(RedisStreamBroker):
    """Delivers jobs to one worker process."""

    def __init__(self, jobs: Jobs, consumer: str, *, page: int = PAGE) -> None:
        """Read the queue of `jobs` as `consumer`, which is unique in the fleet, `page` deliveries at a time."""
        super().__init__(
            jobs.client.url,
            queue_name=jobs.keys.queue,
            consumer_group_name=GROUP,
            consumer_name=consumer,
            consumer_id="0",
            max_connection_pool_size=4,
            socket_timeout=BLOCK + 5,
            socket_connect_timeout=5,
        )
        self._jobs = jobs
        self._page = page
        self.deliveries: dict[str, str] = {}
        """Job id to the id of its delivery, for all that this worker has and has not finished."""

    def find_task(self, task_name: str) -> AsyncTaskiqDecoratedTask[Any, Any] | None:
        """The task of that name, or the one for unknown names."""
        return super().find_task(task_name) or super().find_task(UNKNOWN)

    async def listen(self) -> AsyncGenerator[AckableMessage, None]:
        """Yield deliveries until closed; wait out whatever keeps Redis away."""
        pause = 0.05
        while True:
            try:
                async with Redis(connection_pool=self.connection_pool) as redis:
                    while True:
                        page = await self._fetch(redis)
                        self.deliveries.update({fields[b"id"].decode(): delivery for fields, delivery in page})
                        for fields, _ in page:
                            yield AckableMessage(data=fields[b"data"], ack=_acknowledged)
                        pause = 0.05
            except ResponseError as error:
                if not str(error).startswith("NOGROUP"):
                    raise
                _log.warning("the job queue's consumer group is gone (lost data?); making it again")
                await self._declare_consumer_group()
            except (RedisConnectionError, RedisTimeoutError, OSError) as error:
                _log.debug("the job queue cannot be read: %s", error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, 1.0)

    async def _fetch(self, redis: Redis) -> list[tuple[dict[bytes, bytes], str]]:
        """Abandoned deliveries if there are any, else new ones, waiting a while for them."""
        _, abandoned, *_ = cast(
            "tuple[bytes, list[tuple[bytes, dict[bytes, bytes] | None]], Any]",
            await redis.xautoclaim(
                self.queue_name, GROUP, self.consumer_name, int(DEAD_AFTER * 1000), count=self._page
            ),
        )
        found = [(fields, delivery.decode()) for delivery, fields in abandoned if fields]
        if found:
            _log.info("took over %d jobs of workers that died", len(found))
            return found
        streams = cast(
            "list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]",
            await redis.xreadgroup(
                GROUP, self.consumer_name, {self.queue_name: ">"}, count=self._page, block=int(BLOCK * 1000)
            ),
        )
        return [(fields, delivery.decode()) for _, entries in streams or () for delivery, fields in entries]

    async def hand_over(self) -> None:
        """Give what is left unfinished to the other workers without making them wait for this one's silence.

        That is what was fetched and not begun, and what the server sent while the last read was being given up.
        """
        args = [GROUP, self.consumer_name, int(DEAD_AFTER * 2000)]
        with contextlib.suppress(Unavailable, ResponseError):  # then they wait
            await self._jobs.client.run(_HAND_OVER, [self.queue_name], args)

    async def keep_alive(self) -> None:
        """Give a sign of life for every delivery in hand, for ever."""
        while True:
            await asyncio.sleep(HEARTBEAT)
            held = {delivery: job for job, delivery in self.deliveries.items()}
            if not held:
                continue
            try:
                lost: list[bytes] = await self._jobs.client.run(
                    _KEEP, [self.queue_name], [GROUP, self.consumer_name, *held]
                )
            except (Unavailable, ResponseError) as error:
                _log.debug("no sign of life could be given: %s", error)
                continue
            for delivery in lost:  # another worker has it; the attempt here is superseded and will notice
                job = held[delivery.decode()]
                if self.deliveries.get(job) == delivery.decode():
                    del self.deliveries[job]


async def _acknowledged() -> None:
    """Acknowledge nothing: the script that records the end of a job acknowledges its delivery."""
