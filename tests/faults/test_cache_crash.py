"""Redis crashing, forgetting, freezing and coming back under a cache in use."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from graph.patterns.cache import Cache, metrics, values
from graph.patterns.client import RedisUnavailable, open_client
from harness.valkey import ValkeyServer
from harness.waiting import HANG, until, within
from tests.support.models.counters import count

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

    import pytest


class World:
    """A truth, caches of several processes, and the readers and writers that use them."""

    def __init__(self, caches: list[Cache]) -> None:
        self.caches = caches
        self.committed: dict[str, int] = {}
        self.acknowledged: dict[str, int] = {}
        self.wrong: list[str] = []
        self.reads = 0
        self.stop = False

    async def load(self, keys: Sequence[str]) -> Mapping[str, Any]:
        await asyncio.sleep(random.choice((0, 0.001, 0.005)))
        found = {key: self.committed.get(key, 0) for key in keys}
        await asyncio.sleep(random.choice((0, 0.001, 0.005)))
        return found

    async def read(self, cache: Cache, key: str) -> None:
        oldest = self.acknowledged.get(key, 0)
        got = await cache.get_many([key], self.load, tags=lambda key: [key])
        self.reads += 1
        if got[key] < oldest:
            self.wrong.append(f"{key}: {got[key]} < {oldest}")

    async def write(self, cache: Cache, key: str) -> None:
        async with cache.invalidating(key):
            await asyncio.sleep(random.choice((0, 0.001)))
            self.committed[key] = version = self.committed.get(key, 0) + 1
        self.acknowledged[key] = version

    async def read_on(self, cache: Cache) -> None:
        while not self.stop:
            await self.read(cache, str(random.randrange(20)))
            await asyncio.sleep(random.uniform(0, 0.01))

    async def write_on(self, cache: Cache) -> None:
        while not self.stop:
            try:
                await self.write(cache, str(random.randrange(20)))
            except RedisUnavailable:  # refused, or not acknowledged
                await asyncio.sleep(0.01)
            await asyncio.sleep(random.uniform(0, 0.05))


@asynccontextmanager
async def world(server: ValkeyServer, **options: Any) -> AsyncGenerator[World]:
    """Three caches that share nothing but Redis, one of them without copies."""
    async with AsyncExitStack() as stack:
        caches: list[Cache] = []
        for copies in (1 << 20, 1 << 20, 0):
            client = await stack.enter_async_context(open_client(server.url))
            caches.append(Cache(client, l1_bytes=copies, **options))
            stack.push_async_callback(caches[-1].close)
        yield World(caches)


async def hits_again(world: World) -> None:
    """Wait until the cache answers again from what it holds."""
    async with within("answers from the cache"):
        while True:
            before = count(metrics.HIT) + count(metrics.LOCAL)
            for cache in world.caches:
                await world.read(cache, "0")
            if count(metrics.HIT) + count(metrics.LOCAL) >= before + len(world.caches):
                return
            await asyncio.sleep(0.01)


async def test_a_crash_after_an_acknowledged_write_brings_nothing_old_back(scaled: Callable[[int, int], int]) -> None:
    """Redis is killed within 50 ms of an acknowledged write, again and again; half the time it loses that write."""
    with ValkeyServer(aof=True, options={"appendfsync": "everysec"}) as server:
        log = server.folder / "appendonlydir"
        kept = server.folder / "kept"
        async with world(server) as here:
            for crash in range(scaled(200, 12)):
                await asyncio.gather(*[here.read(cache, key) for cache in here.caches for key in "ab"])
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(log, kept)
                for key in "ab":
                    await here.write(random.choice(here.caches), key)
                if crash % 3 == 0:
                    await asyncio.gather(*[here.read(cache, "a") for cache in here.caches])
                await asyncio.sleep(random.uniform(0, 0.05))
                server.kill()
                if crash % 2:  # what the disk had not yet got is lost, as in a power failure
                    shutil.rmtree(log)
                    shutil.copytree(kept, log)
                server.start()
                await hits_again(here)
                await asyncio.gather(
                    *[here.read(cache, key) for cache in here.caches for key in "ab" for _ in range(2)]
                )
            assert here.wrong == []


async def test_nothing_that_redis_forgets_is_noticed_by_readers(scaled: Callable[[int, int], int]) -> None:
    """FLUSHALL, SCRIPT FLUSH, a kill and a restart under load: no read fails or is wrong; hits again after it."""
    with ValkeyServer(aof=True) as server:
        async with world(server, patience=1.0) as here:
            users = [asyncio.create_task(here.read_on(cache)) for cache in here.caches for _ in range(10)]
            users += [asyncio.create_task(here.write_on(cache)) for cache in here.caches]
            for _ in range(scaled(20, 2)):
                for forget in (("FLUSHALL",), ("SCRIPT", "FLUSH"), ("FLUSHALL", "ASYNC")):
                    await asyncio.sleep(0.1)
                    async with open_client(server.url) as admin:
                        await admin.execute(*forget, retry=False)
                await asyncio.sleep(0.1)
                server.kill()
                await asyncio.sleep(0.2)
                server.start()
                await hits_again(here)
            await until(lambda: here.reads > 200 or any(user.done() for user in users))
            here.stop = True
            await asyncio.gather(*users)  # raises what any read raised
            assert here.wrong == []


async def test_a_frozen_redis_costs_readers_its_deadline_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis stops answering with its socket open: readers wait once, then go without, and use it again later."""
    with ValkeyServer() as server:
        async with world(server, deadline=0.3) as here:
            await asyncio.gather(*[here.read(cache, "0") for cache in here.caches])
            monkeypatch.setattr(values, "_AWAY", 10 * HANG)
            server.pause()
            began = time.monotonic()
            await asyncio.gather(*[here.read(cache, "0") for cache in here.caches])
            assert time.monotonic() - began >= 0.3
            for cache in here.caches:
                cache._deadline = 10 * HANG
            waiting = asyncio.create_task(here.caches[0]._client.execute("PING"))
            await asyncio.sleep(0)
            for _ in range(3):
                await asyncio.gather(*[here.read(cache, "0") for cache in here.caches])
            assert not waiting.done()  # who does wait for Redis was asked before them, and waits for its 5 s
            server.resume()
            await asyncio.gather(waiting, return_exceptions=True)
            for cache in here.caches:
                cache._away_until = 0
            await hits_again(here)
            assert here.wrong == []


