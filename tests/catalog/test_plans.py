"""What the engines do with the catalog's statements when there are many products: they use an index."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from decimal import Decimal
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from graph.catalog import seed
from graph.catalog.reading import filtering, pages, queries
from graph.catalog.reading.paging import Filter, KeysetPosition, PageRequest, Sort
from graph.catalog.service import CatalogService
from graph.engines.database import Database
from graph.patterns.cache import Cache
from graph.patterns.client import open_client
from graph.settings import sqlite_url
from harness.postgres import run_apart
from tests.support.engines.migrated import migrated
from tests.support.engines.statements import statements

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from harness.postgres import Postgres
    from harness.valkey import ValkeyServer

STEPS = 40_000
"""Of SQLite's machine, for a page: far below what it takes to read 6,000 products, and enough for 1,000 of them."""
INDEX = {"name_key": "name", "price": "price", "created_at": "newest"}


async def explain(database: Database, session: AsyncSession, statement: Any) -> str:
    """The engine's plan for `statement`."""
    compiled = statement.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True})
    how = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    result = await (await session.connection()).exec_driver_sql(f"{how} {str(compiled).replace('%%', '%')}")
    return "\n".join(str(row[-1]) for row in result)


def page_of(request: PageRequest, database: Database) -> Select[Any]:
    """The statement of a page, with its values."""
    shape = pages.PageShape.of(request, database.dialect)
    return pages.page_statement(shape).params(pages.values_for(request, database.dialect))


def count_of(chosen: Filter, database: Database) -> Select[Any]:
    """The statement of a count, with its values."""
    shape = filtering.FilterShape.of(chosen, database.dialect)
    return queries.count_statement(shape).params(filtering.values_in(chosen, database.dialect))


