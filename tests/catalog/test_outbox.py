"""The outbox: every committed change is published once and in order, whatever is lost in between."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, insert, select, update

from graph.catalog import outbox as outbox_module
from graph.catalog.changes import ProductChange
from graph.catalog.keys import TOPIC
from graph.catalog.models import EVENT_LOG, EVENTS
from graph.catalog.outbox import Outbox
from graph.catalog.service import CatalogService
from graph.patterns.broker import Broker, Event, Topic
from graph.patterns.cache import Cache
from graph.patterns.client import RedisUnavailable, open_client
from harness.valkey import ValkeyServer
from harness.waiting import HANG, until, within
from tests.support.apps.products import START, add_categories, new
from tests.support.processes import event_writer, fork_server
from tests.support.processes.event_writer import note

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from graph.engines.database import Database
    from graph.patterns.broker import Subscription
    from graph.patterns.client import Client
    from tests.support.processes.forks import Fork


@pytest.fixture
async def broker(client: Client) -> AsyncIterator[Broker]:
    """A broker of an empty Redis."""
    async with Broker(client, check_every=0.2) as opened:
        yield opened


@pytest.fixture
def outbox(database: Database, broker: Broker, cache: Cache) -> Outbox:
    """An outbox that looks when it is told to."""
    return Outbox(database, broker, cache)


async def take(events: Subscription, count: int) -> list[Event]:
    """The next `count` events."""
    async with within(f"{count} events"):
        return [await anext(events) for _ in range(count)]


def products(events: list[Event]) -> list[int]:
    """Which products they tell of."""
    return [ProductChange.of(event).product_id for event in events]


async def test_changes_are_published_after_their_commit(
    database: Database, cache: Cache, broker: Broker, outbox: Outbox
) -> None:
    """Creating, moving and deleting a product tell kind, categories before and after, and time; nothing else does."""
    await add_categories(database, "books", "toys")
    async with outbox, broker.subscribe(TOPIC) as events:
        catalog = CatalogService(database, cache, committed=outbox.nudge)
        product = await catalog.create(new("A", category="books"))
        with pytest.raises(ZeroDivisionError):
            async with database.transaction() as session:
                await session.execute(insert(EVENTS).values(kind="UPDATED", product_id=99, at=START))
                raise ZeroDivisionError
        await catalog.update(product.id, {"category": "toys"})
        await catalog.update(product.id, {"category": "toys"})
        await catalog.delete(product.id)
        changes = [ProductChange.of(event) for event in await take(events, 3)]
    assert [(change.kind, change.product_id, change.categories) for change in changes] == [
        ("CREATED", product.id, {"books"}),
        ("UPDATED", product.id, {"books", "toys"}),
        ("DELETED", product.id, {"toys"}),
    ]
    assert await outbox.publish() == 0


async def test_what_a_dead_process_left_is_published(
    database: Database, broker: Broker, cache: Cache, outbox: Outbox
) -> None:
    """Rows that nobody published yet are published by whoever looks next, and only once."""
    await note(database, 1, 2, 3)
    async with broker.subscribe(TOPIC) as events:
        assert await outbox.publish() == 3
        assert await Outbox(database, broker, cache).publish() == 0
        assert products(await take(events, 3)) == [1, 2, 3]


class Driven(Outbox):
    """Looks when it is told to, and notes what it published."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.looks = 0
        self.published: list[int] = []
        self._told = asyncio.Semaphore(0)
        self._publishing = False

    async def look(self) -> None:
        """Let it look once, and wait until it is done and wants to look again."""
        await until(lambda: self.looks)
        before = self.looks
        self._told.release()
        await until(lambda: self.looks > before)

    async def _state(self) -> Any:
        if not self._publishing:
            self.looks += 1
            await self._told.acquire()
        return await super()._state()

    async def publish(self) -> int:
        self._publishing = True
        try:
            self.published.append(await super().publish())
        finally:
            self._publishing = False
        return self.published[-1]


async def test_who_looks_for_others_leaves_the_living_alone(database: Database, broker: Broker, cache: Cache) -> None:
    """What changed since the last look is another process's affair; what stands still is published for it."""
    idle, busy = Driven(database, broker, cache, every=0), Outbox(database, broker, cache)
    async with broker.subscribe(TOPIC) as events, idle:
        await idle.look()  # the one at the start, which publishes whatever there is
        for number in range(20):
            await note(database, number)
            await idle.look()
            await busy.publish()
        assert products(await take(events, 20)) == list(range(20))
        assert idle.published == [0]
        await note(database, 99)
        while len(idle.published) == 1:
            assert idle.looks < 25
            await idle.look()
        assert products(await take(events, 1)) == [99]


async def test_a_smaller_id_that_commits_later_is_not_overlooked(
    database: Database, broker: Broker, outbox: Outbox
) -> None:
    """A transaction that took its id first and committed last is published last."""
    async with broker.subscribe(TOPIC) as events:
        async with database.transaction() as session:
            await session.execute(insert(EVENTS).values(id=10, kind="UPDATED", product_id=10, at=START))
        await outbox.publish()
        async with database.transaction() as session:
            await session.execute(insert(EVENTS).values(id=9, kind="UPDATED", product_id=9, at=START))
        await outbox.publish()
        assert products(await take(events, 2)) == [10, 9]


