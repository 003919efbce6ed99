"""`Redis`: every part of this library that needs Redis, from one object at module level.

It opens when it is first used, with connections of its own for each event loop, and closes with the loop; as an
``async with`` block it opens at once, so that a bad address is told at the start. Without a URL it runs the embedded
Valkey in a folder.

Failure: what each part does while Redis is away is told by the part: a cache calls its loader, a rate limit grants what
is known to be left, everything else raises `RedisUnavailable`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from graph.library.caching import RedisCache
from graph.library.jobs import RedisJobs
from graph.library.ranking import RedisRanking
from graph.library.topics import RedisTopic
from graph.patterns.broker import Broker, Delivery, Topic
from graph.patterns.client import LazyClient
from graph.patterns.limiter import Limiter
from graph.patterns.lock import Locks
from graph.patterns.ranking import Operator, Order, Ties
from graph.patterns.tokens import OneTimeTokens

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from contextlib import AsyncExitStack

    from graph.library.sessions import RedisSessions
    from graph.patterns.lock import Held


class Redis:
    """A Redis (7 or newer) or Valkey server, Sentinel group or cluster, and the parts of an app that live in it."""

    def __init__(
        self,
        url: str | None = None,
        *,
        prefix: str = "app",
        folder: str | Path = ".graph",
        max_memory: int = 512 << 20,
        local_bytes: int = 16 << 20,
    ) -> None:
        """Use the server at `url`; without one, the embedded Valkey.

        Args:
            url: ``redis://``, ``rediss://``, ``unix://``, ``redis+sentinel://`` or ``redis+cluster://``; ValueError for
                any other.
            prefix: First part of every key.
            folder: Where the embedded Valkey keeps its files.
            max_memory: Bytes that it may hold.
            local_bytes: Bytes of cached values that each event loop keeps copies of; 0 keeps none.
        """

        async def embedded(stack: AsyncExitStack) -> str:
            from graph.engines.embedded import Embedded  # noqa: PLC0415 - the server comes with the extra [embedded]

            server = Embedded(Path(folder) / "valkey", max_memory=max_memory)
            stack.push_async_callback(server.close)
            await server.open()
            return server.url

        self.prefix = prefix
        self.client = LazyClient(embedded if url is None else url)
        """Sends commands and scripts: ``await redis.client.execute("GET", key)``."""
        self.limiter = Limiter(self.client)
        self.cache = RedisCache(self.client, prefix=prefix, local_bytes=local_bytes)
        self.jobs = RedisJobs(self.client, prefix=prefix)

    async def __aenter__(self) -> Self:
        """Connect, or raise `RedisUnavailable`."""
        await self.client.opened()
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close what the running event loop has opened, before the loop ends; the next use opens it again."""
        await self.client.close()

    @asynccontextmanager
    async def lock(self, name: str, *, ttl: float = 10.0, wait: float = 5.0) -> AsyncGenerator[Held]:
        """Hold a lock over all processes for the length of the block; see `Locks.hold`.

        Raises `LockTimeout` if others hold it for longer than `wait` seconds. `Held.fence` lets a store refuse a holder
        that was frozen and lost the lock.
        """
        await self.client.opened()
        locks = cast("Locks", await self.client.part(self._locks))
        async with locks.hold(name, ttl=ttl, wait=wait) as held:
            yield held

    def topic(
        self, name: str, *, latest: bool = False, max_length: int = 10_000, max_age: float = 3600.0
    ) -> RedisTopic:
        """A topic with a history of `max_length` events, none older than `max_age` seconds.

        Followers that cannot keep up lose their place with `SlowConsumer`; where only the `latest` event counts, they
        get that one.
        """
        kind = Delivery.LATEST if latest else Delivery.EVERY
        return RedisTopic(Topic(name, kind, max_length=max_length, max_age=max_age), self._broker_here)

    def ranking(
        self,
        board: str,
        *,
        operator: Operator = Operator.BEST,
        order: Order = Order.DESCENDING,
        ties: Ties = Ties.EARLIEST_FIRST,
    ) -> RedisRanking:
        """The ranking called `board`, which is made when it is first used."""
        return RedisRanking(self.client, board, operator=operator, order=order, ties=ties, prefix=self.prefix)

    def tokens(self, kind: str, *, ttl: float = 3600.0) -> OneTimeTokens:
        """Tokens that work once, within `ttl` seconds."""
        return OneTimeTokens(self.client, kind, prefix=self.prefix, ttl=ttl)

    def sessions(self, **options: Any) -> RedisSessions:
        """Sessions behind a bearer token or a cookie; the options are those of `RedisSessions`."""
        try:
            from graph.library.sessions import RedisSessions  # noqa: PLC0415 - it needs Starlette
        except ModuleNotFoundError as error:
            raise ImportError(f"sessions need {error.name}: install graph-server[endpoint]") from error
        return RedisSessions(self.client, prefix=self.prefix, **options)

    # --- what an event loop has of its own ---

    async def _locks(self, stack: AsyncExitStack) -> Locks:
        return await stack.enter_async_context(Locks(self.client, prefix=self.prefix))

    async def _broker(self, stack: AsyncExitStack) -> Broker:
        return await stack.enter_async_context(Broker(self.client, prefix=self.prefix))

    async def _broker_here(self) -> Broker:
        await self.client.opened()
        return await self.client.part(self._broker)
