"""Letting a subscription in before the deadline of its operation has passed.

A subscription has no deadline once it stands; its admission has that of any operation. When that has passed, the client
gets DEADLINE_EXCEEDED, and is charged.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from graph.endpoint.errors import Refusal, as_graphql

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from graph.endpoint.execution import Answer, Engine, HooksRunner, Ready

Result = TypeVar("Result")


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
        return await engine.reject([as_graphql(error)], ready.ticket)
