"""Following tags: whoever follows an answer is told of every change, once, however the announcement fared."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from prometheus_client import REGISTRY

from graph.patterns.cache import Cache, TagWatch, observing
from graph.patterns.client import Client, open_client
from harness.valkey import ValkeyCluster
from harness.waiting import until, within
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.patterns.cache import Watched


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """One cluster for the tests of this file."""
    with ValkeyCluster() as running:
        yield running


class Reader:
    """Follows an answer made of the values of `keys`, and notes when it is told of a change."""

    def __init__(self, cache: Cache, watch: TagWatch, keys: list[str]) -> None:
        self.cache = cache
        self.keys = keys
        self.told = asyncio.Event()
        self.calls = 0
        self.truth = Truth()
        self.truth.versions.update(dict.fromkeys([*keys, "other"], 1))
        self.watched: Watched = watch.follow(self._changed)

    def _changed(self) -> None:
        self.calls += 1
        self.told.set()

    async def read(self) -> None:
        """Make the answer anew."""
        self.told.clear()
        self.watched.arm()
        with observing() as seen:
            await self.cache.get_many(self.keys, self.truth.load_many, tags=lambda key: [key])
        self.watched.made(seen.tags, seen.stamp)

    async def heard(self) -> None:
        """Wait until a change is told."""
        async with within("the change"):
            await self.told.wait()


@pytest.fixture
async def cache(client: Client) -> AsyncIterator[Cache]:
    """A cache whose values never expire early."""
    cache = Cache(client, beta=0)
    yield cache
    await cache.close()


@pytest.fixture
async def watch(client: Client, cache: Cache) -> AsyncIterator[TagWatch]:
    """A watch that compares nothing by itself within a test."""
    watch = TagWatch(client, cache.generations, check_every=3600)
    yield watch
    await watch.close()


def announced() -> float:
    """Announcements that arrived in this process."""
    return REGISTRY.get_sample_value("graph_cache_announcements_total") or 0.0


async def listened(client: Client, count: int, *tags: str) -> None:
    """Wait until `count` channels of these tags are followed."""
    names = [f"graph:tag:{{{tag}}}" for tag in tags]
    async with within(f"{count} channels"):
        while sum((await client.execute("PUBSUB", "NUMSUB", *names, retry=True))[1::2]) != count:
            await asyncio.sleep(0.005)


async def test_a_change_is_told_once_until_the_answer_is_made_anew(
    cache: Cache, watch: TagWatch, client: Client
) -> None:
    """A hundred writes between two readings are one call; a write to a tag that nobody follows is none."""
    reader = Reader(cache, watch, ["a", "b"])
    await reader.read()
    await listened(client, 2, "a", "b")
    async with cache.invalidating("a", "b"):
        pass
    await reader.heard()
    for _ in range(100):
        await cache.invalidate("a")
    await cache.invalidate("other")
    await client.execute("PING")
    assert reader.calls == 1
    await reader.read()
    async with cache.invalidating("b"):
        pass
    await reader.heard()


async def test_a_write_that_meets_the_reading_is_told(cache: Cache, watch: TagWatch) -> None:
    """What changes after an answer read it, and before its tags are followed, is found by comparing."""
    reader = Reader(cache, watch, ["a"])
    reader.watched.arm()
    with observing() as seen:
        await cache.get("a", reader.truth.load("a"), tags=["a"])
    await cache.invalidate("a")
    reader.watched.made(seen.tags, seen.stamp)
    await reader.heard()


async def test_what_changed_while_the_connection_was_lost_is_told(
    cache: Cache, watch: TagWatch, client: Client
) -> None:
    """After the pub/sub connection was cut, a change that was announced to nobody is found."""
    reader = Reader(cache, watch, ["a"])
    for _ in range(5):
        await reader.read()
        await listened(client, 1, "a")
        await client.execute("CLIENT", "KILL", "TYPE", "pubsub", retry=False)
        await cache.invalidate("a")
        await reader.heard()


async def test_a_hold_that_expired_is_found(client: Client) -> None:
    """A writer that dies announces nothing: the comparison finds that its hold is gone."""
    cache = Cache(client, beta=0, hold=0.05)
    watch = TagWatch(client, cache.generations, check_every=0.02)
    reader = Reader(cache, watch, ["a"])
    await reader.read()
    await cache.generations._place(["a"], "dead")
    await reader.heard()
    await reader.read()
    assert reader.watched.tags == ("a",)
    await watch.close()
    await cache.close()


async def test_an_answer_made_while_a_writer_was_at_work_is_told_of_its_end(cache: Cache, watch: TagWatch) -> None:
    """Its tags are known although it is not certain; the writer's release is a change."""
    reader = Reader(cache, watch, ["a"])
    async with cache.invalidating("a"):
        await reader.read()
        assert (reader.watched.tags, reader.watched.stamp) == (("a",), None)
    await reader.heard()


async def test_nothing_is_followed_after_the_last_has_left(cache: Cache, watch: TagWatch, client: Client) -> None:
    """The channels of tags are left with the last answer that was made of them."""
    one, two = Reader(cache, watch, ["a", "b"]), Reader(cache, watch, ["b", "c"])
    await one.read()
    await two.read()
    await listened(client, 3, "a", "b", "c")
    one.watched.leave()
    await listened(client, 2, "a", "b", "c")
    two.keys = ["c"]
    await two.read()
    await listened(client, 1, "a", "b", "c")
    two.watched.leave()
    await listened(client, 0, "a", "b", "c")
    assert len(watch) == 0


async def test_tags_of_all_nodes_are_announced(cluster: ValkeyCluster) -> None:
    """In a cluster the announcement of a tag goes by the node that holds it."""
    keys = [f"k{i}" for i in range(12)]
    async with open_client(cluster.url) as one, open_client(cluster.url) as two:
        writer, cache = Cache(one, beta=0), Cache(two, beta=0)
        watch = TagWatch(two, cache.generations, check_every=3600)
        readers = [Reader(cache, watch, [key]) for key in keys]
        for reader in readers:
            await reader.read()
        assert watch._listener is not None
        await until(lambda: len(watch._listener.live) == len(keys))  # pyright: ignore[reportOptionalMemberAccess]
        before = announced()
        async with writer.invalidating(*keys):
            pass
        await until(lambda: announced() >= before + len(keys))
        for reader in readers:
            await reader.heard()
        await watch.close()
        await writer.close()
        await cache.close()
