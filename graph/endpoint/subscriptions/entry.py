"""Letting a subscription in before the deadline of its operation has passed.

A subscription has no deadline once it stands; its admission has that of any operation. When that has passed, the client
gets DEADLINE_EXCEEDED, and is charged. What runs for one client alone is an `Entrant`, which then
waits for its sink.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from graph.endpoint.errors import Refusal, as_graphql
from graph.patterns.tasks import forget_cancellation

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.endpoint.execution import Answer, Engine, HooksRunner, Ready, Ticketed
    from graph.endpoint.subscriptions.sink import Sink

Result = TypeVar("Result")
Begun: TypeAlias = "tuple[Ticketed, HooksRunner] | None"


async def in_time(engine: Engine[Any], step: Awaitable[Result]) -> Result:
    """What `step` comes to; raises a refusal when that takes longer than an operation may."""
    deadline = asyncio.timeout(engine.operations.bounds.deadline)
    try:
        async with deadline:
            return await step
    except TimeoutError:
        if not deadline.expired():
            raise
        raise Refusal("DEADLINE_EXCEEDED", "The operation took too long and was cancelled.") from None


async def entered(engine: Engine[Any], ready: Ready, context: Any, runner: HooksRunner) -> Answer | None:
    """Let in a follower of what is executed elsewhere: charge it and run the hooks; an answer when they refuse it.

    `context` and `runner` are those that `Engine.begin` gave. The extensions see an execution without anything in it.
    """

    async def enter() -> bool:
        async with runner.operation():
            admitted = await engine.enter(context, runner)
            if admitted:
                async with runner.executing():
                    pass
            return admitted

    try:
        return None if await in_time(engine, enter()) else await engine.refusal(context, runner)
    except Exception as error:  # noqa: BLE001 - whatever a hook raises is told the client
        return await failed(engine, ready, (context, runner), error)


async def failed(engine: Engine[Any], ready: Ready, begun: Begun, error: Exception) -> Answer:
    """The answer to what was failed by `error`: by a hook, by what makes the context, or by time.

    Extensions have results for the first alone. `begun` is what `Engine.begin` gave.
    """
    late = isinstance(error, Refusal) and error.code == "DEADLINE_EXCEEDED"
    if begun is None or late:
        return await engine.reject([as_graphql(error)], ready.ticket)
    return await engine.failure(*begun, error)


class Entrant(ABC):
    """One operation for one client alone: a task that waits to be admitted, then for its sink."""

    def __init__(self, name: str) -> None:
        """Begin; the task has this name. To be called when everything that `_run` needs is there."""
        loop = asyncio.get_running_loop()
        self._admitted: asyncio.Future[Answer | None] = loop.create_future()
        self._sink: asyncio.Future[Sink] = loop.create_future()
        self._left = False
        self.task = asyncio.create_task(self._run(), name=name)
        self.task.add_done_callback(forget_cancellation)

    @abstractmethod
    async def _run(self) -> None:
        """Set `_admitted`, and go on with `_sink`."""

    async def admitted(self) -> Answer | None:
        """Wait until it is charged and the hooks before execution have run; the answer where that is all of it."""
        try:
            await asyncio.wait({self._admitted, self.task}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self.leave()
            raise
        return self._admitted.result() if self._admitted.done() else await self.task

    def follow(self, sink: Sink) -> Callable[[], None]:
        """Hand what comes to `sink`; the callable returned ends it."""
        if not self._left:
            self._sink.set_result(sink)
        return self.leave

    def leave(self) -> None:
        """End it without a message; a second call does nothing."""
        self._left = True
        if self._may_be_cancelled() and self.task is not asyncio.current_task():
            self.task.cancel()

    def _may_be_cancelled(self) -> bool:
        return True
