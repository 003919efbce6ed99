"""Background jobs as functions: queue a call of one, and run what is queued, in this process or in others.

A job is delivered at least once: running it again, after a crash at any point, must give the same result. What else
holds is told in `graph.jobs`. Queueing raises `RedisUnavailable` while Redis is away, `OutcomeUnknown` when the job may
have been queued; a worker waits for Redis to come back.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Generic, ParamSpec

from graph.jobs import Definition, Job, Jobs, Schedule, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from graph.patterns.client import LazyClient

P = ParamSpec("P")


class RedisJob(Generic[P]):
    """One kind of job. Calling it runs its function here and now; `enqueue` has a worker run it."""

    def __init__(
        self, jobs: Jobs, function: Callable[P, Awaitable[object]], name: str, *, retries: int, unique: str | None
    ) -> None:
        """Use `RedisJobs.job` instead."""
        self.name = name
        self._jobs = jobs
        self._function = function
        self._signature = inspect.signature(function)
        self._retries = retries
        self._unique = unique
        functools.update_wrapper(self, function)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> object:
        """Run it."""
        return await self._function(*args, **kwargs)

    async def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Queue it with JSON arguments, and give its id once it is on disk; raises TypeError for wrong arguments."""
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        unique = None if self._unique is None else self._unique.format_map(given)
        return await self._jobs.enqueue(self.name, given, unique=unique, retries=self._retries)


class RedisJobs:
    """The jobs of one `Redis`."""

    def __init__(self, client: LazyClient, *, prefix: str) -> None:
        """Use `Redis.jobs` instead."""
        self._client = client
        self._prefix = prefix
        self._queue = Jobs(client, prefix=prefix)
        self._definitions: list[Definition] = []
        self._schedules: list[Schedule] = []

    def job(
        self,
        *,
        name: str | None = None,
        timeout: float = 600.0,
        retries: int = 3,
        unique: str | None = None,
        every: float | None = None,
    ) -> Callable[[Callable[P, Awaitable[object]]], RedisJob[P]]:
        """Make an async function, whose arguments are JSON values, a kind of job.

        Args:
            name: What it is queued as; by default the function's own name.
            timeout: Seconds that an attempt may take.
            retries: Failures after which it is tried again.
            unique: A template of the arguments: while a job of that text is queued or running, no second one is queued.
            every: Seconds between two calls without arguments, which some worker queues by itself.

        Raises:
            ValueError: There is a job of that name.
        """

        def decorate(function: Callable[P, Awaitable[object]]) -> RedisJob[P]:
            called = name or getattr(function, "__name__", "")
            if any(one.name == called for one in self._definitions):
                raise ValueError(f"there is a job called {called!r} already")

            async def run(_progress: object, **arguments: Any) -> None:
                await function(**arguments)  # pyright: ignore[reportCallIssue] - checked when it was queued

            self._definitions.append(Definition(called, run, timeout))
            if every is not None:
                self._schedules.append(Schedule(called, every, {}))
            return RedisJob(self._queue, function, called, retries=retries, unique=unique)

        return decorate

    async def get(self, job: str) -> Job | None:
        """How a job stands; None when there is none, or its record has expired."""
        return await self._queue.get(job)

    @asynccontextmanager
    async def working(self, *, concurrency: int = 4, drain: float = 25.0) -> AsyncGenerator[None]:
        """Run jobs beside the block, `concurrency` at a time; at its end those that run get `drain` seconds."""
        queue = Jobs(await self._client.opened(), prefix=self._prefix)
        worker = Worker(queue, self._definitions, schedules=self._schedules, concurrency=concurrency, drain=drain)
        stop = asyncio.Event()
        task = asyncio.create_task(worker.run(stop), name="jobs")
        try:
            yield
        finally:
            stop.set()
            await task

    async def work(self, *, concurrency: int = 4) -> None:
        """Run jobs until this is cancelled, in a process of its own: ``asyncio.run(redis.jobs.work())``."""
        async with self.working(concurrency=concurrency):
            await asyncio.Event().wait()
