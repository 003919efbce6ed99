"""`Redis` at module level: opened by use, once for each event loop, and closed with it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from graph.jobs import JobState
from graph.library import Redis, cached
from graph.patterns.cache import CacheWriteRefused
from graph.patterns.client import RedisUnavailable, command
from graph.patterns.lock import LockTimeout
from harness.valkey import ValkeyCluster, ValkeyServer
from harness.waiting import eventually, until, within

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from graph.patterns.client import Client


@pytest.fixture
def redis(client: Client, valkey: ValkeyServer) -> Redis:
    """The parts on an empty server."""
    del client  # it emptied the server
    return Redis(valkey.url, prefix="test")


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """Three nodes."""
    with ValkeyCluster() as servers:
        yield servers


@contextlib.asynccontextmanager
async def closing(redis: Redis) -> AsyncGenerator[None]:
    """Close it in the end, without opening it first."""
    try:
        yield
    finally:
        await redis.close()


def connections(server: ValkeyServer, name: str) -> int:
    """How many connections of that name the server has."""
    return sum(f" name={name} " in line for line in server.command("CLIENT", "LIST").decode().splitlines())


def test_each_loop_has_its_own_connections_and_leaves_none(valkey: ValkeyServer) -> None:
    """One object serves several loops in turn; nothing is closed by hand, nothing is left, no task complains."""
    redis = Redis(f"{valkey.url}?client_name=loops", prefix="test")

    async def use(value: str) -> tuple[str, int]:
        @cached(redis, ttl=3600, tags=value, key=value)
        async def load() -> str:
            return value

        topic = redis.topic("loops")
        following = topic.follow()
        first = asyncio.ensure_future(anext(following))
        found = await load()
        while not first.done():
            await topic.publish(value)
            await asyncio.wait([first], timeout=0.01)
        return found, connections(valkey, "loops")

    for value in ("one", "two"):
        assert asyncio.run(use(value)) == (value, 2)
        eventually(lambda: connections(valkey, "loops") == 0)


async def test_many_who_come_first_share_one_connection(valkey: ValkeyServer) -> None:
    """A crowd opens it once, by single commands, batches and parts."""
    redis = Redis(f"{valkey.url}?client_name=crowd", prefix="crowd")
    async with closing(redis):
        await asyncio.gather(
            *(redis.client.execute("INCR", "crowd", retry=False) for _ in range(20)),
            *(redis.client.batch() for _ in range(5)),
            *(redis.cache.get("k", lambda: asyncio.sleep(0, "v"), tags="t", ttl=3600) for _ in range(5)),
        )
        assert await redis.client.execute("GET", "crowd") == b"20"
        assert connections(valkey, "crowd") == 1
        await redis.client.execute("DEL", "crowd", retry=True)
    await until(lambda: connections(valkey, "crowd") == 0)


async def test_a_block_opens_at_once_and_it_can_be_used_again_after(redis: Redis) -> None:
    """``async with`` connects and closes; the next use connects anew."""
    async with redis:
        assert redis.client.connected
    assert not redis.client.connected
    await redis.client.execute("PING")
    assert redis.client.connected
    await redis.client.close()


def test_a_bad_address_is_told_where_it_is_written() -> None:
    """Not when somebody asks."""
    with pytest.raises(ValueError, match="redis:"):
        Redis("http://localhost")


async def test_what_each_part_does_while_redis_is_away() -> None:
    """A cache calls its loader, a write is refused, a lock and a command raise; all of it once Redis is there."""
    with ValkeyServer() as server:
        server.kill()
        redis = Redis(server.url, prefix="test")
        writes = 0

        async def write() -> None:
            nonlocal writes
            async with redis.cache.writing("t"):
                writes += 1

        async with closing(redis):
            for _ in range(2):
                assert await redis.cache.get("k", lambda: asyncio.sleep(0, "loaded"), tags="t", ttl=3600) == "loaded"
                with pytest.raises(CacheWriteRefused):
                    await write()
                with pytest.raises(RedisUnavailable):
                    await redis.client.execute("PING")
                (reply,) = await redis.client.batch(command("GET", "k"))
                assert isinstance(reply, RedisUnavailable)
                with pytest.raises(RedisUnavailable):
                    async with redis.lock("l"):
                        pass
            with pytest.raises(RedisUnavailable):
                async with redis:
                    pass
            server.start()
            async with within("Redis to be found again"):
                while True:
                    with contextlib.suppress(RedisUnavailable):
                        await write()
                        break
                    await asyncio.sleep(0.05)
            assert writes == 1
            assert await redis.cache.get("k", lambda: asyncio.sleep(0, "kept"), tags="t", ttl=3600) == "kept"
            assert await redis.cache.get("k", lambda: asyncio.sleep(0, "not asked"), tags="t", ttl=3600) == "kept"


async def test_on_a_cluster(cluster: ValkeyCluster) -> None:
    """The first use of a cluster behind a plain address is right already: keys on several nodes, shared channels."""
    redis = Redis(cluster.nodes[0].tcp_url, prefix="test")
    async with closing(redis):
        found = await asyncio.gather(
            *(
                redis.cache.get(f"k{n}", lambda n=n: asyncio.sleep(0, n), tags=["all", f"t{n}"], ttl=3600)
                for n in range(9)
            )
        )
        assert found == list(range(9))
        topic = redis.topic("cluster")
        async with contextlib.aclosing(topic.follow()) as events:
            first = asyncio.ensure_future(anext(events))
            while not first.done():
                await topic.publish("hello")
                await asyncio.wait([first], timeout=0.01)
            assert first.result().data == "hello"


def test_without_an_address_it_runs_the_embedded_server(tmp_path: Path) -> None:
    """Which keeps its data from one run to the next, and ends with the loop."""
    redis = Redis(folder=tmp_path / "data")

    async def visits() -> int:
        return await redis.client.execute("INCR", "visits", retry=False)

    assert [asyncio.run(visits()), asyncio.run(visits())] == [1, 2]
    assert not list((tmp_path / "data").glob("**/socket"))


async def test_a_cached_function(redis: Redis) -> None:
    """It is called once for each combination of arguments, however they are passed, until a write to a tag."""
    asked: list[tuple[object, ...]] = []

    @cached(redis, ttl=3600, tags=["recipe:{n}", "recipes"])
    async def recipe(n: int, lang: str = "en") -> dict[str, object] | None:
        asked.append((n, lang))
        return {"n": n, "lang": lang} if n else None

    async with closing(redis):
        assert [await recipe(1), await recipe(n=1), await recipe(1, "en")] == [{"n": 1, "lang": "en"}] * 3
        assert [await recipe(2), await recipe(1, "de"), await recipe(0), await recipe(0)][2:] == [None, None]
        assert asked == [(1, "en"), (2, "en"), (1, "de"), (0, "en")]
        async with redis.cache.writing("recipe:1"):
            pass
        await recipe(1)
        await recipe(2)
        assert asked[4:] == [(1, "en")]
        with pytest.raises(TypeError, match="lang"):
            await recipe(1, object())  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="m"):
        cached(redis, ttl=1, tags="x:{m}")(recipe)
    with pytest.raises(TypeError, match="async"):
        cached(redis, ttl=1, tags="x")(lambda: None)  # pyright: ignore[reportArgumentType, reportUnknownLambdaType]


async def test_text_and_number_are_different_arguments(redis: Redis) -> None:
    """So are None and "null"."""

    @cached(redis, ttl=3600, tags="x")
    async def kind(value: object) -> str:
        return repr(value)

    async with closing(redis):
        for value in (1, "1", None, "None", "null", True, 1.5):
            assert await kind(value) == repr(value)


async def test_a_lock_excludes_and_a_ranking_makes_itself(redis: Redis) -> None:
    """Both without a word at the start of the app."""
    async with closing(redis):
        async with redis.lock("oven") as held:
            with pytest.raises(LockTimeout):
                async with redis.lock("oven", wait=0):
                    pass
        async with redis.lock("oven") as later:
            assert later.fence > held.fence
        darts = redis.ranking("darts")
        assert (await darts.page(10)).entries == []
        assert await darts.entry("ann") is None
        assert (await darts.submit("ann", 3)).rank == 1
        assert (await darts.submit("bob", 5)).rank == 1
        neighbours = await darts.around("ann")
        assert neighbours is not None
        assert [entry.player for entry in neighbours.above] == ["bob"]
        assert await darts.size() == 2


async def until_succeeded(redis: Redis, job: str) -> None:
    """Wait for the worker to record the end, which it does after the function has returned."""
    async with within(f"job {job} to succeed"):
        while (found := await redis.jobs.get(job)) is None or found.state is not JobState.SUCCEEDED:
            await asyncio.sleep(0.01)


async def test_jobs_are_functions(redis: Redis) -> None:
    """Queued by name and arguments, run by a worker beside or elsewhere; a unique one is queued once."""
    done: list[tuple[str, int]] = []

    @redis.jobs.job(unique="{to}")
    async def send(to: str, count: int = 1) -> None:
        done.append((to, count))

    with pytest.raises(ValueError, match="send"):
        redis.jobs.job(name="send")(send)
    async with closing(redis):
        with pytest.raises(TypeError):
            await send.enqueue(whom="ann")  # pyright: ignore[reportCallIssue]
        first = await send.enqueue("ann", count=2)
        assert await send.enqueue(to="ann") == first
        await send.enqueue("bob")
        async with redis.jobs.working():
            await until(lambda: len(done) == 2)
            await until_succeeded(redis, first)
        assert sorted(done) == [("ann", 2), ("bob", 1)]
        job = await redis.jobs.get(first)
        assert job is not None
        assert job.name == "send"
        await send("eve")
        assert done[-1] == ("eve", 1)
