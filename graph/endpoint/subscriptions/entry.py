"""Letting a subscription in before the deadline of its operation has passed.

A subscription has no deadline once it stands; its admission has that of any operation. When that has passed, the client
gets DEADLINE_EXCEEDED, and is charged.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from graph.endpoint.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from graph.endpoint.execution import Answer, Engine, HooksRunner, Ready


async def in_time(engine: Engine[Any], ready: Ready, admission: Awaitable[Answer | None]) -> Answer | None:
    """What `admission` of `ready` comes to: an answer that refuses it, or None; a refusal when it takes too long."""
    deadline = asyncio.timeout(engine.operations.bounds.deadline)
    try:
        async with deadline:
            return await admission
    except TimeoutError:
        if not deadline.expired():
            raise
        late = Refusal("DEADLINE_EXCEEDED", "The operation took too long and was cancelled.")
        return await engine.reject([late], ready.ticket)


async def entered(engine: Engine[Any], ready: Ready, context: Any, runner: HooksRunner) -> Answer | None:
    """Let in a follower of what is executed elsewhere: charge it and run the hooks; an answer when they refuse it.

    `context` and `runner` are those that `Engine.begin` gave. The extensions see an execution without anything in it.
    """

    async def enter() -> Answer | None:
        async with runner.operation():
            refusal = await engine.admit(ready, context, runner)
            if refusal is None:
                async with runner.executing():
                    pass
            return refusal

    return await in_time(engine, ready, enter())
