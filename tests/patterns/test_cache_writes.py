"""Writers: holds, generations, and what happens when either side fails halfway."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from graph.patterns.cache import Cache, CacheWriteRefused, CacheWriteUnconfirmed, Generations
from graph.patterns.cache.generations import held
from graph.patterns.client import Client, open_client
from harness.valkey import ValkeyServer
from harness.waiting import until, within
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.client import Replies


@pytest.fixture
async def cache(client: Client) -> AsyncIterator[Cache]:
    """A cache that keeps no copies, so that every read looks at Redis."""
    cache = Cache(client, l1_bytes=0, beta=0)
    yield cache
    await cache.close()


async def read(cache: Cache, truth: Truth, key: str = "a") -> int:
    """The version that a reader sees."""
    value = await cache.get(key, truth.load(key), tags=[key])
    await cache._client.execute("PING")  # the fill has arrived
    return value["version"]


async def raw(client: Client, tag: str = "a") -> bytes:
    """What the tag's key holds."""
    return await client.execute("GET", f"graph:tag:{{{tag}}}") or b""


async def test_a_slow_load_cannot_bring_an_old_value_back(cache: Cache, client: Client) -> None:
    """A loader that read before a write and stores after it changes nothing for those who read after the write."""
    truth = Truth()
    truth.versions["a"] = 1
    gate = truth.close_gate()
    slow = asyncio.create_task(read(cache, truth))
    await truth.reading.wait()
    async with cache.invalidating("a"):
        truth.versions["a"] = 2
    truth.gate = None
    assert await read(cache, truth) == 2  # and does not join the load that began before the write
    gate.set()
    assert await slow == 1  # it began before the write: it may see either
    assert await read(cache, truth) == 2
    assert await read(Cache(client), truth) == 2


async def test_readers_neither_use_nor_fill_the_cache_while_a_writer_is_at_work(cache: Cache, client: Client) -> None:
    """During the bracket every reader goes to its loader, and nothing that they load is kept."""
    truth = Truth()
    truth.versions["a"] = 1
    await read(cache, truth)
    async with cache.invalidating("a"):
        assert held(await raw(client))
        before = await client.execute("GET", "graph:cache:{a}")
        for expected in (1, 1):
            assert await read(cache, truth) == expected
        truth.versions["a"] = 2
        assert await read(cache, truth) == 2
        assert await client.execute("GET", "graph:cache:{a}") == before
        assert len(truth.loads) == 4
    assert await read(cache, truth) == 2
    assert await read(cache, truth) == 2
    assert len(truth.loads) == 5


async def test_a_load_that_began_before_the_bracket_is_not_kept(cache: Cache, client: Client) -> None:
    """A load under way when the writer arrives stores an entry that nobody can use, during the bracket and after."""
    truth = Truth()
    truth.versions["a"] = 1
    gate = truth.close_gate()
    slow = asyncio.create_task(read(cache, truth))
    await truth.reading.wait()
    async with cache.invalidating("a"):
        gate.set()
        assert await slow == 1
        truth.gate = None
        truth.versions["a"] = 2
        assert await read(Cache(client), truth) == 2
    assert await read(Cache(client), truth) == 2


async def test_a_tag_is_free_only_when_both_writers_are_done(cache: Cache, client: Client) -> None:
    """Two writers hold a tag independently: the first to finish does not let readers fill under the second."""
    truth = Truth()
    truth.versions["a"] = 1
    async with cache.invalidating("a"):
        async with cache.invalidating("a"):
            pass
        assert held(await raw(client))
        assert await read(cache, truth) == 1
        truth.versions["a"] = 2
    assert not held(await raw(client))
    assert await read(cache, truth) == 2