async def fill(url: str, redis: str, count: int) -> None:
    """Make `count` demo products there, with the statistics that a planner goes by."""
    async with Database(url) as database, open_client(redis) as client:
        cache = Cache(client)
        await seed.seed_catalog(CatalogService(database, cache), count)
        await cache.close()
        async with database.transaction() as session:
            await session.execute(text("ANALYZE"))


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def filled(
    request: pytest.FixtureRequest,
    valkey: ValkeyServer,
    scaled: Callable[[int, int], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The URL of a database with a hundred thousand products (fewer in a quick run), which no test changes."""
    count = scaled(100_000, 1_500)
    if request.param == "sqlite":
        path: Path = tmp_path_factory.mktemp("plans") / "graph.db"
        migrated(path)
        run_apart(lambda: fill(sqlite_url(path), valkey.url, count))
        yield sqlite_url(path)
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = ""

    async def make() -> None:
        nonlocal name
        name = await server.lend()
        await fill(server.url(name), valkey.url, count)

    run_apart(make)
    yield server.url(name)
    run_apart(lambda: server.take_back(name))


@pytest.fixture
async def big(filled: str) -> AsyncIterator[Database]:
    """That database, opened."""
    async with Database(filled) as opened:
        yield opened


async def test_a_page_walks_an_index(big: Database) -> None:
    """Every sort, forward or backward, under a category or not, with inactive products or not, walks its index."""
    async with big.session() as session:
        middle = await pages.page(session, PageRequest.of(first=1), big.dialect)
        here = middle.edges[0].product
        if big.dialect == "postgresql":  # in a quick run the table is small enough that reading all of it is no worse
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            await session.execute(text("SET LOCAL enable_bitmapscan = off"))
        values = {"name_key": "m", "price": 300000, "created_at": here.created_at}
        for sort, category, inactive, backward in product(Sort, (None, "books"), (False, True), (False, True)):
            request = PageRequest(
                20,
                backward=backward,
                after=KeysetPosition(values[sort.column], here.id),
                filter=Filter(category=category, include_inactive=inactive),
                sort=sort,
            )
            plan = await explain(big, session, page_of(request, big))
            index = f"product_by_{'category_' if category else ''}{INDEX[sort.column]}"
            assert plan.count(index) == 1 + inactive, plan
            assert "SCAN product" not in plan
            assert "Seq Scan on product" not in plan


async def test_a_search_asks_the_text_index(big: Database, scaled: Callable[[int, int], int]) -> None:
    """Whatever the sort, the words are looked up in the text index, and no row is read that does not hold them."""
    async with big.session() as session:
        if big.dialect == "postgresql" and scaled(1, 0) == 0:
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        for sort, category in product(Sort, (None, "books")):
            request = PageRequest.of(filter=Filter(search="bergstr violin", category=category), sort=sort)
            for statement in (
                page_of(request, big),
                count_of(request.filter, big),
            ):
                plan = await explain(big, session, statement)
                assert "product_search" in plan, plan
                assert "Seq Scan on product" not in plan
                assert "SCAN product\n" not in plan + "\n"


CHOSEN = {
    "brand": (Filter(brand="Acme"), "product_by_brand"),
    "group": (Filter(group="G1"), "product_by_group"),
    "attribute": (Filter(attributes=(("Colour", "Red"),)), "product_by_attribute"),
}


@pytest.mark.parametrize("what", CHOSEN)
async def test_what_few_products_share_is_looked_up(big: Database, what: str) -> None:
    """A brand, a group or an attribute is found in its index, whatever the sort, and only those products are read."""
    chosen, index = CHOSEN[what]
    if big.dialect == "sqlite" and what == "attribute":
        index = "PRIMARY KEY"  # of the table of attributes
    async with big.session() as session:
        if big.dialect == "postgresql":  # in a quick run the table is small enough that reading all of it is no worse
            await session.execute(text("SET LOCAL enable_seqscan = off"))
        for sort, category in product(Sort, (None, "books")):
            found = replace(chosen, category=category)
            for statement in (page_of(PageRequest.of(filter=found, sort=sort), big), count_of(found, big)):
                plan = await explain(big, session, statement)
                assert index in plan, plan
                assert "Seq Scan on product" not in plan
                assert "SCAN product\n" not in plan + "\n"


async def test_each_read_is_one_statement(big: Database, cache: Cache) -> None:
    """Whatever is not in the cache takes one statement: a page, a search, products, a count, the categories."""
    catalog = CatalogService(big, cache)
    for read in (
        catalog.page(PageRequest.of(first=100, filter=Filter(category="books", search="a"))),
        catalog.page(PageRequest.of(filter=Filter(min_price=Decimal(1), include_inactive=True))),
        catalog.products([1, 2, 3]),
        catalog.products_by_sku(["A", "B"]),
        catalog.count(Filter(search="lamp", in_stock=True)),
        catalog.categories(),
    ):
        with statements(big) as seen:
            await read
        assert len(seen) == 1


@pytest.mark.heavy
async def test_no_page_reads_or_sorts_everything(big: Database, tmp_path: Path) -> None:
    """However many products a range of prices holds, SQLite finds a page of them in so many steps, in whatever order.

    With the planner's statistics and without: they are only there when somebody has asked for them.
    """
    if big.dialect != "sqlite":
        pytest.skip("PostgreSQL has a histogram of prices to plan by")
    path = shutil.copyfile(make_url(big.url).database or "", tmp_path / "without statistics")
    connection = sqlite3.connect(path, isolation_level=None)
    prices = [None, *(Decimal(price) / 10_000 for price in _prices(connection))]
    for _ in ("with statistics", "without"):
        for sort, category, low, high, inactive in product(Sort, (None, "books"), prices, prices, (False, True)):
            chosen = Filter(category=category, min_price=low, max_price=high, include_inactive=inactive)
            statement = page_of(PageRequest.of(sort=sort, filter=chosen), big)
            compiled = statement.compile(big.engine.sync_engine, compile_kwargs={"literal_binds": True})
            assert _steps(connection, str(compiled)) < STEPS, (sort, chosen)
        connection.execute("DELETE FROM sqlite_stat1")
        connection.close()
        connection = sqlite3.connect(path, isolation_level=None)
    connection.close()


def _prices(connection: sqlite3.Connection) -> list[int]:
    """A price among the lowest, in the middle and among the highest."""
    prices = [price for (price,) in connection.execute("SELECT price FROM product ORDER BY price")]
    return [prices[len(prices) * share // 1000] for share in (5, 500, 995)]


def _steps(connection: sqlite3.Connection, statement: str) -> int:
    """How many instructions of its machine SQLite needs, give or take a hundred."""
    hundreds = 0

    def count() -> None:
        nonlocal hundreds
        hundreds += 1

    connection.set_progress_handler(count, 100)
    connection.execute(statement).fetchall()
    return hundreds * 100
