"""What a change of a product outdates of the answers that were made of pages and counts."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from graph.catalog.reading import pages, queries
from graph.catalog.reading.paging import Filter, PageRequest, Sort
from graph.patterns.cache import Observation, observing
from tests.support.apps.products import add_categories, new

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.catalog.service import CatalogService
    from graph.catalog.writing import ProductChanges

FILTERS = {
    "all": Filter(),
    "books": Filter(category="books"),
    "toys": Filter(category="toys"),
    "searched": Filter(search="lamp"),
    "cheap": Filter(max_price=Decimal(12)),
    "dear books": Filter(category="books", min_price=Decimal(12)),
    "in stock": Filter(in_stock=True),
    "branded": Filter(brand="Acme"),
    "grouped": Filter(group="G"),
    "attributed": Filter(attributes=(("colour", "red"),)),
    "inactive, too": Filter(include_inactive=True),
}
SORTS = (Sort.NAME_ASC, Sort.PRICE_DESC, Sort.NEWEST)
CHANGES: dict[str, ProductChanges] = {
    "name": {"name": "Aaa lamp"},
    "description": {"description": "a lamp"},
    "category": {"category": "toys"},
    "no category": {"category": None},
    "price": {"price": (Decimal(11), "USD")},
    "currency": {"price": (Decimal(11), "EUR")},
    "stock": {"stock": 3},
    "sold out": {"stock": 0},
    "uncounted": {"stock": None},
    "unavailable": {"in_stock": False},
    "inactive": {"active": False},
    "active": {"active": True},
    "former price": {"compare_at_price": Decimal(99)},
    "group": {"group_id": "G"},
    "brand": {"brand": "Acme"},
    "gtin": {"gtin": "4006381333931"},
    "options": {"options": [("Size", "L")]},
    "images": {"images": [("/a.png", None)]},
    "attributes": {"attributes": [("colour", "red")]},
}


def reads(catalog: CatalogService) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Every kind of list: its first two products in each order, and its size."""
    found: dict[str, Callable[[], Awaitable[Any]]] = {}
    for name, chosen in FILTERS.items():
        found[f"number of {name}"] = lambda chosen=chosen: catalog.count(chosen)
        for sort in SORTS:
            request = PageRequest.of(first=2, filter=chosen, sort=sort)
            found[f"{name} by {sort.name}"] = lambda request=request: catalog.page(request)
    return found


def truths(catalog: CatalogService) -> dict[str, Callable[[], Awaitable[Any]]]:
    """The same reads, of SQL alone: what an answer depends on may be what keeps it in the cache."""
    rows, dialect = queries.RowReader(catalog.database.rows), catalog.database.dialect
    found: dict[str, Callable[[], Awaitable[Any]]] = {}
    for name, chosen in FILTERS.items():
        found[f"number of {name}"] = lambda chosen=chosen: queries.count(rows, chosen, dialect)
        for sort in SORTS:
            request = PageRequest.of(first=2, filter=chosen, sort=sort)
            found[f"{name} by {sort.name}"] = lambda request=request: pages.page(rows, request, dialect)
    return found


async def observe(read: Callable[[], Awaitable[Any]]) -> tuple[Any, Observation]:
    """What a read gives, and what an answer made of it depends on."""
    with observing() as observed:
        return await read(), observed


async def current(catalog: CatalogService, observed: Observation) -> bool:
    """Whether such an answer would be served now."""
    return observed.certain and await catalog.cache.generations.read(observed.tags, (), 60) == observed.marks


async def test_every_change_outdates_what_it_changes(catalog: CatalogService) -> None:
    """Whatever changes about a product, nothing that shows something else afterwards stays current.

    What stays current is looked at again after each of the changes that follow.
    """
    await add_categories(catalog.database, "books", "toys")
    for number, category in enumerate(("books", "toys", "books", "toys", None)):
        await catalog.create(new(f"S{number}", name=f"Thing {number}", category=category, amount=Decimal(10 + number)))
    changed = (await catalog.create(new("X", name="Thing 3x", category="books", amount=Decimal(13)))).id

    answers: dict[str, tuple[Any, Observation]] = {}

    async def check(change: str, write: Callable[[], Awaitable[Any]]) -> int:
        answers.update({name: await observe(read) for name, read in reads(catalog).items() if name not in answers})
        await write()
        stay = await asyncio.gather(*(current(catalog, observed) for _, observed in answers.values()))
        for name in [name for name, stays in zip(answers, stay, strict=True) if not stays]:
            del answers[name]
        for name, (shown, _) in answers.items():
            assert await stored[name]() == shown, f"{name} after {change}"
        return len(answers)

    stored = truths(catalog)
    kept = {
        name: await check(name, lambda change=change: catalog.update(changed, change))
        for name, change in CHANGES.items()
    }
    await check("a new one", lambda: catalog.create(new("Y", name="Aa", category="books")))
    await check("a deletion", lambda: catalog.delete(changed))
    assert all(kept[name] for name in ("price", "stock", "former price", "gtin", "options", "images"))


async def test_a_price_outdates_only_what_shows_it_or_depends_on_it(catalog: CatalogService) -> None:
    """Most changes of a busy shop are of prices and stocks: the pages that show other products stay current."""
    await add_categories(catalog.database, "books", "toys")
    for number in range(4):
        await catalog.create(new(f"S{number}", name=f"Thing {number}", category="books", amount=Decimal(10)))
    last = (await catalog.create(new("Z", name="Zebra", category="books", amount=Decimal(99)))).id
    before = {name: await observe(read) for name, read in reads(catalog).items()}
    await catalog.update(last, {"price": (Decimal(1), "USD")})
    stayed = {name for name, (_, observed) in before.items() if await current(catalog, observed)}
    assert {
        "all by NAME_ASC",
        "books by NAME_ASC",
        "in stock by NAME_ASC",
        "number of all",
        "number of books",
    } <= stayed
    assert not stayed & {
        "all by NEWEST",
        "all by PRICE_DESC",
        "cheap by NAME_ASC",
        "number of cheap",
        "books by PRICE_DESC",
    }
    assert {"toys by PRICE_DESC", "toys by NAME_ASC", "number of toys"} <= stayed
