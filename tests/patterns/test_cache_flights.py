"""One load per expiry: flights, leases, early refresh, and values past their time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.cache import Cache, metrics
from graph.patterns.client import Client, open_client
from graph.patterns.fair_queue import FairQueue, on_behalf_of
from harness.waiting import until, within
from tests.support.models.counters import count
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from harness.valkey import ValkeyServer

LEASE = 1.0
"""Seconds: renewed every fifth of it, so that a machine may be busy for a while."""


@pytest.fixture
async def caches(valkey: ValkeyServer, client: Client) -> AsyncIterator[Callable[..., Cache]]:
    """Make caches that share nothing but Redis, as those of several processes."""
    made: list[Cache] = []
    async with open_client(valkey.url) as second:
        clients = [client, second]

        def make(**options: Any) -> Cache:
            settings: dict[str, Any] = {"beta": 0, "lease": LEASE, **options}
            made.append(Cache(clients[len(made) % 2], **settings))
            return made[-1]

        yield make
        for cache in made:
            await cache.close()


async def read(cache: Cache, truth: Truth, key: str = "a", **options: Any) -> Any:
    """Read a key whose only tag is its own name."""
    return await cache.get(key, truth.load(key), tags=[key], **options)


async def test_readers_of_all_processes_share_one_load(caches: Callable[..., Cache]) -> None:
    """Two hundred readers in two processes arriving together cause one load."""
    truth = Truth()
    truth.versions["a"] = 1
    gate = truth.close_gate()
    readers = [asyncio.create_task(read(cache, truth)) for cache in (caches(), caches()) for _ in range(100)]
    await truth.reading.wait()
    await asyncio.sleep(1.5 * LEASE)  # longer than a lease that nobody renews
    gate.set()
    assert await asyncio.gather(*readers) == [{"version": 1}] * 200
    assert len(truth.loads) == 1


async def test_readers_of_a_process_ask_for_the_lease_once(caches: Callable[..., Cache], client: Client) -> None:
    """A hundred readers of one process are one flight: Redis runs as many scripts for them as for a single one."""
    truth = Truth()
    truth.versions["a"] = 1
    cache = caches()
    await cache.invalidate("a")
    await client.execute("CONFIG", "RESETSTAT", retry=False)
    await asyncio.gather(*[read(cache, truth) for _ in range(100)])
    stats: bytes = await client.execute("INFO", "commandstats")
    assert b"cmdstat_evalsha:calls=3," in stats  # the lease, the generation, the fill


async def test_a_cancelled_reader_leaves_the_load_to_the_others(caches: Callable[..., Cache]) -> None:
    """Cancelling the reader that began a load, or all of its readers, does not stop it, and its value is kept."""
    truth = Truth()
    truth.versions["a"] = 1
    cache = caches()
    gate = truth.close_gate()
    first = asyncio.create_task(read(cache, truth))
    await truth.reading.wait()
    second = asyncio.create_task(read(cache, truth))
    third = asyncio.create_task(read(cache, truth))
    await asyncio.sleep(0.01)
    first.cancel()
    second.cancel()
    gate.set()
    assert await third == {"version": 1}
    assert first.cancelled()
    assert second.cancelled()

    gate = truth.close_gate()
    alone = asyncio.create_task(read(cache, truth, "b"))
    await truth.reading.wait()
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    truth.versions["b"] = 7  # too late for the load under way: what it found is what is cached
    gate.set()
    await until(lambda: not cache._flights._tasks)
    assert await read(cache, truth, "b") is None
    assert [keys for keys in truth.loads if keys == ("b",)] == [("b",)]


async def test_a_dead_loaders_lease_is_taken_over(caches: Callable[..., Cache]) -> None:
    """When the process that loads dies, one of the waiting readers loads, once the lease has run out."""
    truth = Truth()
    truth.versions["a"] = 1
    dying, living = caches(), caches()
    gate = truth.close_gate()
    orphan = asyncio.create_task(read(dying, truth))
    await truth.reading.wait()
    readers = [asyncio.create_task(read(living, truth)) for _ in range(50)]
    waits = count(metrics.WAITS)
    await until(lambda: count(metrics.WAITS) > waits)
    await dying._flights.close()  # its renewals end as they do with its process
    truth.gate = None
    assert await asyncio.gather(*readers) == [{"version": 1}] * 50
    assert len(truth.loads) == 2
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await orphan


async def test_nobody_waits_for_ever_for_a_load_elsewhere(caches: Callable[..., Cache]) -> None:
    """A load that hangs in another process, renewing its lease, keeps readers waiting for their patience only."""
    truth = Truth()
    truth.versions["a"] = 1
    gate = truth.close_gate()
    stuck = asyncio.create_task(read(caches(), truth))
    await truth.reading.wait()
    truth.gate = None
    impatient = caches(patience=0.1)
    async with within("the reader whose patience is short"):
        assert await read(impatient, truth) == {"version": 1}
    assert len(truth.loads) == 2
    gate.set()
    assert await stuck == {"version": 1}


async def test_a_failed_load_does_not_keep_others_waiting(caches: Callable[..., Cache]) -> None:
    """When a loader raises, its lease is given up at once: readers elsewhere load without waiting for its end."""
    truth = Truth()
    truth.versions["a"] = 1
    truth.error = RuntimeError("broken")
    failing, waiting = caches(lease=60.0), caches(lease=60.0)
    gate = truth.close_gate()
    first = asyncio.create_task(read(failing, truth))
    await truth.reading.wait()
    second = asyncio.create_task(read(waiting, truth))
    await asyncio.sleep(0.02)
    gate.set()
    with pytest.raises(RuntimeError, match="broken"):
        await first
    truth.error = None
    async with within("the reader behind a load that failed"):
        assert await second == {"version": 1}


async def test_a_batch_loads_what_it_may_and_waits_for_the_rest(caches: Callable[..., Cache]) -> None:
    """Of many keys, those that another process loads are waited for, the others are loaded at once, together."""
    truth = Truth()
    truth.versions.update(a=1, b=2, c=3)
    gate = truth.close_gate()
    slow = asyncio.create_task(read(caches(), truth, "b"))
    await truth.reading.wait()
    truth.gate = None
    many = asyncio.create_task(caches().get_many(list("abc"), truth.load_many, tags=lambda key: [key]))
    await until(lambda: ("a", "c") in truth.loads)
    assert not many.done()
    gate.set()
    assert await many == {"a": {"version": 1}, "b": {"version": 2}, "c": {"version": 3}}
    await slow
    assert truth.loads == [("b",), ("a", "c")]


async def test_a_value_is_refreshed_before_it_expires(caches: Callable[..., Cache]) -> None:
    """A value that is due is loaded while its readers go on with it, and then they get the new one."""
    truth = Truth()
    cache = caches(beta=1e15)
    truth.versions["a"] = 1
    await read(cache, truth)
    for version in range(1, 4):
        early = count(metrics.EARLY)
        gate = truth.close_gate()
        for _ in range(20):  # the load that the first of them begins cannot end yet: they do not wait for it
            assert await read(cache, truth) == {"version": version}
            truth.versions["a"] = version + 1
            if not truth.reading.is_set():
                await asyncio.sleep(0)
        await truth.reading.wait()
        assert (count(metrics.EARLY) - early, len(truth.loads)) == (1, version + 1)
        gate.set()
        await until(lambda: not cache._flights._tasks)


async def test_only_one_process_refreshes_early(caches: Callable[..., Cache]) -> None:
    """A value due for refresh in every process is loaded by one; the others take what it brought."""
    truth = Truth()
    truth.versions["a"] = 1
    all_due = [caches(beta=1e15) for _ in range(4)]
    first = caches(beta=0)
    await read(first, truth)
    await first._client.execute("PING")
    gate = truth.close_gate()
    for cache in all_due:
        for _ in range(10):
            assert await read(cache, truth) == {"version": 1}
    await truth.reading.wait()
    assert len(truth.loads) == 2
    gate.set()
    await until(lambda: not any(cache._flights._tasks for cache in all_due))


async def test_a_refresh_that_fails_harms_nobody(caches: Callable[..., Cache]) -> None:
    """An early refresh whose loader raises is counted; readers go on with the value that they have."""
    truth = Truth()
    truth.versions["a"] = 1
    cache = caches(beta=1e15)
    await read(caches(), truth)
    truth.error = RuntimeError("broken")
    failed = count(metrics.REFRESH_FAILED)
    assert await read(cache, truth) == {"version": 1}
    await until(lambda: count(metrics.REFRESH_FAILED) > failed)
    assert await read(caches(), truth) == {"version": 1}


async def test_an_expired_value_is_served_only_if_allowed_and_still_current(caches: Callable[..., Cache]) -> None:
    """Past its time a value helps when the loader fails, if the caller allows it, and never after a write."""
    truth = Truth()
    truth.versions["a"] = 1
    cache = caches()
    options: dict[str, Any] = {"ttl": 0.05, "stale": 30.0}
    await read(cache, truth, **options)
    await asyncio.sleep(0.06)
    truth.versions["a"] = 2  # a change that nobody announced: the expired value is still the best there is
    truth.error = RuntimeError("no database")
    stale = count(metrics.STALE)
    assert await read(cache, truth, **options) == {"version": 1}
    assert count(metrics.STALE) == stale + 1
    with pytest.raises(RuntimeError):
        await read(cache, truth, ttl=0.05)
    async with caches().invalidating("a"):
        pass
    with pytest.raises(RuntimeError):
        await read(cache, truth, **options)


async def test_an_expired_value_is_not_served_when_its_loader_works(caches: Callable[..., Cache]) -> None:
    """The grace is for errors alone."""
    truth = Truth()
    truth.versions["a"] = 1
    cache = caches()
    for version in (1, 2):
        truth.versions["a"] = version
        assert await read(cache, truth, ttl=0.05, stale=30.0) == {"version": version}
        await asyncio.sleep(0.06)


async def test_loaders_may_read_through_the_cache_themselves(caches: Callable[..., Cache]) -> None:
    """Nested reads end, also while a writer holds every tag and loads are bounded to one at a time."""
    truth = Truth()
    truth.versions["a"] = 1
    cache = caches(direct=1)

    async def page() -> Any:
        return [await read(cache, truth)]

    async with within("nested reads"):
        assert await cache.get("page", page, tags=["pages"]) == [{"version": 1}]
        async with cache.invalidating("a", "pages"):
            pages = await asyncio.gather(*[cache.get("page", page, tags=["pages"]) for _ in range(20)])
    assert pages == [[{"version": 1}]] * 20


@pytest.mark.parametrize("way", ["missed", "held", "refreshed"])
async def test_nobody_waits_for_the_backlog_of_whoever_asked_first(caches: Callable[..., Cache], way: str) -> None:
    """A value that the first reader has to wait for in a queue is loaded as soon as another reader's turn comes."""
    cache = caches(beta=1e9 if way == "refreshed" else 0, patience=600)
    queue = FairQueue(2, 1)

    async def load() -> int:
        async with queue.place():
            return 1

    async def ask(caller: str) -> Any:
        on_behalf_of.set(caller)
        return await cache.get("a", load, tags=["a"], ttl=0.5)

    async with contextlib.AsyncExitStack() as stack:
        if way == "refreshed":
            assert await asyncio.create_task(ask("first")) == 1
        on_behalf_of.set("first")
        await stack.enter_async_context(queue.place())  # all that the first may have
        if way == "held":
            await stack.enter_async_context(cache.invalidating("a"))
        first = asyncio.create_task(ask("first"))
        await until(lambda: bool(queue._waiting))
        if way == "refreshed":
            known = time.time()
            await until(lambda: time.time() > known + 0.6)  # when what is being refreshed has expired
        second = asyncio.create_task(ask("second"))
        async with within("both"):
            assert await asyncio.gather(first, second) == [1, 1]
