"""Events of bulk writes: published behind the outdating of the catalog, by their writer or for one that died."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, insert, select

from graph.catalog import outbox as outbox_module
from graph.catalog.changes import ProductChange
from graph.catalog.importing import bulk
from graph.catalog.importing.formats.plain import PLAIN
from graph.catalog.importing.meaning import Reading
from graph.catalog.keys import TOPIC
from graph.catalog.models import EVENTS
from graph.catalog.outbox import Outbox
from graph.catalog.service import CatalogService
from graph.patterns.broker import Broker
from graph.patterns.cache import Cache, CacheWriteRefused, CacheWriteUnconfirmed
from graph.patterns.client import open_client
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.apps.products import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from graph.engines.database import Database
    from graph.patterns.broker import Subscription
    from graph.patterns.client import Client


@pytest.fixture
async def broker(client: Client) -> AsyncIterator[Broker]:
    """A broker of an empty Redis."""
    async with Broker(client, check_every=0.2) as opened:
        yield opened


class Counting(Cache):
    """Counts how often the catalog is outdated."""

    count = 0

    async def invalidate(self, *tags: str, then: Sequence[str] = ()) -> None:
        self.count += 1
        await super().invalidate(*tags, then=then)


@pytest.fixture
async def counting(client: Client) -> AsyncIterator[Counting]:
    """The cache of this process."""
    cache = Counting(client)
    yield cache
    await cache.close()


async def leave(database: Database, *products: int, single: bool = False) -> None:
    """Commit events of these products, of a bulk write unless they are `single`."""
    rows = [{"kind": "UPDATED", "product_id": one, "at": START, "bulk": not single} for one in products]
    async with database.transaction() as session:
        await session.execute(insert(EVENTS), rows)


async def take(events: Subscription, count: int) -> list[int]:
    """The products of the next events."""
    async with within(f"{count} events"):
        return [ProductChange.of(await anext(events)).product_id for _ in range(count)]


async def waiting(database: Database) -> int:
    """How many events have no position yet."""
    chosen = select(func.count()).where(EVENTS.c.position.is_(None))
    async with database.session() as session:
        return await session.scalar(chosen) or 0


def changes(price: int, skus: Sequence[str] = "ABC") -> list[bulk.ImportedProduct]:
    """Products at this price."""
    reading = Reading(PLAIN, {"sku", "name", "price"})
    return [reading.change_of({"sku": sku, "name": sku, "price": str(price)}) for sku in skus]


async def test_no_event_is_ahead_of_the_cache(database: Database, broker: Broker, client: Client) -> None:
    """Whoever reads a product when an event of an import tells of it gets it as it was then or later."""
    ours, theirs = Cache(client), Cache(client)
    read = CatalogService(database, theirs)
    stop = False

    async def fill() -> None:
        while not stop:
            await read.products_by_sku(list("ABC"))
            await asyncio.sleep(0.001)

    async def check(change: ProductChange) -> None:
        found = (await read.products([change.product_id]))[change.product_id]
        assert found.updated_at.isoformat() >= change.at
        found = (await read.products_by_sku([found.sku]))[found.sku]
        assert found.updated_at.isoformat() >= change.at

    filling = asyncio.create_task(fill())
    try:
        async with broker.subscribe(TOPIC, patient=True) as events, Outbox(database, broker, ours) as outbox:
            catalog = CatalogService(database, ours, committed=outbox.nudge, outdate=outbox.outdate)
            for price in range(1, 21):
                await bulk.write(catalog, changes(price))
                outbox.nudge()  # as a single write of somebody else does
                await asyncio.sleep(0.01)
                if price % 5 == 0:
                    await catalog.outdate()
                    async with within("the events of five writes"):
                        for _ in range(5 * 3):
                            await check(ProductChange.of(await anext(events)))
    finally:
        stop = True
        await filling
        for cache in (ours, theirs):
            await cache.close()


async def test_events_of_a_bulk_write_wait_for_its_end(
    database: Database, broker: Broker, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the write goes on, no process gives its rows positions; afterwards they come in order."""
    monkeypatch.setattr(outbox_module, "STILL", 3600.0)  # or it would count as lost where a row takes seconds
    async with broker.subscribe(TOPIC) as events:
        ours = Outbox(database, broker, counting, every=0.01)
        await leave(database, 1, 2, 3)
        assert await ours.publish() == 0
        async with Outbox(database, broker, counting, every=0.01):
            for number in range(4, 24):
                await leave(database, number)
                await asyncio.sleep(0.02)
            assert await waiting(database) == 23
            assert counting.count == 0
            async with ours:
                await ours.outdate()
                assert counting.count == 1
                assert await take(events, 23) == list(range(1, 24))
        assert counting.count == 1


