"""A cache that lets something happen amid a write, for tests in which others come between its steps."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from graph.patterns.cache import Cache

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

HOLD = 0.5
"""Seconds that such a cache holds tags for."""


class Stepped(Cache):
    """A cache whose first writer that comes to `step` does `meanwhile` there."""

    step = ""
    meanwhile: Callable[[], Awaitable[object]]

    @asynccontextmanager
    async def _invalidating(self, *tags: str) -> AsyncGenerator[None]:
        await self._reach("planned")
        async with super().invalidating(*tags):
            await self._reach("held")
            yield
            await self._reach("committed")

    def invalidating(self, *tags: str) -> Any:
        """Bracket a transaction, with pauses."""
        return self._invalidating(*tags)

    async def _reach(self, step: str) -> None:
        if step == self.step:
            self.step = ""
            await self.meanwhile()