async def test_a_load_is_not_shared_over_one_of_two_writers(cache: Cache) -> None:
    """While a second writer still holds the tag, a reader does not join a load that began before the first ended."""
    truth = Truth()
    truth.versions["a"] = 1
    async with cache.invalidating("a"):
        async with cache.invalidating("a"):
            gate = truth.close_gate()
            slow = asyncio.create_task(read(cache, truth))
            await truth.reading.wait()
            truth.versions["a"] = 2
        after = asyncio.create_task(read(cache, truth))
        await asyncio.sleep(0.01)
        gate.set()
        assert await slow == 1
        assert await after == 2


async def test_a_dead_writers_hold_expires_alone(client: Client) -> None:
    """Of two holds, the one whose writer died ends by itself; the living writer's stays as long as it is needed."""
    truth = Truth()
    truth.versions["a"] = 1
    dead, living = Generations(client, hold=1.5), Cache(client, hold=1.5, beta=0)
    await dead._place(["a"], "dead")
    await read(living, truth)
    async with living.invalidating("a"):
        async with within("the dead hold to leave"):
            while b"dead" in await raw(client):
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.5)  # beyond its own time: only renewals keep it
        assert held(await raw(client))
        truth.versions["a"] = 2
        assert await read(living, truth) == 2
    assert await read(living, truth) == 2
    await dead._place(["a"], "dead")
    assert held(await raw(client))
    async with living.invalidating("a"):
        truth.versions["a"] = 3
    assert held(await raw(client)), "the living writer's release freed the dead one's hold"
    async with within("the dead hold to expire"):
        while held(await raw(client)):
            assert await read(living, truth) == 3
            await asyncio.sleep(0.02)
    assert await read(living, truth) == 3
    assert await read(living, truth) == 3
    await living.close()


async def test_a_failed_write_frees_the_tag(cache: Cache, client: Client) -> None:
    """An exception in the bracket passes through, and the tag is free again under a new generation."""
    truth = Truth()
    truth.versions["a"] = 1
    await read(cache, truth)
    before = await raw(client)
    with pytest.raises(KeyError):
        async with cache.invalidating("a"):
            raise KeyError
    assert not held(await raw(client))
    assert await raw(client) != before


async def test_a_cancelled_write_leaves_its_hold_to_expire(client: Client) -> None:
    """A transaction that was cancelled may still commit: until the hold expires nothing is cached, then all is new."""
    truth = Truth()
    truth.versions["a"] = 1
    cache = Cache(client, hold=1.5, beta=0)
    inside = asyncio.Event()

    async def write() -> None:
        async with cache.invalidating("a"):
            inside.set()
            await asyncio.sleep(60)

    writer = asyncio.create_task(write())
    await inside.wait()
    writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writer
    assert held(await raw(client))
    assert await read(cache, truth) == 1
    truth.versions["a"] = 2  # the commit that was already on its way
    async with within("the hold to end"):
        while held(await raw(client)):
            await asyncio.sleep(0.02)
    assert await read(cache, truth) == 2
    assert not cache.generations._tasks
    await cache.close()


async def test_a_write_cancelled_while_it_is_confirmed_is_confirmed_all_the_same(cache: Cache, client: Client) -> None:
    """Cancelling the caller after the commit does not stop the release."""
    entered = asyncio.Event()

    async def write() -> None:
        async with cache.invalidating("a"):
            entered.set()

    writer = asyncio.create_task(write())
    await entered.wait()
    writer.cancel()
    await asyncio.gather(writer, return_exceptions=True)
    async with within("the hold to end"):
        while held(await raw(client)):
            await asyncio.sleep(0.005)


async def test_several_tags_are_held_together(cache: Cache, client: Client) -> None:
    """Every tag of a write is held before it begins and replaced when it ends; the same tag twice counts once."""
    before = [await raw(client, tag) for tag in "abc"]
    async with cache.invalidating("a", "b", "c", "a"):
        assert all([held(await raw(client, tag)) for tag in "abc"])
    after = [await raw(client, tag) for tag in "abc"]
    assert not any(held(mark) for mark in after)
    assert not set(before) & set(after)
    async with cache.invalidating():
        pass


