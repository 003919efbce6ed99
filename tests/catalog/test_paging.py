"""Keyset pagination against a sorted list, on both engines."""

from __future__ import annotations

import base64
import json
import random
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest

from graph.catalog.reading import pages, queries
from graph.catalog.reading.paging import (
    MAX_SIZE,
    Filter,
    KeysetPosition,
    PageRequest,
    Sort,
    plain_value,
    read_cursor,
    write_cursor,
)
from graph.catalog.rules import name_key
from graph.errors import BadInput
from tests.support.apps.products import START, add_categories, add_products, remove

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from graph.catalog.reading.paging import Page
    from graph.catalog.records import ProductRecord
    from graph.engines.database import Database

NAMES = ("apple", "Apple", "Äpfel", "banana", "Zebra", "zebra", "émile", "emile", "x", "日本", "10", "9")


def rows(count: int, seed: int = 7) -> list[dict[str, Any]]:
    """Products with many equal names, prices and moments."""
    dice = random.Random(seed)
    return [
        {
            "sku": f"S{i}",
            "name": dice.choice(NAMES),
            "amount": Decimal(dice.randrange(1, 6)),
            "minute": dice.randrange(5),
            "category": dice.choice(["books", "toys", None]),
            "stock": dice.choice([0, 3]),
            "active": dice.random() < 0.8,
        }
        for i in range(count)
    ]


async def fetch(database: Database, request: PageRequest) -> Page:
    """The page as SQL has it now."""
    async with database.session() as session:
        return await pages.page(session, request, database.dialect)


async def walk(database: Database, size: int, *, backward: bool = False, **told: Any) -> list[ProductRecord]:
    """The whole list, page by page, in the list's own order."""
    found: list[ProductRecord] = []
    cursor: str | None = None
    while True:
        ends: dict[str, Any] = {"last": size, "before": cursor} if backward else {"first": size, "after": cursor}
        page = await fetch(database, PageRequest.of(**ends, **told))
        found_here = [edge.product for edge in page.edges]
        found = found_here + found if backward else found + found_here
        assert (page.has_next if backward else page.has_previous) == (cursor is not None)
        if not (page.has_previous if backward else page.has_next):
            return found
        assert len(found_here) == size
        cursor = page.edges[0 if backward else -1].cursor


def expected(all_rows: list[dict[str, Any]], ids: dict[str, int], sort: Sort, chosen: Filter) -> list[str]:
    """What a list in Python would hold."""
    kept = [
        row
        for row in all_rows
        if (row["active"] or chosen.include_inactive)
        and (chosen.category is None or row["category"] == chosen.category)
        and (chosen.in_stock is None or (row["stock"] > 0) == chosen.in_stock)
        and (chosen.min_price is None or row["amount"] >= chosen.min_price)
        and (chosen.max_price is None or row["amount"] <= chosen.max_price)
    ]

    def value(row: dict[str, Any]) -> Any:
        return (
            name_key(row["name"])
            if sort.column == "name_key"
            else row["amount" if sort.column == "price" else "minute"]
        )

    kept.sort(key=lambda row: (value(row), ids[row["sku"]]), reverse=sort.falling)
    return [row["sku"] for row in kept]


FILTERS = (
    Filter(),
    Filter(category="books"),
    Filter(include_inactive=True),
    Filter(category="toys", include_inactive=True, in_stock=True),
    Filter(min_price=Decimal(2), max_price=Decimal("3.5"), in_stock=False),
    Filter(category="none"),
)


