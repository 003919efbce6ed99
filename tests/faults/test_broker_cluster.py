"""The broker on a real cluster: sharded pub/sub, a node that dies, a slot that moves."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from graph.patterns.broker import Broker, Topic
from graph.patterns.broker.topic import TopicKeys
from graph.patterns.client import RedisUnavailable, open_client
from graph.patterns.client.cluster import slot_of
from harness.valkey import ValkeyCluster
from harness.waiting import within

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graph.patterns.broker import Event, Subscription
    from harness.valkey import ValkeyServer


@pytest.fixture(scope="module")
def cluster() -> Iterator[ValkeyCluster]:
    """One cluster for the tests of this file."""
    with ValkeyCluster() as running:
        yield running


def slot(topic: Topic) -> int:
    """Where a topic lives."""
    return slot_of(TopicKeys.of("graph", topic).history)


def topics_of(cluster: ValkeyCluster, name: str) -> dict[int, Topic]:
    """A topic on each node, by the node's port."""
    found: dict[int, Topic] = {}
    for n in range(100):
        topic = Topic(f"{name}:{n}")
        found.setdefault(cluster.owner(slot(topic)).port, topic)
    assert len(found) == 3
    return found


async def take(events: Subscription, count: int) -> list[Event]:
    """The next events."""
    async with within(f"{count} events"):
        return [await anext(events) for _ in range(count)]


async def publish(broker: Broker, topic: Topic, data: int) -> None:
    """Publish, as soon as the node is there."""
    async with within(f"{topic} to be published to"):
        while True:
            with contextlib.suppress(RedisUnavailable):
                await broker.publish(topic, data)
                return
            await asyncio.sleep(0.02)


async def test_topics_on_all_nodes(cluster: ValkeyCluster) -> None:
    """Each is published, followed and resumed where it lives; publisher and subscriber are different clients."""
    async with (
        open_client(cluster.url) as one,
        open_client(cluster.url) as two,
        Broker(one) as publisher,
        Broker(two, check_every=3600) as subscriber,
    ):
        for topic in topics_of(cluster, "all").values():
            async with subscriber.subscribe(topic) as events:
                for n in range(50):
                    await publisher.publish(topic, n)
                got = await take(events, 50)
                assert [event.data for event in got] == list(range(50))
            async with subscriber.subscribe(topic, after=got[9].cursor) as events:
                assert [event.data for event in await take(events, 40)] == list(range(10, 50))


async def test_a_node_that_dies_is_a_gap_for_its_topics_alone(cluster: ValkeyCluster) -> None:
    """Its topics report that events may be lost and go on when it is back; the others do not notice."""
    topics = topics_of(cluster, "dies")
    node: ValkeyServer = cluster.nodes[1]
    mine, other = topics[node.port], topics[cluster.nodes[2].port]
    async with (
        open_client(cluster.url) as client,
        Broker(client, check_every=0.5) as broker,
        broker.subscribe(mine) as hit,
        broker.subscribe(other) as spared,
    ):
        await broker.publish(mine, 1)
        assert [event.data for event in await take(hit, 1)] == [1]
        node.kill()
        await broker.publish(other, 1)
        await asyncio.to_thread(node.start)
        await publish(broker, mine, 2)
        await broker.publish(other, 2)
        seen = await take(hit, 1)
        if seen[0].data is None:
            seen += await take(hit, 1)
        assert seen[0].gap
        assert seen[-1].data == 2
        calm = await take(spared, 2)
        assert [(event.data, event.gap) for event in calm] == [(1, False), (2, False)]


async def test_a_topic_that_moves_to_another_node(cluster: ValkeyCluster) -> None:
    """While its slot moves under the load nothing is lost or comes twice; the new server process is one gap."""
    topic = topics_of(cluster, "moves")[cluster.nodes[2].port]
    target = cluster.nodes[0]
    sent = 0
    async with open_client(cluster.url) as client, Broker(client, check_every=0.5) as broker:

        async def load() -> None:
            nonlocal sent
            while True:
                await publish(broker, topic, sent)
                sent += 1
                await asyncio.sleep(0.002)

        async with broker.subscribe(topic, patient=True) as events:
            publishing = asyncio.create_task(load())
            await take(events, 20)
            cluster.begin_migration(slot(topic), target)
            await asyncio.to_thread(cluster.move_keys, slot(topic), target)
            cluster.end_migration(slot(topic), target)
            mark = sent
            got: list[Event] = []
            async with within("the events that came after the move"):
                while not got or got[-1].data is None or got[-1].data < mark + 20:
                    got.append(await anext(events))
            publishing.cancel()
    numbers = [event.data for event in got if event.data is not None]
    assert numbers == list(range(20, numbers[-1] + 1))
    assert sum(event.gap for event in got) <= 1
