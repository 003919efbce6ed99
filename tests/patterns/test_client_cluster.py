from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from graph.patterns.client import RedisRefused, RedisUnavailable, command, open_client
from graph.patterns.client.cluster import slot_of
from graph.patterns.client.traffic import TRAFFIC
from harness.valkey import ValkeyCluster
from harness.waiting import eventually, until, within
from tests.support.engines.inline import Inline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

_ONE = Inline("return redis.call('INCR', KEYS[1])")
_COUNT = Inline("redis.call('INCR', KEYS[2]) return redis.call('INCR', KEYS[1])")


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """One cluster for the tests of this file."""
    with ValkeyCluster() as running:
        yield running


@pytest.fixture
async def spread(cluster: ValkeyCluster) -> AsyncIterator[Client]:
    """A client of the empty cluster, which has got over what the test before did to it."""
    await asyncio.to_thread(cluster.settle)
    for node in cluster.nodes:
        node.command("FLUSHALL")
        node.command("SCRIPT", "FLUSH")
    async with open_client(cluster.url) as client:
        yield client


def _elsewhere(cluster: ValkeyCluster, slot: int) -> ValkeyServer:
    owner = cluster.owner(slot)
    return next(node for node in cluster.nodes if node is not owner)


async def test_a_batch_is_divided_among_the_nodes(spread: Client) -> None:
    """Commands reach the nodes of their keys, replies come in order, and each knows the process it came from."""
    assert spread.clustered
    assert spread.connected
    assert await spread.batch(*(command("SET", f"k{n}", n) for n in range(30))) == [b"OK"] * 30
    replies = await spread.batch(*(command("GET", f"k{n}") for n in range(30)))
    assert replies == [str(n).encode() for n in range(30)]
    assert len({replies.run_id_of(n) for n in range(30)}) == 3
    assert replies.run_id == replies.run_id_of(0)
    assert await spread.mget(["k3", "none", "k1", "k2"]) == [b"3", None, b"1", b"2"]
    assert await spread.batch(*(_COUNT([f"{{{n}}}:a", f"{{{n}}}:b"]) for n in range(10))) == [1] * 10


async def test_the_keys_of_all_nodes_are_found(spread: Client) -> None:
    """Each that matches, and no other."""
    await spread.batch(*(command("SET", f"{name}:{n}", n) for n in range(300) for name in ("a", "b")))
    found = {key async for keys in spread.scan("a:*", count=20) for key in keys}
    assert found == {f"a:{n}".encode() for n in range(300)}


async def test_a_cluster_is_recognised_behind_the_url_of_a_node(cluster: ValkeyCluster, spread: Client) -> None:
    """A plain redis:// URL of one node leads to all of them."""
    await spread.batch(command("SET", "a", 1), command("SET", "b", 2), command("SET", "c", 3))
    async with open_client(cluster.nodes[2].tcp_url) as client:
        assert client.clustered
        assert await client.mget(["a", "b", "c"]) == [b"1", b"2", b"3"]


async def test_a_cluster_that_tells_no_hosts_is_found_at_the_host_that_was_asked(
    cluster: ValkeyCluster, spread: Client
) -> None:
    """As behind a proxy: only the ports differ, in the slot map and in redirections."""
    for node in cluster.nodes:
        node.command("CONFIG", "SET", "cluster-preferred-endpoint-type", "unknown-endpoint")
    try:
        for url in (cluster.url, cluster.nodes[1].tcp_url):
            async with open_client(url) as client:
                assert await client.batch(*(command("SET", f"k{n}", n) for n in range(30))) == [b"OK"] * 30
        slot = slot_of("k1")
        target = _elsewhere(cluster, slot)
        cluster.begin_migration(slot, target)
        cluster.move_keys(slot, target)
        assert await spread.execute("GET", "k1") == b"1"
        cluster.end_migration(slot, target)
        assert await spread.execute("GET", "k1") == b"1"
    finally:
        for node in cluster.nodes:
            node.command("CONFIG", "SET", "cluster-preferred-endpoint-type", "ip")


