"""The cache as its callers see it: where values come from, what is remembered, what is shared."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.cache import Cache, metrics
from graph.patterns.cache.codec import JsonCodec, dumps
from graph.patterns.client import Client, command, open_client
from harness.waiting import within
from tests.support.models.counters import count
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from harness.valkey import ValkeyServer


@pytest.fixture
async def cache(client: Client) -> AsyncIterator[Cache]:
    """A cache with copies in this process."""
    cache = Cache(client, beta=0)
    yield cache
    await cache.close()


@pytest.fixture
async def other(valkey: ValkeyServer, client: Client) -> AsyncIterator[Cache]:
    """Another process's cache: it shares nothing with `cache` but Redis."""
    del client  # opened first: it empties the server
    async with open_client(valkey.url) as opened:
        cache = Cache(opened, beta=0)
        yield cache
        await cache.close()


async def read(cache: Cache, truth: Truth, key: str = "a", **options: Any) -> Any:
    """Read a key whose only tag is its own name, and see its fill through: the caller does not wait for that."""
    value = await cache.get(key, truth.load(key), tags=[key], **options)
    await cache._client.execute("PING")
    return value


async def test_a_value_is_loaded_once_and_then_found(cache: Cache, other: Cache) -> None:
    """After one load every process finds the value: first in Redis, then in its own checked copy."""
    truth = Truth()
    truth.versions["a"] = 1
    hits, local = count(metrics.HIT), count(metrics.LOCAL)
    for reader in (cache, other, other):
        assert await read(reader, truth) == {"version": 1}
    assert truth.loads == [("a",)]
    assert count(metrics.HIT) == hits + 1
    assert count(metrics.LOCAL) == local + 1


async def test_many_values_take_one_load_for_what_is_missing(cache: Cache, other: Cache) -> None:
    """`get_many` asks the loader once for exactly the missing keys, and answers None for what does not exist."""
    truth = Truth()
    truth.versions.update(a=1, b=2, c=3)
    await read(other, truth, "b")
    got = await cache.get_many(["a", "b", "c", "a", "x"], truth.load_many, tags=lambda key: [key, "all"])
    assert got == {"a": {"version": 1}, "b": {"version": 2}, "c": {"version": 3}, "x": None}
    assert truth.loads == [("b",), ("a", "b", "c", "x")]  # another tag set is another entry: "all" outdates it too
    again = await other.get_many(["a", "b", "x"], truth.load_many, tags=lambda key: [key, "all"])
    assert again == {"a": {"version": 1}, "b": {"version": 2}, "x": None}
    assert len(truth.loads) == 2


async def test_reading_nothing_asks_nobody(cache: Cache) -> None:
    """No keys, no trip, no load."""
    assert await cache.get_many([], Truth().load_many, tags=lambda _: []) == {}


async def test_a_value_without_tags_is_cached_until_it_expires(cache: Cache, other: Cache) -> None:
    """Tags are optional: such a value only expires."""
    truth = Truth()
    truth.versions["a"] = 1
    for reader in (cache, other):
        assert await reader.get("a", truth.load("a"), tags=[]) == {"version": 1}
    assert len(truth.loads) == 1


async def test_every_key_expires(cache: Cache, client: Client) -> None:
    """Entries live the time asked for, give or take a tenth; generations outlive them; leases are gone."""
    truth = Truth()
    truth.versions["a"] = 1
    await read(cache, truth, ttl=100, stale=50)
    lives = {name: await client.execute("PTTL", name) for name in await client.execute("KEYS", "*")}
    assert set(lives) == {b"graph:cache:{a}", b"graph:tag:{a}"}
    assert 139_000 < lives[b"graph:cache:{a}"] <= 160_000
    assert lives[b"graph:tag:{a}"] > 220_000


async def test_lives_are_spread(cache: Cache, client: Client) -> None:
    """Values filled together do not expire together."""
    truth = Truth()
    keys = [f"k{i}" for i in range(50)]
    truth.versions.update(dict.fromkeys(keys, 1))
    await cache.get_many(["first"], truth.load_many, tags=lambda _: ["t"], ttl=1000)  # the server knows the scripts now
    await cache.get_many(keys, truth.load_many, tags=lambda _: ["t"], ttl=1000)
    lives = [await client.execute("PTTL", f"graph:cache:{{{key}}}") for key in keys]
    assert max(lives) - min(lives) > 100_000
    assert all(899_000 < life <= 1_100_000 for life in lives)


async def test_absence_is_remembered_briefly(cache: Cache, client: Client) -> None:
    """None is cached as well, for five seconds at most, and gone at once when the value is made."""
    truth = Truth()
    for _ in range(2):
        assert await read(cache, truth) is None
    assert len(truth.loads) == 1
    assert 0 < await client.execute("PTTL", "graph:cache:{a}") <= 5000
    async with cache.invalidating("a"):
        truth.versions["a"] = 1
    assert await read(cache, truth) == {"version": 1}


