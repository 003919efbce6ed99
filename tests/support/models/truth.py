"""A source of truth to cache in tests: numbered versions, loaders that can be held up, and a count of loads."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence


class Truth:
    """Versions by key; a load reads the version first and then waits at `gate`, as a slow query would."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.loads: list[tuple[str, ...]] = []
        self.gate: asyncio.Event | None = None
        self.reading = asyncio.Event()
        self.error: Exception | None = None

    async def load_many(self, keys: Sequence[str]) -> dict[str, Any]:
        """A loader for `Cache.get_many`."""
        self.loads.append(tuple(keys))
        found = {key: {"version": self.versions[key]} for key in keys if key in self.versions}
        self.reading.set()
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return found

    def load(self, key: str) -> Callable[[], Awaitable[Any]]:
        """A loader for `Cache.get`."""

        async def load() -> Any:
            return (await self.load_many([key])).get(key)

        return load

    def close_gate(self) -> asyncio.Event:
        """Hold up loads from now on; set what this gives to let them go."""
        self.gate = asyncio.Event()
        self.reading.clear()
        return self.gate