async def test_a_slot_moves_under_load_and_no_command_notices(
    cluster: ValkeyCluster, spread: Client, scaled: Callable[[int, int], int]
) -> None:
    """While keys go to another node (ASK, TRYAGAIN, MOVED) every command succeeds and runs exactly once."""
    slot, stop = slot_of("{moving}"), asyncio.Event()

    async def worker(name: int) -> int:
        calls = 0
        while not stop.is_set():
            counted, told = await spread.batch(
                _COUNT([f"{{moving}}:{name}:{calls % 5}", f"{{moving}}:total:{name}"]), command("GET", f"other{name}")
            )
            assert (counted, told) == (calls // 5 + 1, None)
            assert await spread.mget([f"{{moving}}:total:{name}", "other"]) == [str(calls + 1).encode(), None]
            calls += 1
        return calls

    workers = [asyncio.create_task(worker(name)) for name in range(8)]
    for _ in range(scaled(3, 2)):
        target = _elsewhere(cluster, slot)
        for step in (cluster.begin_migration, cluster.move_keys, cluster.end_migration):
            await asyncio.to_thread(step, slot, target)
            await asyncio.sleep(0.05)
        await asyncio.to_thread(eventually, lambda target=target: cluster.owner(slot) is target)
    stop.set()
    calls = await asyncio.gather(*workers)
    assert min(calls) > 3
    assert await spread.mget([f"{{moving}}:total:{n}" for n in range(8)]) == [str(n).encode() for n in calls]


async def test_commands_of_a_slot_on_its_way_are_asked_of_the_other_node(
    cluster: ValkeyCluster, spread: Client
) -> None:
    """While a slot is on its way new keys are served at once (ASK); keys that are divided wait (TRYAGAIN)."""
    slot = slot_of("{way}")
    await spread.execute("SET", "{way}:old", 5)
    target = _elsewhere(cluster, slot)
    await asyncio.to_thread(cluster.begin_migration, slot, target)
    async with within("keys of the slot that is on its way"):
        assert await spread.run(_ONE, ["{way}:new"]) == 1
        assert await spread.execute("INCR", "{way}:old") == 6
    divided = asyncio.create_task(spread.run(_COUNT, ["{way}:old", "{way}:new"]))
    await asyncio.sleep(0.1)
    assert not divided.done()
    await asyncio.to_thread(cluster.move_keys, slot, target)
    assert await divided == 7
    await asyncio.to_thread(cluster.end_migration, slot, target)
    assert await spread.mget(["{way}:old", "{way}:new", "{way}:new2"]) == [b"7", b"2", None]


async def test_pubsub_follows_the_slot_of_its_channel(cluster: ValkeyCluster, spread: Client) -> None:
    """When a channel's slot goes to another node the owner hears down, then up, and messages arrive again."""
    heard: asyncio.Queue[tuple[str, object]] = asyncio.Queue()
    listener = spread.listen(
        lambda channel, data: heard.put_nowait((channel, data)),
        lambda channels: heard.put_nowait(("up", list(channels))),
        lambda channels: heard.put_nowait(("down", list(channels))),
    )
    await listener.subscribe("news")
    await spread.execute("SPUBLISH", "news", "one")
    assert [await heard.get() for _ in range(2)] == [("up", ["news"]), ("news", b"one")]
    slot = slot_of("news")
    target = _elsewhere(cluster, slot)
    for step in (cluster.begin_migration, cluster.move_keys, cluster.end_migration):
        await asyncio.to_thread(step, slot, target)
    async with within("the channel on its new node"):
        assert await heard.get() == ("down", ["news"])
        assert await heard.get() == ("up", ["news"])
        await spread.execute("SPUBLISH", "news", "two")
        assert await heard.get() == ("news", b"two")


async def test_durable_writes_go_to_the_node_of_their_key(spread: Client) -> None:
    """Each node has its own lane; without AOF the replies come at once."""
    replies = await asyncio.gather(*(spread.durable(command("INCR", f"n{n}")) for n in range(20)))
    assert replies == [1] * 20


async def test_a_dead_node_fails_only_its_own_slots(cluster: ValkeyCluster, spread: Client) -> None:
    """Commands for a killed node fail, the others of the same batch do not, and it is served again on its return."""
    dead = cluster.nodes[2]
    keys = [f"k{n}" for n in range(30)]
    owned = [cluster.owner(slot_of(key)) is dead for key in keys]
    dead.kill()
    while not any(isinstance(r, RedisUnavailable) for r in await spread.batch(*(command("GET", key) for key in keys))):
        await asyncio.sleep(0.01)
    replies = await spread.batch(*(command("GET", key) for key in keys))
    assert [isinstance(reply, RedisUnavailable) for reply in replies] == owned
    assert not spread.connected
    dead.start()
    await until(lambda: spread.connected)
    async with within("the slots of the node that is back"):
        while await spread.batch(*(command("GET", key) for key in keys)) != [None] * 30:
            await asyncio.sleep(0.01)


async def test_a_cluster_that_is_down_is_as_good_as_dead(cluster: ValkeyCluster, spread: Client) -> None:
    """A node that lacks another for all slots refuses at once after a first moment, and says why; it ends by itself."""
    first, *_, dead = cluster.nodes
    key = next(f"k{n}" for n in range(1_000) if cluster.owner(slot_of(f"k{n}")) is first)
    for node in cluster.nodes:
        node.command("CONFIG", "SET", "cluster-require-full-coverage", "yes")
    try:
        dead.kill()
        async with within("a refusal"):
            while not spread.refusal.startswith("CLUSTERDOWN"):
                await spread.batch(command("GET", key))
                await asyncio.sleep(0.01)
        retries = TRAFFIC.retries
        (reply,) = await spread.batch(command("GET", key))
        assert isinstance(reply, RedisRefused)
        assert TRAFFIC.retries == retries, "it is not tried again"
    finally:
        dead.start()
        for node in cluster.nodes:
            node.command("CONFIG", "SET", "cluster-require-full-coverage", "no")
    async with within("the end of it"):
        while spread.refusal or not spread.connected:
            await asyncio.sleep(0.01)
        while await spread.batch(command("GET", key)) != [None]:
            await asyncio.sleep(0.01)
