"""The broker in schedules that chance makes: publishers, subscribers and losses between any two steps, and a model."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

import pytest

from graph.patterns.broker import Broker, Delivery, Position, SlowConsumer, Topic
from graph.patterns.broker.topic import TopicKeys
from graph.patterns.client import RedisUnavailable
from tests.support import schedules
from tests.support.chance import Chance, Delayed
from tests.support.models.deliveries import Sequel, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.patterns.broker import Event, Subscription
    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

PREFIX = "schedules"
TOPICS = (
    Topic("s:every"),
    Topic("s:short", max_length=3),
    Topic("s:latest", Delivery.LATEST),
    Topic("s:short-log", max_length=5, sourced=True),
    Topic("s:log", sourced=True),
)


class Published:
    """A topic, where its events come from, and the cursors that were given out."""

    def __init__(self, topic: Topic, chance: Chance) -> None:
        self.topic = topic
        self.told = Told(topic)
        self.cursors: list[tuple[str, int, int]] = []
        self._chance = chance
        self.renamed = 0
        self._log = list[int]()
        self._first = 0

    async def publish(self, through: Sequence[Broker]) -> None:
        """Publish an event, or a few."""
        if not self.topic.sourced:
            number = self.told.begin()
            with contextlib.suppress(RedisUnavailable):
                self.told.certain[number] = await self._chance.random.choice(through).publish(self.topic, number)
            return
        if self._chance.happens(0.02):
            self._log, self._first = [], 0
            self.renamed += 1
        if self._chance.happens(0.02):  # of a durable log, too, only the newest may be kept
            self._first = max(self._first, len(self._log) - 20)
        for _ in range(self._chance.random.randint(1, 6)):
            number = self.told.begin()
            self.told.certain[number] = None
            self._log.append(number)
        await asyncio.gather(*(self.bring(one) for one in through if not self._chance.happens(0.3)))

    async def bring(self, through: Broker) -> None:
        """Publish what the topic does not have yet, as `graph.catalog.outbox` does."""
        if not self.topic.sourced:
            return
        log, name, first = self._log, f"log{self.renamed}", self._first
        with contextlib.suppress(RedisUnavailable):
            end = await through.end(self.topic)
            known, done = end.nonce == name, end.offset if end.nonce == name else 0
            while done < len(log):
                start = max(done, first) if known else first
                piece = log[start : start + self._chance.random.randint(1, 5)]
                newest = await through.append(
                    self.topic, piece, log=name, first=start + 1, previous=done if known else start, begin=not known
                )
                if newest <= done:
                    return
                known, done = True, newest


class Follower:
    """Subscribes, resumes, takes its time, gives up waiting, leaves and comes again; in the end it stays."""

    def __init__(self, published: Published, brokers: Sequence[Broker], chance: Chance) -> None:
        self._published = published
        self._brokers = brokers
        self._chance = chance
        self._stays: int | None = None  # until an event of this number or a later one
        self._next: tuple[str, int, int] | None = None
        self.faults: list[str] = []
        self.taken = 0

    def stay(self) -> None:
        """Leave no more, and end with the first event that is published from now on."""
        self._stays = self._published.told.count

    async def follow(self) -> None:
        chance, published = self._chance, self._published
        while True:
            begin = self._next
            if begin is None and published.cursors and chance.happens(0.7):
                begin = chance.random.choice(published.cursors)
            after = None if begin is None else begin[0]
            through = chance.random.choice(self._brokers)
            with contextlib.suppress(RedisUnavailable):
                async with through.subscribe(published.topic, after, patient=chance.random.random() < 0.5) as events:
                    told = published.told
                    _, last, excused = begin or ("", -1, told.count)
                    sequel = Sequel(told, Position.parse(after) if after else events.position, last, excused)
                    try:
                        if await self._take(events, sequel):
                            return
                    except SlowConsumer as slow:
                        self._next = (slow.cursor, sequel.last, sequel.excused)
                    finally:
                        self.faults += [f"{published.topic.name} after {begin}: {fault}" for fault in sequel.faults]
            await chance.pause()
            await asyncio.sleep(0)

    async def _take(self, events: Subscription, sequel: Sequel) -> bool:
        chance = self._chance
        while True:
            if chance.happens(0.03) and self._stays is None:
                self._next = None
                return False
            await chance.pause()
            event = await self._next_of(events)
            if event is None:
                continue
            sequel.take(event)
            self.taken += 1
            self._next = (event.cursor, sequel.last, sequel.excused)
            self._published.cursors.append(self._next)
            if self._stays is not None and sequel.last >= self._stays:
                return True

    async def _next_of(self, events: Subscription) -> Event | None:
        if not self._chance.happens(0.15):
            return await anext(events)
        taking = asyncio.create_task(anext(events))
        await self._chance.pause()
        if not taking.done():
            taking.cancel()
        await asyncio.wait([taking])
        return None if taking.cancelled() else taking.result()


async def lose(server: ValkeyServer, topics: Sequence[Published], chance: Chance) -> None:
    """Something is lost at the server, or cut off from it; or the server dies and comes back with what is on disk."""
    if chance.happens(0.05) and not any(one.renamed for one in topics):  # what is on disk may be of another log, again
        server.kill()
        await chance.pause()
        await asyncio.to_thread(server.start)
        return
    keys = TopicKeys.of(PREFIX, chance.random.choice(topics).topic)
    losses: list[tuple[str, ...]] = [
        ("FLUSHALL",),
        ("FLUSHALL",),
        ("SCRIPT", "FLUSH"),
        ("CLIENT", "KILL", "TYPE", "PUBSUB"),
        ("CLIENT", "KILL", "TYPE", "PUBSUB"),
        ("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES"),
        ("DEL", keys.history),
        ("DEL", keys.state),
    ]
    await asyncio.to_thread(server.command, *chance.random.choice(losses))


async def schedule(seed: int, server: ValkeyServer, clients: Sequence[Client]) -> tuple[list[str], int]:
    """One schedule: what was wrong in it, and how many events were taken."""
    chance = Chance(seed)
    await asyncio.to_thread(server.command, "FLUSHALL")
    topics = [Published(topic, chance) for topic in TOPICS if chance.happens(0.4)] or [Published(TOPICS[-1], chance)]
    delayed = [Delayed(client, chance) for client in clients]
    async with contextlib.AsyncExitStack() as stack:
        brokers = [
            await stack.enter_async_context(
                Broker(cast("Any", one), prefix=PREFIX, queue=chance.random.choice((1, 3, 8)), check_every=0.01)
            )
            for one in delayed
        ]
        followers = [
            Follower(chance.random.choice(topics), brokers, chance) for _ in range(chance.random.randint(1, 6))
        ]
        following = [asyncio.create_task(one.follow()) for one in followers]
        for _ in range(chance.random.randint(10, 60)):
            await chance.random.choice(topics).publish(brokers)
            if chance.happens(0.1):
                await lose(server, topics, chance)
            if chance.happens(0.1):
                await asyncio.gather(*(topic.bring(through) for topic in topics for through in brokers))
            await chance.pause()

        async def publish() -> None:
            for topic in topics:
                await topic.publish(brokers)
                await topic.bring(brokers[0])

        found = await schedules.end(chance, followers, following, publish)
        for one in delayed:
            one.stop()
    return found


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schedule has many pauses, pages and full rooms."""
    schedules.hasten(monkeypatch)


@pytest.mark.usefixtures("hasty")
async def test_no_schedule_has_a_silent_gap(scaled: Callable[[int, int], int]) -> None:
    """Whatever is lost, late or given up, each subscriber has every event once and in order, or is told of a gap."""
    await schedules.check(schedule, scaled(500, 8), processes=3)