async def test_pages_are_the_sorted_list(database: Database, scaled: Callable[[int, int], int]) -> None:
    """Walked forward or backward, whatever the page size, the pages are the sorted, filtered list, cut into pieces."""
    await add_categories(database, "books", "toys")
    made = rows(scaled(300, 60))
    await add_products(database, made)
    async with database.session() as session:
        ids = {sku: number for number, sku, *_ in await queries.values_by_sku(session, [row["sku"] for row in made])}
    ways = list(product((7, MAX_SIZE), (False, True)))
    for (number, sort), (other, chosen) in product(enumerate(Sort), enumerate(FILTERS)):
        for size, backward in (ways * 3)[(number + other) % 4 :][: scaled(4, 1)]:  # each sort, each filter, every way
            got = await walk(database, size, backward=backward, sort=sort, filter=chosen)
            assert [one.sku for one in got] == expected(made, ids, sort, chosen), (sort, chosen, size, backward)
    async with database.session() as session:
        for chosen in FILTERS:
            want = len(expected(made, ids, Sort.NAME_ASC, chosen))
            assert await queries.count(session, chosen, database.dialect) == want


@pytest.fixture(params=[0, 4, 1000])
def few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """How many products SQLite rather sorts than looks for in the order of the page."""
    monkeypatch.setattr(pages, "_FEW", request.param)
    pages.page_statement.cache_clear()
    yield
    pages.page_statement.cache_clear()


@pytest.mark.usefixtures("few")
async def test_every_way_to_a_range_of_prices(database: Database) -> None:
    """Whether many products have such prices or few, the pages are the sorted list."""
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL chooses the way itself")
    await add_categories(database, "books", "toys")
    made = rows(24)
    await add_products(database, made)
    async with database.session() as session:
        ids = {sku: number for number, sku, *_ in await queries.values_by_sku(session, [row["sku"] for row in made])}
    sorts = Sort.NAME_ASC, Sort.NEWEST
    for sort, low, category, backward in product(sorts, (2, 5), ("books", None), (False, True)):
        chosen = Filter(min_price=Decimal(low), category=category, include_inactive=category is None)
        got = await walk(database, 3, backward=backward, sort=sort, filter=chosen)
        assert [one.sku for one in got] == expected(made, ids, sort, chosen), (sort, chosen, backward)


@pytest.mark.parametrize(
    ("database_url", "sort", "backward"),
    [
        pytest.param(url, sort, backward, marks=[pytest.mark.heavy] if (engine + number + backward) % 2 else [])
        for engine, url in enumerate(("sqlite", "postgres"))
        for number, sort in enumerate(Sort)
        for backward in (False, True)
    ],
    indirect=["database_url"],
)
async def test_a_walk_is_stable_under_change(
    database: Database, sort: Sort, scaled: Callable[[int, int], int], *, backward: bool
) -> None:
    """While products come and go, also the very one a cursor points at, those that stay are each seen exactly once."""
    made: list[dict[str, Any]] = [row | {"category": None, "active": True} for row in rows(scaled(40, 24))]
    await add_products(database, made)
    dice = random.Random(11)
    stay = {row["sku"] for row in made[::2]}
    leave = [row["sku"] for row in made[1::2]]
    seen: list[str] = []
    cursor: str | None = None
    more, step = True, 0
    while more:
        ends: dict[str, Any] = {"last": 3, "before": cursor} if backward else {"first": 3, "after": cursor}
        page = await fetch(database, PageRequest.of(**ends, sort=sort))
        seen += [edge.product.sku for edge in page.edges]
        cursor = page.edges[0 if backward else -1].cursor
        at_cursor = page.edges[0 if backward else -1].product.sku
        for sku in {leave.pop() if leave else at_cursor, at_cursor} - stay:
            await remove(database, sku)
            leave = [left for left in leave if left != sku]
        if step < 10:
            await add_products(
                database,
                [row | {"sku": f"N{step}", "category": None, "active": True} for row in rows(1, dice.randrange(99))],
            )
        more, step = page.has_previous if backward else page.has_next, step + 1
    assert len(seen) == len(set(seen))
    assert stay <= set(seen)


