"""Writes of products that others come between: another writer, readers, the end of the process, at each step.

The steps are those of `graph.catalog.service`: the change is planned, its tags are held, it is committed.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from graph.catalog.importing import bulk
from graph.catalog.models import EVENTS
from graph.catalog.reading.paging import Filter, PageRequest, Sort
from graph.catalog.service import CatalogService
from graph.engines.database import Database
from graph.errors import Invalid, Missing
from harness.waiting import HANG, within
from tests.support.apps.products import add_categories, new
from tests.support.engines.statements import statements
from tests.support.models.stepped import HOLD, Stepped
from tests.support.processes.fork_server import python

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from graph.catalog.records import ProductRecord
    from graph.patterns.cache import Cache
    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

BEFORE_COMMIT = ("planned", "held")
STEPS = (*BEFORE_COMMIT, "committed")
TOYS = PageRequest.of(filter=Filter(category="toys"), sort=Sort.PRICE_ASC)
BOOKS = PageRequest.of(filter=Filter(category="books"), sort=Sort.PRICE_ASC)


@pytest.fixture
async def paused(client: Client) -> AsyncIterator[Stepped]:
    """The cache of the process that is looked at."""
    cache = Stepped(client, hold=HOLD)
    yield cache
    await cache.close()


@pytest.fixture
def mine(database: Database, paused: Stepped) -> CatalogService:
    """The catalog in the process that is looked at."""
    return CatalogService(database, paused)


@pytest.fixture
async def others(database_url: str, cache: Cache) -> AsyncIterator[CatalogService]:
    """The catalog in another process."""
    async with Database(database_url) as database:
        yield CatalogService(database, cache)


@pytest.fixture
async def product(mine: CatalogService) -> ProductRecord:
    """A product among the books, which have been read."""
    await add_categories(mine.database, "books", "toys")
    return await mine.create(new("A", category="books"))


async def seen(catalog: CatalogService, product: ProductRecord) -> list[ProductRecord | None]:
    """The product by its id and sku, and on the pages of both categories and of all."""
    found: list[ProductRecord | None] = [(await catalog.products([product.id])).get(product.id)]
    found.append((await catalog.products_by_sku([product.sku])).get(product.sku))
    for request in (PageRequest.of(), BOOKS, TOYS):
        found += [edge.product for edge in (await catalog.page(request)).edges]
    return found


async def changes(database: Database) -> list[tuple[str, str | None, str | None]]:
    """Kind, category and former category of each event in the outbox."""
    columns = (EVENTS.c.kind, EVENTS.c.category, EVENTS.c.previous_category)
    return [tuple(row) for row in await database.execute(select(*columns).order_by(EVENTS.c.id))]


@pytest.mark.parametrize("step", BEFORE_COMMIT)
async def test_another_writer_comes_in_between(
    step: str, mine: CatalogService, others: CatalogService, paused: Stepped, product: ProductRecord
) -> None:
    """A change that was planned on what is not so any more is planned anew: it outdates what shows the product now."""

    async def move() -> None:
        await others.update(product.id, {"category": "toys", "name": "Moved"})
        assert await seen(others, product) == [*await seen(mine, product)]

    paused.step, paused.meanwhile = step, move
    changed = await mine.update(product.id, {"price": (Decimal(1), "USD"), "description": "found"})
    assert (changed.name, changed.price, changed.category and changed.category.slug) == ("Moved", Decimal(1), "toys")
    for catalog in (others, mine):
        assert await seen(catalog, product) == [changed] * 4
        assert await catalog.count(Filter(search="moved found")) == 1
    assert await changes(mine.database) == [
        ("CREATED", "books", None),
        ("UPDATED", "toys", "books"),
        ("UPDATED", "toys", None),
    ]


@pytest.mark.parametrize("step", BEFORE_COMMIT)
async def test_the_product_or_its_new_category_is_gone_meanwhile(
    step: str, mine: CatalogService, others: CatalogService, paused: Stepped, product: ProductRecord
) -> None:
    """Such a change is refused as if it had come later, and has left nothing; nor does a second deletion."""
    games = await others.create_category("games", "Games")
    paused.step, paused.meanwhile = step, lambda: others.delete_category(games.id)
    with pytest.raises(Invalid, match="no such category"):
        await mine.update(product.id, {"category": "games"})
    assert await seen(mine, product) == [product] * 4
    for write in (lambda: mine.update(product.id, {"stock": 3}), lambda: mine.delete(product.id)):
        paused.step, paused.meanwhile = step, lambda: others.delete(product.id)
        with pytest.raises(Missing):
            await write()
        assert await seen(mine, product) == [None] * 2
    assert await changes(mine.database) == [("CREATED", "books", None), ("DELETED", "books", None)]


@pytest.mark.parametrize("step", STEPS)
async def test_readers_come_in_between(
    step: str, mine: CatalogService, others: CatalogService, paused: Stepped, product: ProductRecord
) -> None:
    """Whatever they cached at whatever step, nobody sees it once the write is acknowledged."""

    async def read() -> None:
        for catalog in (others, mine):
            for _ in range(2):
                assert product.id in {one.id for one in await seen(catalog, product) if one}

    for write in ({"price": (Decimal(1), "USD")}, {"category": "toys"}, {"name": "Other", "active": True}):
        await read()
        paused.step, paused.meanwhile = step, read
        changed = await mine.update(product.id, write)  # pyright: ignore[reportArgumentType] - of its shape
        for catalog in (others, mine):
            assert await seen(catalog, product) == [changed] * 4
    await read()
    paused.step, paused.meanwhile = "planned" if step == "committed" else step, read
    await mine.delete(product.id)
    for catalog in (others, mine):
        assert await seen(catalog, product) == [None] * 2


@pytest.mark.parametrize("step", STEPS)
async def test_nobody_waits_for_a_writer_that_waits_for_redis(
    step: str, mine: CatalogService, others: CatalogService, paused: Stepped, product: ProductRecord
) -> None:
    """At each step of a write that is not in SQL itself, another one, of its own process or not, is let in."""
    second, third = [await mine.create(new(sku)) for sku in "BC"]

    async def write() -> None:
        async with within("the other writers"):
            await mine.update(second.id, {"stock": 1})
            await others.update(third.id, {"stock": 1})

    paused.step, paused.meanwhile = step, write
    await mine.update(product.id, {"stock": 2})
    await mine.update(second.id, {"stock": 3})
    paused.step, paused.meanwhile = step, lambda: others.update(third.id, {"stock": 2})
    await mine.delete(product.id)


@pytest.mark.parametrize(
    "then",
    [
        {"category": "toys", "price": (Decimal(5), "USD")},
        {"category": "toys", "stock": 3},
        {"price": (Decimal(5), "USD")},
        None,
    ],
)
async def test_a_change_that_rests_on_an_import_under_way(
    then: Any, mine: CatalogService, others: CatalogService, product: ProductRecord
) -> None:
    """Once it is acknowledged, nobody sees what was there before that import, even if nothing was left to change."""
    assert await seen(mine, product) == await seen(others, product) == [product] * 4
    cheap = Filter(max_price=Decimal(6))
    assert (await mine.count(cheap), [one.products for one in await others.categories()]) == (0, [1, 0])
    batch = [bulk.ImportedProduct(product.sku, {"price": 5_0000}, "toys", has_category=True)]
    assert (await bulk.write(others, batch)).updated == 1
    if then is None:
        await mine.delete(product.id)
        shown: list[ProductRecord | None] = [None] * 2
    else:
        shown = [await mine.update(product.id, then)] * 4
    for catalog in (others, mine):
        assert await seen(catalog, product) == shown
        assert [edge.product.id for edge in (await catalog.page(BOOKS)).edges] == []
        assert await catalog.count(cheap) == (then is not None)
        assert [one.products for one in await catalog.categories()] == [0, int(then is not None)]


@pytest.mark.parametrize("step", STEPS)
async def test_the_writer_is_killed(
    step: str, mine: CatalogService, database_url: str, valkey: ValkeyServer, product: ProductRecord
) -> None:
    """Before its commit nothing has happened; after it everybody sees what is in SQL; and soon all is cached again."""
    await seen(mine, product)
    with tempfile.TemporaryFile() as out:
        module = "tests.support.processes.price_writer"
        writer = python("-m", module, valkey.url, database_url, str(product.id), step, out=out)
        assert await asyncio.to_thread(writer.wait, HANG) == -signal.SIGKILL
    price = Decimal(7) if step == "committed" else product.price
    assert [one and one.price for one in await seen(mine, product)] == [price] * 4
    async with within("everything to be cached again"):
        while True:
            assert [one and one.price for one in await seen(mine, product)] == [price] * 4
            with statements(mine.database) as asked:
                await seen(mine, product)
            if not asked:
                break
            await asyncio.sleep(0.02)
    assert len(await changes(mine.database)) == (2 if step == "committed" else 1)
    assert (await mine.update(product.id, {"stock": 5})).price == price


async def test_writers_of_one_product_in_two_processes_all_count(
    mine: CatalogService, others: CatalogService, product: ProductRecord, scaled: Callable[[int, int], int]
) -> None:
    """Each keeps what the others wrote, in what is derived of it as well, and sees it at once."""
    for i in range(scaled(100, 10)):
        await asyncio.gather(
            mine.update(product.id, {"name": f"name{i}"}),
            others.update(product.id, {"description": f"text{i}"}),
            mine.update(product.id, {"stock": i}),
            others.update(product.id, {"category": "toys" if i % 2 else "books"}),
        )
        for catalog in (mine, others):
            (after,) = (await catalog.products([product.id])).values()
            assert (after.name, after.description, after.stock) == (f"name{i}", f"text{i}", i)
            assert await catalog.count(Filter(search=f"name{i} text{i}")) == 1
            assert [len((await catalog.page(page)).edges) for page in (BOOKS, TOYS)] == ([0, 1] if i % 2 else [1, 0])
