"""The cache on a cluster, where an entry and the generations of its tags live on different nodes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
import redis

from graph.patterns.cache import ByteCache, Cache, Made
from graph.patterns.client import command, open_client
from graph.patterns.client.cluster import slot_of
from harness.valkey import ValkeyCluster
from harness.waiting import eventually, within
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.valkey import ValkeyServer


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """One cluster for the tests of this file."""
    with ValkeyCluster() as running:
        yield running


def tags_of(key: str) -> Sequence[str]:
    """Tags in many slots."""
    return (key, f"group:{len(key)}", "all")


def _restored(node: ValkeyServer, key: str, value: bytes) -> bool:
    with contextlib.suppress(redis.RedisError):  # the cluster is down until its nodes have found each other again
        return bool(node.command("SET", key, value, "EX", 100))
    return False


async def test_values_are_shared_and_outdated_across_nodes(cluster: ValkeyCluster) -> None:
    """Entries and generations spread over all nodes: found in one trip, and gone once a write is acknowledged."""
    truth = Truth()
    keys = [f"k{i}" for i in range(40)]
    truth.versions.update(dict.fromkeys(keys, 1))
    async with open_client(cluster.url) as one, open_client(cluster.url) as two:
        writer, reader = Cache(one, beta=0), Cache(two, beta=0)
        for cache in (writer, reader, reader):
            found = await cache.get_many(keys, truth.load_many, tags=tags_of)
            assert found == {key: {"version": 1} for key in keys}
            await one.execute("PING")
        assert len(truth.loads) == 1
        async with writer.invalidating("k7", "group:2"):
            truth.versions["k7"] = 2
        assert (await reader.get_many(keys, truth.load_many, tags=tags_of))["k7"] == {"version": 2}
        assert set(truth.loads[1]) == set(keys[:10])
        async with writer.invalidating("all"):
            pass
        await reader.get_many(keys, truth.load_many, tags=tags_of)
        assert len(truth.loads) == 3
        await writer.close()
        await reader.close()


async def test_a_node_that_forgot_an_invalidation_brings_nothing_old_back() -> None:
    """A generation as it was before an acknowledged write, on a node that was restarted, agrees with no entry."""
    truth = Truth()
    truth.versions["k"] = 1
    with ValkeyCluster() as cluster:
        home = cluster.owner(slot_of("{k}"))
        tag = next(name for name in map(str, range(99)) if cluster.owner(slot_of(f"{{{name}}}")) is not home)
        node, key = cluster.owner(slot_of(f"{{{tag}}}")), f"graph:tag:{{{tag}}}"
        async with open_client(cluster.url) as client:
            cache = Cache(client, l1_bytes=0, beta=0)
            assert await cache.get("k", truth.load("k"), tags=[tag]) == {"version": 1}
            await client.execute("GET", "{k}")  # the fill has arrived
            before = await client.execute("GET", key)
            async with cache.invalidating(tag):
                truth.versions["k"] = 2
            node.kill()
            node.start()
            eventually(lambda: _restored(node, key, before))
            for _ in range(3):
                assert await cache.get("k", truth.load("k"), tags=[tag]) == {"version": 2}
            async with within("the node to be back with its old generation"):
                while await client.batch(command("GET", key)) != [before]:
                    await asyncio.sleep(0.02)
            assert await cache.get("k", truth.load("k"), tags=[tag]) == {"version": 2}
            await cache.close()


async def test_a_lease_comes_with_the_look(cluster: ValkeyCluster) -> None:
    """With the generations of tags on other nodes; what is made under it is found by another process."""
    async with open_client(cluster.url) as one, open_client(cluster.url) as two:
        cache = Cache(one, beta=0)
        here, there = (ByteCache(client, cache.generations, beta=0, lease=60) for client in (one, two))
        truth = Truth()
        truth.versions["shown"] = 1

        async def make() -> Made:
            truth.versions["made"] = truth.versions.get("made", 0) + 1
            value = await cache.get("shown", truth.load("shown"), tags=["shown", "all"])
            return Made(str(value).encode(), 60)

        for number in range(4):
            key = f"leased {number}"
            look = here.claim(key, "kind")
            assert look is not None
            assert len(look.commands) == (1 if number < 2 else 3)
            granted = here.granted(look, await one.batch(*look.commands))
            assert granted is not None
            assert set(granted.foreseen) == (set() if number < 2 else {"shown", "all"})
            assert None not in granted.foreseen.values()
            assert await here.bring(key, make, public=True, kind="kind", granted=granted) is None
            hit = await there.bring(key, make, public=True)
            assert hit is not None
            assert hit.body == b"{'version': 1}"
        assert truth.versions["made"] == 4
        await cache.invalidate("all")
        assert await there.again("leased 3") is None
        for answers in (here, there):
            await answers.close()
        await cache.close()
