"""Servers that announce addresses at which nobody reaches them, as behind NAT or in containers: `address_map`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from graph.cli.permissions import missing
from graph.patterns.client import RedisUnavailable, command, open_client
from graph.patterns.client.cluster import slot_of
from graph.patterns.client.connection import Address, Dialer
from harness.valkey import SentinelSet, ValkeyCluster, free_port
from harness.waiting import eventually, within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.valkey import ValkeyServer

NOWHERE = "192.0.2.1"  # TEST-NET-1: no such host


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """A cluster that tells its clients ports at which nobody listens."""
    with ValkeyCluster() as running:
        for node in running.nodes:
            node.command("CONFIG", "SET", "cluster-announce-port", free_port())
        for node in running.nodes:
            eventually(lambda node=node: not announced(node) & {one.port for one in running.nodes})
        yield running


def announced(node: ValkeyServer) -> set[int]:
    """The ports of all nodes, as `node` tells them."""
    return {int(found[2][1]) for found in node.command("CLUSTER", "SLOTS")}


def port_of(node: ValkeyServer) -> int:
    """The port that `node` announces."""
    return int(node.command("CONFIG", "GET", "cluster-announce-port")[b"cluster-announce-port"])


def mapped(cluster: ValkeyCluster) -> str:
    """The URL with a map from what is announced to what listens."""
    pairs = (f"127.0.0.1:{port_of(node)}=127.0.0.1:{node.port}" for node in cluster.nodes)
    return f"{cluster.url}?address_map={','.join(pairs)}"


async def test_nodes_are_reached_where_the_map_says(cluster: ValkeyCluster) -> None:
    """Keys of all nodes, messages, and a slot that moves to another one while the client knows the old one."""
    async with open_client(mapped(cluster)) as client:
        assert client.connected
        assert await client.batch(*(command("SET", f"k{n}", n) for n in range(30))) == [b"OK"] * 30
        heard: list[bytes] = []
        listener = client.listen(lambda _, payload: heard.append(payload), lambda _: None, lambda _: None)
        await listener.subscribe("{k1}:news")
        await client.execute("SPUBLISH", "{k1}:news", "hello", retry=False)
        await within_heard(heard)
        slot = slot_of("k1")
        source = next(node for node in cluster.nodes if node.command("CLUSTER", "COUNTKEYSINSLOT", slot))
        target = next(node for node in cluster.nodes if node is not source)
        target.command("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.node_id(source))
        source.command("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.node_id(target))
        assert await client.execute("SET", "{k1}:new", "asked") == b"OK"  # ASK
        while keys := source.command("CLUSTER", "GETKEYSINSLOT", slot, 100):
            source.command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
        for node in (target, *(one for one in cluster.nodes if one is not target)):
            node.command("CLUSTER", "SETSLOT", slot, "NODE", cluster.node_id(target))
        assert await client.mget(["k1", "{k1}:new"]) == [b"1", b"asked"]  # MOVED
    assert await missing(mapped(cluster), "graph") == []


async def within_heard(heard: list[bytes]) -> None:
    """Wait for the message."""
    async with within("the message"):
        while heard != [b"hello"]:
            await asyncio.sleep(0.01)


async def test_without_a_map_the_nodes_are_not_reached(cluster: ValkeyCluster) -> None:
    """That shows that the map is what leads there; the doctor says which node it cannot ask, and what to do."""
    async with open_client(cluster.url) as client:
        assert not client.connected
        with pytest.raises(RedisUnavailable):
            await client.execute("GET", "k1")
    found = await missing(cluster.url, "graph")
    assert {one.what for one in found} == {"reach"}
    assert {one.server for one in found} == {f"127.0.0.1:{port_of(node)}" for node in cluster.nodes}


async def test_what_sentinels_announce_is_mapped() -> None:
    """A primary and Sentinels that are known to the others by names which mean nothing here."""
    with SentinelSet(3) as servers:
        first, *others = servers.ports
        dead = {port: free_port() for port in (*others, servers.primary.port)}
        pairs = ",".join(f"{NOWHERE}:{elsewhere}=127.0.0.1:{port}" for port, elsewhere in dead.items())
        # Sentinels cannot be told to announce what is wrong without losing each other: the URL says it in their place.
        hosts = ",".join([f"127.0.0.1:{first}", *(f"{NOWHERE}:{dead[port]}" for port in others)])
        async with open_client(f"redis+sentinel://{hosts}/main?address_map={pairs}") as client:
            assert await client.execute("SET", "k", "v") == b"OK"
        assert servers.primary.command("GET", "k") == b"v"


def test_a_map_is_read() -> None:
    """Ports may be left out on either side; what is no map is refused with a sentence."""
    dialer = Dialer("redis+cluster://a:1?address_map=10.0.0.1:6379=x:7001,10.0.0.2=y,10.0.0.3:1=[::1]:5")
    assert dialer.reach(Address("10.0.0.1", 6379)) == ("x", 7001)
    assert dialer.reach(Address("10.0.0.1", 6380)) == ("10.0.0.1", 6380)
    assert dialer.reach(Address("10.0.0.2", 9)) == ("y", 9)
    assert dialer.reach(Address("10.0.0.3", 1)) == ("::1", 5)
    for text in ("10.0.0.1", "=x", "10.0.0.1=", "a=b,"):
        with pytest.raises(ValueError, match="address_map is"):
            Dialer(f"redis://a:1?address_map={text}")
