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

    from graph.endpoint.execution import Answer, Engine, Ready


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