async def test_an_emptied_redis_is_filled_again(
    client: Client, database: Database, broker: Broker, outbox: Outbox
) -> None:
    """After a flush a client resumes where it was: without a gap, an event missed, or one seen twice."""
    await note(database, 1, 2, 3)
    await outbox.publish()
    async with broker.subscribe(TOPIC) as events:
        await note(database, 4)
        await outbox.publish()
        cursor = (await take(events, 1))[0].cursor
        await client.execute("FLUSHALL", retry=False)
        await note(database, 5, 6)
        await outbox.publish()
        got = await take(events, 2)
        assert products(got) == [5, 6]
        assert not any(event.gap for event in got)
    async with broker.subscribe(TOPIC, after=cursor) as events:
        got = await take(events, 2)
        assert products(got) == [5, 6]
        assert not any(event.gap for event in got)


async def test_a_redis_that_lost_its_newest_events_gets_them_again(database: Database) -> None:
    """Killed with events that were not on disk yet, it is brought up to date, and nobody notices."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client, Broker(client, check_every=0.2) as broker:
            outbox = Outbox(database, broker, Cache(client))
            await note(database, 1, 2)
            await outbox.publish()
            await client.execute("SAVE", retry=False)
            async with broker.subscribe(TOPIC) as events:
                await note(database, 3, 4)
                await outbox.publish()
                assert products(await take(events, 2)) == [3, 4]
                server.kill()
                await note(database, 5)
                await asyncio.to_thread(server.start)
                while True:
                    try:
                        assert await outbox.publish() == 3
                        break
                    except RedisUnavailable:
                        await asyncio.sleep(0.02)
                got = await take(events, 1)
                assert (products(got), got[0].gap) == ([5], False)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_an_outage_is_told_once(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    """However often the outbox looks while Redis is away, the log has one line about it, and one when it is back."""
    caplog.set_level("INFO", logger="graph.catalog.outbox")
    looks = 0

    def told() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.name == "graph.catalog.outbox"]

    with ValkeyServer() as server:
        async with open_client(server.url) as client, Broker(client, check_every=0.2) as broker:
            end = broker.end

            async def looked(topic: Topic) -> Any:
                nonlocal looks
                looks += 1
                return await end(topic)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(broker, "end", looked)
                server.kill()
                async with Outbox(database, broker, Cache(client), every=0.001):
                    await until(lambda: looks > 5)
                    assert [line.partition(":")[0] for line in told()] == ["the outbox is waiting"]
                    server.start()
                    await until(lambda: len(told()) > 1)
            assert told()[1:] == ["the outbox goes on"]


@pytest.mark.parametrize("since", [1, 3])
async def test_a_database_that_went_back_is_another_log(
    database: Database, broker: Broker, outbox: Outbox, since: int
) -> None:
    """A restored backup gives positions out again, whether fewer or more than were lost: subscribers learn of a gap."""
    await note(database, 1, 2, 3)
    await outbox.publish()
    async with broker.subscribe(TOPIC) as events:
        async with database.transaction() as session:
            await session.execute(EVENTS.delete())
            await session.execute(update(EVENT_LOG).values(position=1))
        await note(database, *range(20, 20 + since))
        await outbox.publish()
        got = await take(events, since)
        assert products(got) == [*range(20, 20 + since)]
        assert [event.gap for event in got] == [True] + [False] * (since - 1)


async def test_only_the_newest_rows_are_kept(
    database: Database, broker: Broker, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table does not grow beyond what a topic's history holds and some slack."""
    monkeypatch.setattr(outbox_module, "_PAGE", 10)
    short = Topic("products", max_length=20, sourced=True)
    monkeypatch.setattr(outbox_module, "TOPIC", short)
    for n in range(10):
        await note(database, *range(n * 10, n * 10 + 10))
        await outbox.publish()
    async with database.session() as session:
        assert (await session.scalar(select(func.count()).select_from(EVENTS)) or 0) <= 40
    assert (await broker.end(short)).offset == 100


# --- many processes, some of which die ---


async def test_publishers_that_die_leave_no_event_behind(
    database: Database,
    broker: Broker,
    outbox: Outbox,
    valkey: ValkeyServer,
    *,
    tmp_path: Path,
    scaled: Callable[[int, int], int],
) -> None:
    """Processes that write and publish are killed anywhere; each committed event comes once, in one order for all."""
    rounds, each = scaled(20, 2), 400
    async with broker.subscribe(TOPIC, patient=True) as events:
        for turn in range(rounds):
            told = [tmp_path / f"{turn}-{n}" for n in range(2)]
            processes: list[Fork] = []
            try:
                for n, file in enumerate(told):
                    numbers = (str((turn * 2 + n) * each), str(each))
                    words = ("-m", event_writer.__name__, database.url, valkey.url, *numbers)
                    with file.open("wb") as out:
                        processes.append(fork_server.python(*words, out=out))
                await until(lambda told=told: all(file.read_bytes().endswith(b"\n") for file in told))
                assert [file.read_bytes() for file in told] == [b"up\n"] * 2
                async with within("each to have committed something"):
                    while not {turn * 2, turn * 2 + 1} <= {n // each for n in await written(database)}:
                        await asyncio.sleep(0.01)
                await asyncio.sleep(0.05 * (turn % 5))
            finally:
                for process in processes:
                    process.kill()  # nothing any more if it has written all, where this test was kept waiting
                    await asyncio.to_thread(process.wait, HANG)
        await outbox.publish()
        committed = await written(database)
        assert len(committed) == len(set(committed))
        got = await take(events, len(committed))
        assert products(got) == committed
        assert not any(event.gap for event in got)


async def written(database: Database) -> list[int]:
    """The products of the events that are committed, in their order."""
    chosen = select(EVENTS.c.product_id).order_by(EVENTS.c.position)
    return [int(row[0]) for row in await database.execute(chosen)]