async def test_many_events_come_in_rounds(
    database: Database, broker: Broker, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than fits in one round or one burst comes whole and in order, and single changes go in between."""
    monkeypatch.setattr(outbox_module, "_ROUND", 10)
    monkeypatch.setattr(outbox_module, "_BURST", 4)
    await leave(database, *range(55))
    await leave(database, *range(100, 125), single=True)
    async with broker.subscribe(TOPIC) as events, Outbox(database, broker, counting) as outbox:
        await outbox.outdate()
        got = await take(events, 80)
    assert [one for one in got if one < 100] == list(range(55))
    assert [one for one in got if one >= 100] == list(range(100, 125))
    assert got != sorted(got)


async def test_a_single_change_passes_an_import_by(database: Database, broker: Broker, counting: Counting) -> None:
    """Amid an import a single change is published at once and alone: who made it does not publish the import."""
    await leave(database, *range(50))
    outbox = Outbox(database, broker, counting)
    async with broker.subscribe(TOPIC) as events:
        await leave(database, 99, single=True)
        assert await outbox.publish() == 1
        assert await take(events, 1) == [99]
    assert (await waiting(database), counting.count) == (50, 0)


async def test_a_single_change_takes_the_same_product_along(
    database: Database, broker: Broker, counting: Counting
) -> None:
    """Events of one product stay in order, and what a bulk write left of it is outdated before it is told."""
    await leave(database, 1, 2, 3, 2)
    outbox = Outbox(database, broker, counting)
    async with broker.subscribe(TOPIC) as events:
        async with database.transaction() as session:
            await session.execute(insert(EVENTS).values(kind="DELETED", product_id=2, at=START))
        assert await outbox.publish() == 3
        async with within("three events"):
            got = [ProductChange.of(await anext(events)) for _ in range(3)]
    assert [(one.kind, one.product_id) for one in got] == [("UPDATED", 2), ("UPDATED", 2), ("DELETED", 2)]
    assert (await waiting(database), counting.count) == (2, 1)


@pytest.mark.heavy
async def test_a_product_with_more_events_than_a_statement_takes(
    database: Database, broker: Broker, counting: Counting
) -> None:
    """Both engines bind some 32,766 values; the events get their positions in parts, in one transaction."""
    await leave(database, *[2] * 33_000)
    await leave(database, 2, single=True)
    assert await Outbox(database, broker, counting).publish() == 33_001
    assert (await waiting(database), counting.count) == (0, 1)


async def test_what_a_dead_importer_left_is_outdated_and_told(
    database: Database, broker: Broker, counting: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that stand still are an orphan's; single changes that come meanwhile do not hide it."""
    monkeypatch.setattr(outbox_module, "STILL", 0.3)
    await leave(database, 1, 2)
    async with broker.subscribe(TOPIC) as events, Outbox(database, broker, counting, every=0.01) as outbox:
        got: list[int] = []
        number = 100
        async with within("what the dead importer left"):
            while not {1, 2} & set(got):
                number += 1
                await leave(database, number, single=True)
                outbox.nudge()
                got += await take(events, 1)
        got += await take(events, 2 + number - 100 - len(got))
    assert [one for one in got if one < 100] == [1, 2]
    assert counting.count == 1


async def test_an_end_that_redis_does_not_confirm_is_no_success(database: Database) -> None:
    """The write is not acknowledged; when Redis is back, its rows are outdated and published after all."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client, Broker(client, check_every=0.2) as broker:
            cache = Cache(client)
            cache.generations._patience = 0.2  # pyright: ignore[reportPrivateUsage] - the default is for people
            async with Outbox(database, broker, cache, every=0.05) as outbox, broker.subscribe(TOPIC) as events:
                catalog = CatalogService(database, cache, outdate=outbox.outdate)

                async def write() -> None:
                    async with bulk.acknowledged_once(catalog) as batch:
                        await batch(changes(1), lambda _: None)
                        server.kill()

                with pytest.raises(CacheWriteUnconfirmed):
                    await write()
                await asyncio.to_thread(server.start)
                assert len(await take(events, 3)) == 3
            await cache.close()


async def test_a_bulk_write_is_refused_without_redis(database: Database) -> None:
    """Before its first batch; what was not begun is not outdated either."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            cache = Counting(client)
            catalog = CatalogService(database, cache)
            server.kill()

            async def write() -> Any:
                async with bulk.acknowledged_once(catalog) as batch:
                    return await batch(changes(1), lambda _: None)

            with pytest.raises(CacheWriteRefused):
                await write()
            assert (await waiting(database), cache.count) == (0, 0)
            await cache.close()