async def test_a_change_made_elsewhere_is_made_known(cache: Cache) -> None:
    """`invalidate` outdates what is cached, and a load that is under way."""
    truth = Truth()
    truth.versions["a"] = 1
    await read(cache, truth)
    gate = truth.close_gate()
    await cache.invalidate("a")
    slow = asyncio.create_task(read(cache, truth))
    await truth.reading.wait()
    truth.versions["a"] = 2
    await cache.invalidate("a")
    gate.set()
    await slow
    assert await read(cache, truth) == 2


async def test_a_write_that_cannot_place_its_hold_is_refused() -> None:
    """Without Redis a write does not begin; the block is not entered."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            cache = Cache(client)
            server.kill()
            with pytest.raises(CacheWriteRefused):
                async with cache.invalidating("a"):
                    pytest.fail("the write began")
            await cache.close()


async def test_a_write_that_redis_does_not_confirm_is_not_acknowledged() -> None:
    """Redis dies between commit and release: the caller learns that it is not confirmed, and it is made good later."""
    truth = Truth()
    with ValkeyServer(aof=True, options={"appendfsync": "always"}) as server:
        async with open_client(server.url) as client:
            cache = Cache(client, patience=0.3, beta=0)
            truth.versions["a"] = 1
            await read(cache, truth)
            with pytest.raises(CacheWriteUnconfirmed):
                async with cache.invalidating("a"):
                    truth.versions["a"] = 2
                    server.kill()
            value = await cache.get("a", truth.load("a"), tags=["a"])
            assert value == {"version": 2}
            server.start()
            await until(lambda: not cache.generations._tasks)
            assert not held(await raw(client))
            assert await read(cache, truth) == 2
            await cache.close()


async def test_a_writer_that_is_cancelled_when_its_patience_ends_is_cancelled(client: Client) -> None:
    """A cancellation is not taken for a Redis that is slow, though both come in one round of the loop."""
    cache = Cache(client, patience=0.0)
    write = asyncio.create_task(cache.invalidate("a"))
    await asyncio.sleep(0)  # it has begun to wait, for no time at all
    asyncio.get_running_loop().call_soon(write.cancel)
    with pytest.raises(asyncio.CancelledError):
        await write
    await until(lambda: not cache.generations._tasks)
    assert await raw(client)
    await cache.close()


async def test_a_release_that_is_sent_again_brings_no_generation_back(cache: Cache, client: Client) -> None:
    """Each attempt to release has a generation of its own, so that a late one cannot revive what another outdated."""
    seen: list[bytes] = []
    for _ in range(3):
        await cache.generations._settle(["a"], "gone")
        seen.append(await raw(client))
    assert len(set(seen)) == 3


async def test_holds_work_when_redis_is_full(client: Client) -> None:
    """A server at its memory limit still lets writers hold and release: writes do not depend on cached values."""
    truth = Truth()
    truth.versions["a"] = 1
    cache = Cache(client, beta=0)
    await client.execute("CONFIG", "SET", "maxmemory", "1", retry=False)
    try:
        async with cache.invalidating("a"):
            truth.versions["a"] = 2
        assert await read(cache, truth) == 2
    finally:
        await client.execute("CONFIG", "SET", "maxmemory", "0", retry=False)
    await cache.close()


async def test_what_a_former_primary_took_is_told_again_beside_what_it_refused(
    cache: Cache, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two tags is refused; that the other was taken counts for nothing: the server was no primary any more."""
    taken: list[bytes] = []

    async def vouches(_self: Client, _: Replies) -> bool:
        """Sentinels had made another server primary before the first answer."""
        taken.append(await raw(client))
        return len(taken) > 1

    monkeypatch.setattr(Client, "vouches", vouches)
    await client.execute("LPUSH", "graph:tag:{b}", "this is no tag")
    writing = asyncio.create_task(cache.invalidate("a", "b"))
    await until(lambda: taken)
    await client.execute("DEL", "graph:tag:{b}")
    async with within("the invalidation"):
        await writing
    assert await raw(client) != taken[0]