async def test_between_two_cursors(database: Database) -> None:
    """After and before together bound a page on both sides; a page of none still tells whether more follows."""
    await add_products(database, [{"sku": f"S{i}", "name": f"n{i}"} for i in range(9)])
    cursors = [edge.cursor for edge in (await fetch(database, PageRequest.of())).edges]

    async def names(**ends: Any) -> tuple[list[str], bool, bool]:
        page = await fetch(database, PageRequest.of(**ends))
        return [edge.product.name for edge in page.edges], page.has_previous, page.has_next

    assert await names(after=cursors[2], before=cursors[6]) == (["n3", "n4", "n5"], True, False)
    assert await names(after=cursors[2], before=cursors[6], first=2) == (["n3", "n4"], True, True)
    assert await names(after=cursors[2], before=cursors[6], last=2) == (["n4", "n5"], True, True)
    assert await names(first=0) == ([], False, True)
    assert await names(last=0) == ([], True, False)


def forged(*values: Any) -> str:
    """A cursor that this server did not write."""
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "é",
        "!!!!",
        "AAAA",
        "A" * 3000,
        forged(),
        forged(2, "PRICE_ASC", 1, 1),
        forged(1, "NAME_ASC", "a", 1),
        forged(1, "PRICE_DESC", 1, 1),
        forged(1, "PRICE_ASC", "a", 1),
        forged(1, "PRICE_ASC", 1.5, 1),
        forged(1, "PRICE_ASC", True, 1),  # noqa: FBT003 - the forger's
        forged(1, "PRICE_ASC", 2**63, 1),
        forged(1, "PRICE_ASC", 1, "1"),
        forged(1, "PRICE_ASC", 1, 0),
        forged(1, "PRICE_ASC", 1, 2**63),
        forged(1, "PRICE_ASC", None, 1),
        forged(1, "PRICE_ASC", 1, 1, 1),
    ],
)
def test_a_bad_cursor_is_bad_input(cursor: str) -> None:
    """A damaged, forged or foreign cursor, one of another sort or of another version, is BAD_USER_INPUT."""
    for argument in ("after", "before"):
        with pytest.raises(BadInput) as refused:
            read_cursor(cursor, Sort.PRICE_ASC, argument)
        assert refused.value.extensions == {"code": "BAD_USER_INPUT", "argument": argument}


@pytest.mark.parametrize(
    ("sort", "value"),
    [(Sort.NAME_ASC, "nul\0"), (Sort.NAME_ASC, "\ud800"), (Sort.NEWEST, 2**62), (Sort.NEWEST, -(2**62))],
)
def test_a_cursor_no_engine_could_compare(sort: Sort, value: Any) -> None:
    """Values that would make a database fail are refused before they reach it."""
    with pytest.raises(BadInput):
        read_cursor(forged(1, sort.name, value, 1), sort, "after")


@pytest.mark.parametrize(
    ("sort", "value"),
    [(Sort.NAME_DESC, "é\u200b'\""), (Sort.PRICE_ASC, 0), (Sort.NEWEST, START.replace(microsecond=1))],
)
def test_a_cursor_comes_back(sort: Sort, value: Any) -> None:
    """A cursor means the position it was written for, to the microsecond."""
    assert read_cursor(write_cursor(sort, plain_value(value), 7), sort, "after") == KeysetPosition(value, 7)


@pytest.mark.parametrize(
    ("told", "argument"),
    [
        ({"first": 1, "last": 1}, "last"),
        ({"first": -1}, "first"),
        ({"first": 101}, "first"),
        ({"last": 2**31}, "last"),
        ({"filter": Filter(search="a" * 201)}, "filter"),
        ({"filter": Filter(search="a b c d e f g h i j k")}, "filter"),
    ],
)
def test_arguments_that_make_no_sense(told: dict[str, Any], argument: str) -> None:
    """Contradicting or excessive arguments are BAD_USER_INPUT and say which."""
    with pytest.raises(BadInput) as refused:
        PageRequest.of(**told)
    assert refused.value.details == {"argument": argument}
