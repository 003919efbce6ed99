"""The cache as an object. What it promises is told in `graph.patterns.cache`.

Failure: while Redis is away every read calls its loader; a write raises `CacheWriteRefused`, and is not made.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

from graph.patterns.cache import Cache
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
    from contextlib import AsyncExitStack

    from graph.patterns.client import LazyClient


class RedisCache:
    """The cache of one `Redis`."""

    def __init__(self, client: LazyClient, *, prefix: str, local_bytes: int) -> None:
        """Use `Redis.cache` instead."""
        self._client = client
        self._prefix = prefix
        self._local_bytes = local_bytes

    async def get(
        self, key: str, load: Callable[[], Awaitable[Any]], *, tags: Sequence[str] | str, ttl: float, stale: float = 0.0
    ) -> Any:
        """The value of `key`: from the cache if no write has outdated it, else from `load`.

        `load` gives a JSON value, or None where there is none. `tags`, the same at every read of `key`, name what
        changes it. The value lives `ttl` seconds; if `load` raises, it is served for `stale` seconds more.
        """
        return await (await self.here()).get(key, load, tags=several(tags), ttl=ttl, stale=stale)

    async def get_many(
        self,
        keys: Sequence[str],
        load: Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]],
        *,
        tags: Callable[[str], Sequence[str]],
        ttl: float,
        stale: float = 0.0,
    ) -> dict[str, Any]:
        """The values of all `keys` in one round trip; one call of `load` fetches those that are missing."""
        return await (await self.here()).get_many(keys, load, tags=tags, ttl=ttl, stale=stale)

    @asynccontextmanager
    async def writing(self, *tags: str) -> AsyncGenerator[None]:
        """Bracket the transaction of a write: no read after the block sees what was under `tags` before it.

        Raises `CacheWriteRefused` before the block if Redis is away: then nothing has been changed.
        """
        async with (await self.here()).invalidating(*tags):
            yield

    async def invalidate(self, *tags: str) -> None:
        """Outdate everything under `tags`, for a change that was made elsewhere."""
        await (await self.here()).invalidate(*tags)

    async def here(self) -> Cache:
        """The cache of the running event loop."""
        if not self._client.connected:
            with suppress(RedisUnavailable):  # the cache itself copes while Redis is away
                await self._client.opened()
        return await self._client.part(self._open)

    async def _open(self, stack: AsyncExitStack) -> Cache:
        cache = Cache(self._client, prefix=self._prefix, l1_bytes=self._local_bytes)
        stack.push_async_callback(cache.close)
        return cache


def several(tags: str | Sequence[str]) -> Sequence[str]:
    """Tags, which may be given as one."""
    return (tags,) if isinstance(tags, str) else tags
