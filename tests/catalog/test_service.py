"""The catalog's service: reads through the cache, writes that are seen at once."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from graph.catalog.keys import CATALOG_TTL
from graph.catalog.models import EVENTS
from graph.catalog.reading.paging import Filter, PageRequest, Sort
from graph.catalog.service import CatalogService
from graph.errors import Invalid, Missing, Taken
from graph.patterns.cache import Cache
from graph.patterns.client import RedisUnavailable, open_client
from harness.valkey import ValkeyServer
from tests.support.apps.products import add_categories, add_products, new, remove
from tests.support.engines.statements import statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.catalog.records import ProductRecord
    from graph.engines.database import Database
    from graph.patterns.client import Client

ALL = PageRequest.of()


async def skus(catalog: CatalogService, request: PageRequest = ALL) -> list[str]:
    """What a page shows."""
    return [edge.product.sku for edge in (await catalog.page(request)).edges]


async def counts(catalog: CatalogService) -> dict[str, int]:
    """The number of products of each category."""
    return {count.category.slug: count.products for count in await catalog.categories()}


async def everything(catalog: CatalogService, product: ProductRecord) -> list[Any]:
    """Every way to see a product."""
    return [
        (await catalog.products([product.id])).get(product.id),
        (await catalog.products_by_sku([product.sku])).get(product.sku),
        await skus(catalog),
        await skus(catalog, PageRequest.of(filter=Filter(category="books"))),
        await skus(catalog, PageRequest.of(filter=Filter(category="toys"), sort=Sort.PRICE_DESC)),
        await skus(catalog, PageRequest.of(filter=Filter(search="lamp"))),
        await catalog.count(Filter()),
        await catalog.count(Filter(category="books")),
        await counts(catalog),
    ]


async def test_a_second_look_needs_no_sql(catalog: CatalogService) -> None:
    """Whatever was read once is read again, by this process or by another, without a single statement."""
    await add_categories(catalog.database, "books", "toys")
    product = await catalog.create(new("A", category="books"))
    first = await everything(catalog, product)
    other = CatalogService(catalog.database, Cache(catalog.cache._client))  # pyright: ignore[reportPrivateUsage] - as another process would
    with statements(catalog.database) as seen:
        assert await everything(catalog, product) == first
        assert await everything(other, product) == first
    assert seen == []
    assert first[0] == product
    await other.cache.close()


async def test_every_write_is_seen_at_once(catalog: CatalogService) -> None:
    """After create, update and delete every read that was cached before shows the new state, in every view."""
    await add_categories(catalog.database, "books", "toys")
    first = await catalog.create(new("A", name="Old lamp", category="books"))
    await everything(catalog, first)
    unborn = first.id + 1
    assert await catalog.products([unborn]) == {}
    assert await catalog.products_by_sku(["B"]) == {}

    second = await catalog.create(new("B", name="New lamp", category="toys"))
    assert second.id == unborn
    assert await everything(catalog, second) == [
        *(second, second, ["B", "A"], ["A"], ["B"], ["B", "A"], 2, 1),
        {"books": 1, "toys": 1},
    ]

    moved = await catalog.update(first.id, {"category": "toys", "price": (Decimal(20), "EUR"), "name": "Chair"})
    assert await everything(catalog, first) == [
        *(moved, moved, ["A", "B"], [], ["A", "B"], ["B"], 2, 0),
        {"books": 0, "toys": 2},
    ]
    assert (moved.price, moved.currency, moved.name) == (Decimal("20.00"), "EUR", "Chair")

    hidden = await catalog.update(first.id, {"active": False})
    assert await everything(catalog, first) == [hidden, hidden, ["B"], [], ["B"], ["B"], 1, 0, {"books": 0, "toys": 1}]
    assert await skus(catalog, PageRequest.of(filter=Filter(include_inactive=True))) == ["A", "B"]

    await catalog.delete(second.id)
    assert await everything(catalog, second) == [None, None, [], [], [], [], 0, 0, {"books": 0, "toys": 0}]


async def test_pages_of_other_categories_stay_cached(catalog: CatalogService) -> None:
    """A change outdates the pages that may show it and no others."""
    await add_categories(catalog.database, "books", "toys")
    book = await catalog.create(new("A", category="books"))
    toys = PageRequest.of(filter=Filter(category="toys"))
    await catalog.create(new("B", category="toys"))
    await skus(catalog, toys)
    await counts(catalog)
    await catalog.update(book.id, {"stock": 7})
    with statements(catalog.database) as seen:
        assert await skus(catalog, toys) == ["B"]
        assert await counts(catalog) == {"books": 1, "toys": 1}
    assert seen == []


async def test_a_batch_is_one_statement(catalog: CatalogService) -> None:
    """A hundred products asked for together are loaded together, those that are missing with them."""
    await add_products(catalog.database, [{"sku": f"S{i}"} for i in range(100)])
    with statements(catalog.database) as seen:
        found = await catalog.products_by_sku([f"S{i}" for i in range(110)])
        assert len(found) == 100
        assert len(await catalog.products([product.id for product in found.values()])) == 100
    assert len(seen) == 2


async def test_cached_values_expire(catalog: CatalogService, client: Client) -> None:
    """Whatever the catalog caches has a time to live of five minutes, give or take a tenth."""
    await add_categories(catalog.database, "books", "toys")
    await everything(catalog, await catalog.create(new("A", category="books")))
    keys = [key for key in await client.execute("KEYS", "*", retry=True) if b":tag:" not in key]
    assert len(keys) >= 8
    for key in keys:
        assert 0 < await client.execute("PTTL", key) <= CATALOG_TTL * 1.1 * 1000


async def test_refused_writes(catalog: CatalogService) -> None:
    """A taken sku, a missing product or category and an invalid value change nothing and leave no event."""
    await add_categories(catalog.database, "books")
    product = await catalog.create(new("A"))
    with pytest.raises(Taken):
        await catalog.create(new("A", name="Another"))
    with pytest.raises(Invalid, match="no such category"):
        await catalog.create(new("B", category="none"))
    with pytest.raises(Invalid, match="no such category"):
        await catalog.update(product.id, {"category": "nul\0"})
    with pytest.raises(Invalid):
        await catalog.update(product.id, {"stock": -1, "name": "Changed"})
    for gone in (product.id + 1, 2**63 - 1):
        with pytest.raises(Missing):
            await catalog.update(gone, {"stock": 1})
        with pytest.raises(Missing):
            await catalog.delete(gone)
    assert await catalog.products([product.id]) == {product.id: product}
    assert [kind for kind, *_ in await events(catalog.database)] == ["CREATED"]


async def test_what_changes_nothing_is_no_change(catalog: CatalogService) -> None:
    """An update that says what is so already keeps updatedAt, publishes nothing and outdates nothing."""
    product = await catalog.create(new("A"))
    await skus(catalog)
    same = await catalog.update(product.id, {"name": product.name, "price": (product.price, product.currency)})
    assert same == product
    assert await catalog.update(product.id, {}) == product
    with statements(catalog.database) as seen:
        await skus(catalog)
    assert seen == []
    assert len(await events(catalog.database)) == 1


async def events(database: Database) -> list[tuple[Any, ...]]:
    """The outbox."""
    columns = (EVENTS.c.kind, EVENTS.c.product_id, EVENTS.c.category, EVENTS.c.previous_category)
    async with database.session() as session:
        return [tuple(row) for row in await session.execute(select(*columns).order_by(EVENTS.c.id))]


async def test_each_change_is_in_the_outbox(catalog: CatalogService) -> None:
    """Create, update and delete each leave one event with the shelves before and after."""
    await add_categories(catalog.database, "books", "toys")
    product = await catalog.create(new("A", category="books"))
    await catalog.update(product.id, {"stock": 5})
    await catalog.update(product.id, {"category": "toys"})
    await catalog.update(product.id, {"category": None})
    await catalog.delete(product.id)
    assert await events(catalog.database) == [
        ("CREATED", product.id, "books", None),
        ("UPDATED", product.id, "books", None),
        ("UPDATED", product.id, "toys", "books"),
        ("UPDATED", product.id, None, "toys"),
        ("DELETED", product.id, None, None),
    ]


async def test_concurrent_updates_all_count(catalog: CatalogService, scaled: Callable[[int, int], int]) -> None:
    """Updates of different fields at the same time each keep what the others wrote, in the search index as well."""
    product = await catalog.create(new("A"))
    for i in range(scaled(200, 20)):
        await asyncio.gather(
            catalog.update(product.id, {"name": f"name{i}"}),
            catalog.update(product.id, {"description": f"text{i}"}),
            catalog.update(product.id, {"stock": i}),
        )
        after = (await catalog.products([product.id]))[product.id]
        assert (after.name, after.description, after.stock) == (f"name{i}", f"text{i}", i)
        assert await catalog.count(Filter(search=f"name{i} text{i}")) == 1


async def test_one_sku_is_created_once(catalog: CatalogService) -> None:
    """Of many that create one sku at once a single one succeeds; the others are told that it is taken."""
    outcomes = await asyncio.gather(*(catalog.create(new("A")) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(outcome, Taken) for outcome in outcomes) == 7


async def test_without_redis_reads_go_on_and_writes_are_refused(database: Database) -> None:
    """While Redis is away every read comes from SQL and every write is refused before it changes anything."""
    await add_categories(database, "books", "toys")
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            cache = Cache(client)
            catalog = CatalogService(database, cache)
            product = await catalog.create(new("A", category="books"))
            before = await everything(catalog, product)
            server.kill()
            assert await everything(catalog, product) == before
            for write in (
                catalog.create(new("B")),
                catalog.update(product.id, {"stock": 9}),
                catalog.delete(product.id),
            ):
                with pytest.raises(RedisUnavailable):
                    await write
            await remove(database, "nothing")  # no lock is left behind
            assert await everything(catalog, product) == before
            await cache.close()
    assert len(await events(database)) == 1