async def test_loads_without_redis_are_few_and_current() -> None:
    """While Redis is away, hundreds of readers cost a bounded number of loads at a time, and none is out of date."""
    with ValkeyServer() as server:
        async with world(server, direct=4) as here:
            server.kill()
            cache, most, now, loads = here.caches[0], 0, 0, 0

            async def load() -> Any:
                nonlocal most, now, loads
                now, loads = now + 1, loads + 1
                most = max(most, now)
                await asyncio.sleep(0.005)
                now -= 1
                return loads

            await asyncio.gather(*[cache.get(f"k{i % 10}", load, tags=["t"]) for i in range(500)])
            assert most <= 4
            assert loads <= 20  # for each key the first, and one for all who came too late to join it

            seen: list[int] = []

            async def versions() -> Any:
                version = here.committed.get("v", 0)
                await asyncio.sleep(0.002)
                return version

            async def reader() -> None:
                oldest = here.committed.get("v", 0)
                seen.append(await cache.get("v", versions, tags=["v"]) - oldest)

            readers: list[asyncio.Task[None]] = []
            for _ in range(100):
                here.committed["v"] = here.committed.get("v", 0) + 1
                readers.append(asyncio.create_task(reader()))
                await asyncio.sleep(0.0003)
            await asyncio.gather(*readers)
            assert min(seen) >= 0
