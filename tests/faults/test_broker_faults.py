"""The broker while Redis is killed, paused and cut off: no event is missed in silence, none comes twice or early."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import pairwise
from typing import TYPE_CHECKING

from graph.patterns.broker import Broker, Topic
from graph.patterns.client import RedisUnavailable, open_client
from harness.valkey import ValkeyServer
from harness.waiting import until, within

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.patterns.broker import Event, Position
    from graph.patterns.client import Client

TOPIC = Topic("test:faults")
TICK = 0.02


class Load:
    """Events 1, 2, 3… published at a steady rate, and subscribers that note what they get."""

    def __init__(self, client: Client, subscribers: int, rate: int) -> None:
        self.broker = Broker(client, check_every=1)
        self.acknowledged: dict[int, Position] = {}
        self.seen: list[list[Event]] = [[] for _ in range(subscribers)]
        self.latest = [0] * subscribers
        self._each = max(1, round(rate * TICK))
        self._sent = 0

    async def run(self, faults: Callable[[Load], Awaitable[None]]) -> None:
        """Publish and subscribe while `faults` happen, then until everything has arrived."""
        async with self.broker, asyncio.TaskGroup() as group:
            opened = [asyncio.Event() for _ in self.seen]
            following = [group.create_task(self._follow(n, event)) for n, event in enumerate(opened)]
            for event in opened:
                await event.wait()
            publishing = group.create_task(self._publish())
            await faults(self)
            publishing.cancel()
            await self._publish_one()
            await self.resumed()
            for task in following:
                task.cancel()

    async def resumed(self) -> None:
        """Wait until every subscriber has an event published from now on."""
        mark = self._sent
        async with within("every subscriber to be told of something new"):
            while min(self.latest) <= mark:
                if self._sent == mark:
                    await self._publish_one()
                await asyncio.sleep(0.005)

    async def _publish(self) -> None:
        while True:
            next_tick = asyncio.get_running_loop().time() + TICK
            await asyncio.gather(*(self._publish_one() for _ in range(self._each)))
            await asyncio.sleep(max(0.0, next_tick - asyncio.get_running_loop().time()))

    async def _publish_one(self) -> None:
        self._sent += 1
        n = self._sent
        with contextlib.suppress(RedisUnavailable):
            self.acknowledged[n] = await self.broker.publish(TOPIC, n)

    async def _follow(self, number: int, opened: asyncio.Event) -> None:
        notes = self.seen[number]
        async with self.broker.subscribe(TOPIC) as events:
            opened.set()
            async for event in events:
                notes.append(event)
                if event.data is not None:
                    self.latest[number] = event.data

    def judge(self) -> tuple[int, int, int]:
        """How many gaps went unreported, how many events came twice or out of order, and how many gaps were reported.

        Two events in a row are either neighbours of one epoch, or the second one tells of a gap. An event that was
        acknowledged and never came lies in a gap that was told of.
        """
        missed = twice_or_early = reported = 0
        for notes in self.seen:
            assert notes
            data = [event.data for event in notes if event.data is not None]
            twice_or_early += len(data) - len(set(data))
            for before, event in pairwise(notes):
                reported += event.gap
                a, b = before.position, event.position
                if b.same_epoch(a):
                    twice_or_early += b.offset <= a.offset
                    missed += b.offset > a.offset + 1 and not event.gap
                else:
                    missed += not event.gap
            missed += self._unexcused(notes, set(data))
        return missed, twice_or_early, reported

    def _unexcused(self, notes: list[Event], got: set[int]) -> int:
        last = {event.position.run: place for place, event in enumerate(notes)}
        count = 0
        for n, position in self.acknowledged.items():
            if n in got:
                continue
            after = last.get(position.run, -1) + 1
            count += after == 0 or after >= len(notes) or not notes[after].gap
        return count


async def test_killed(scaled: Callable[[int, int], int]) -> None:
    """Redis is killed with acknowledged events not yet on disk: what was lost is reported, delivery goes on."""

    async def faults(load: Load) -> None:
        for _ in range(scaled(8, 1)):
            await asyncio.sleep(1.5)
            await until(lambda: len(load.acknowledged) > 500)  # a slow machine needs longer
            server.kill()
            await asyncio.sleep(0.1)
            await asyncio.to_thread(server.start)
            await load.resumed()

    options = {"appendfsync": "everysec"}
    with ValkeyServer(aof=True, options=options) as server:
        async with open_client(server.url) as client:
            load = Load(client, scaled(100, 20), scaled(1000, 500))
            await load.run(faults)
    missed, twice_or_early, reported = load.judge()
    assert (missed, twice_or_early) == (0, 0)
    assert reported >= len(load.seen)


async def test_an_offset_handed_out_again_is_a_gap() -> None:
    """A server that went back to an older state reuses offsets: who saw the first use, and who did not, is told."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client, Broker(client, check_every=3600) as broker:
            old = await broker.publish(TOPIC, "old")
            await client.execute("SAVE", retry=False)
            async with broker.subscribe(TOPIC) as events:
                lost = await broker.publish(TOPIC, "lost")
                assert (await anext(events)).data == "lost"
                server.kill()
                await asyncio.to_thread(server.start)
                while True:
                    with contextlib.suppress(RedisUnavailable):
                        again = await broker.publish(TOPIC, "again")
                        break
                    await asyncio.sleep(0.01)
                assert again.offset == lost.offset
                async with within("the event at the offset that was handed out again"):
                    event = await anext(events)
                    gap = event.gap
                    while event.data is None:
                        event = await anext(events)
                assert (event.data, gap) == ("again", True)
            async with within("the event after the cursor"), broker.subscribe(TOPIC, after=str(old)) as events:
                event = await anext(events)
                assert (event.data, event.gap) == ("again", True)


async def test_paused(scaled: Callable[[int, int], int]) -> None:
    """Redis is stopped and goes on; longer than any deadline, too. The same server process lost nothing: no gap."""

    async def faults(load: Load) -> None:
        for seconds in (0.5, 2.0, 9.0)[: scaled(3, 1)]:
            await asyncio.sleep(0.3)
            server.pause()
            await asyncio.sleep(seconds)
            server.resume()
            await load.resumed()

    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            load = Load(client, scaled(100, 20), scaled(1000, 500))
            await load.run(faults)
    assert load.judge() == (0, 0, 0)


async def test_cut_off(scaled: Callable[[int, int], int]) -> None:
    """The connections are cut again and again, pub/sub alone or all: the histories heal it all, without a gap."""

    async def faults(load: Load) -> None:
        async with open_client(server.url) as killer:
            for n in range(scaled(100, 8)):
                await asyncio.sleep(0.1)
                await killer.execute("CLIENT", "KILL", "TYPE", "PUBSUB", retry=False)
                if n % 4 == 3:
                    await killer.execute("CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES", retry=False)
            await load.resumed()

    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            load = Load(client, scaled(100, 20), scaled(1000, 500))
            await load.run(faults)
    assert load.judge() == (0, 0, 0)