def dumps_slowly(value: Any) -> bytes:
    """Packs each value as slowly as a large one, or as a processor that others take away meanwhile."""
    time.sleep(0.02)
    return dumps(value)


async def test_an_entry_lives_no_longer_than_its_value_however_long_a_batch_is_packed(client: Client) -> None:
    """What the others of a batch take to be packed is not added to the life of its last."""
    cache, truth = Cache(client, codec=JsonCodec(dumps=dumps_slowly)), Truth()
    keys = [f"k{i}" for i in range(10)]
    await cache.get_many(keys, truth.load_many, tags=lambda _: ["t"], ttl=1000)
    replies = await client.batch(*[command("PTTL", f"graph:cache:{{{key}}}") for key in keys])
    assert all(0 < life <= 5000 for life in replies), replies
    await cache.close()


async def test_a_miss_gives_what_a_hit_will_give(cache: Cache, other: Cache) -> None:
    """The first reader gets JSON's types too: nobody depends on a tuple that is a list a moment later."""

    async def load() -> Any:
        return {"pair": (1, 2)}

    for reader in (cache, other):
        assert await reader.get("p", load, tags=["p"]) == {"pair": [1, 2]}


async def test_what_a_loader_raises_reaches_its_caller_and_is_not_stored(cache: Cache) -> None:
    """A failed load fails its readers; the next reader loads again."""
    truth = Truth()
    truth.versions["a"] = 1
    truth.error = RuntimeError("no database")
    with pytest.raises(RuntimeError, match="no database"):
        await read(cache, truth)
    truth.error = None
    assert await read(cache, truth) == {"version": 1}


async def test_a_value_that_is_not_json_is_an_error_at_once(cache: Cache) -> None:
    """A loader's mistake shows where it is made; the lease is given up, so the next reader does not wait."""

    async def load() -> Any:
        return {1, 2}

    async with within("a lease that was not given up"):
        for _ in range(2):
            with pytest.raises(TypeError):
                await cache.get("bad", load, tags=["bad"])


@pytest.mark.parametrize("noise", [b"", b"\x80\x04pickle", b"gC\x01" + b"\xff" * 60])
async def test_a_foreign_entry_is_a_counted_miss(cache: Cache, other: Cache, client: Client, noise: bytes) -> None:
    """Whatever somebody else wrote under the key is loaded over, with the right stamp on it or without."""
    truth = Truth()
    truth.versions["a"] = 1
    await read(cache, truth)
    blob = await client.execute("GET", "graph:cache:{a}")
    for bad, corrupt in ((noise, 0), (blob[:24] + noise, 1), (blob[:-1], 1)):
        before = count(metrics.CORRUPT)
        await client.execute("SET", "graph:cache:{a}", bad, "EX", 100)
        loads = len(truth.loads)
        assert await Cache(client).get("a", truth.load("a"), tags=["a"]) == {"version": 1}
        assert len(truth.loads) == loads + 1
        assert count(metrics.CORRUPT) >= before + corrupt
        assert await read(other, truth) == {"version": 1}
    await client.execute("DEL", "graph:cache:{a}")
    await client.execute("RPUSH", "graph:cache:{a}", "of another type")
    assert await Cache(client).get("a", truth.load("a"), tags=["a"]) == {"version": 1}


async def test_copies_in_the_process_stay_within_their_bound(client: Client) -> None:
    """However many values pass, the copies take no more than their bytes; what is used stays, what is not goes."""
    cache = Cache(client, l1_bytes=100_000, beta=0)
    truth = Truth()
    keys = [f"k{i}" for i in range(400)]
    truth.versions.update(dict.fromkeys(keys, 1))
    for start in range(0, 400, 40):
        await cache.get_many(keys[start : start + 40], truth.load_many, tags=lambda key: [key])
        await read(cache, truth, "k0")
        assert cache._local.size <= 100_000
    assert 50 < len(cache._local) < 200
    local = count(metrics.LOCAL)
    await read(cache, truth, "k0")
    await read(cache, truth, "k399")
    assert count(metrics.LOCAL) == local + 2


async def test_copies_go_when_the_generation_does(cache: Cache, other: Cache) -> None:
    """A copy in one process is never served after a write in another was acknowledged."""
    truth = Truth()
    truth.versions["a"] = 1
    for version in range(2, 30):
        assert await read(cache, truth) == {"version": version - 1}
        async with other.invalidating("a"):
            truth.versions["a"] = version
    assert await read(cache, truth) == {"version": 29}


@pytest.mark.parametrize("loss", [("FLUSHALL",), ("SCRIPT", "FLUSH"), ("DEL", "graph:tag:{a}")])
async def test_losing_what_redis_holds_is_a_miss(cache: Cache, client: Client, loss: tuple[str, ...]) -> None:
    """Generations or scripts that vanish cost a load at most and never bring an old value back."""
    truth = Truth()
    truth.versions["a"] = 1
    assert await read(cache, truth) == {"version": 1}
    truth.versions["a"] = 2
    async with cache.invalidating("a"):
        await client.execute(*loss, retry=False)
    assert await read(cache, truth) == {"version": 2}
