"""What the engines do with the catalog's statements when there are many products: they use an index."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from graph.catalog import queries, seed
from graph.catalog.paging import Filter, PageRequest, Position, Sort
from tests.support.sql import statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from graph.catalog.service import CatalogService
    from graph.database import Database

INDEX = {"name_key": "name", "price": "price", "created_at": "newest"}


async def explain(database: Database, session: AsyncSession, statement: Any) -> str:
    """The engine's plan for `statement`."""
    compiled = statement.compile(database.engine.sync_engine, compile_kwargs={"literal_binds": True})
    how = "EXPLAIN QUERY PLAN" if database.dialect == "sqlite" else "EXPLAIN"
    result = await (await session.connection()).exec_driver_sql(f"{how} {str(compiled).replace('%%', '%')}")
    return "\n".join(str(row[-1]) for row in result)


@pytest.fixture
async def big(catalog: CatalogService, scaled: Callable[[int, int], int]) -> Database:
    """A hundred thousand products (fewer in a quick run), with the statistics that a planner goes by."""
    await seed.seed(catalog, scaled(100_000, 6_000))
    async with catalog.database.transaction() as session:
        await session.execute(text("ANALYZE"))
    return catalog.database


async def test_a_page_walks_an_index(big: Database) -> None:
    """Every sort, forward or backward, under a category or not, with inactive products or not, walks its index."""
    async with big.session() as session:
        middle = await queries.page(session, PageRequest.of(first=1), big.dialect)
        here = middle.edges[0].product
        if big.dialect == "postgresql":  # in a quick run the table is small enough that reading all of it is no worse
            await session.execute(text("SET LOCAL enable_seqscan = off"))
            await session.execute(text("SET LOCAL enable_bitmapscan = off"))
        values = {"name_key": "m", "price": 300000, "created_at": here.created_at}
        for sort, category, inactive, backward in product(Sort, (None, "books"), (False, True), (False, True)):
            request = PageRequest(
                20,
                backward=backward,
                after=Position(values[sort.column], here.id),
                filter=Filter(category=category, include_inactive=inactive),
                sort=sort,
            )
            plan = await explain(big, session, queries.page_statement(request, big.dialect))
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
                queries.page_statement(request, big.dialect),
                queries.count_statement(request.filter, big.dialect),
            ):
                plan = await explain(big, session, statement)
                assert "product_search" in plan, plan
                assert "Seq Scan on product" not in plan
                assert "SCAN product\n" not in plan + "\n"


async def test_each_read_is_one_statement(big: Database, catalog: CatalogService) -> None:
    """A page, a search, a count and the list of categories take one statement each."""
    for read in (
        catalog.page(PageRequest.of(first=100, filter=Filter(category="books", search="a"))),
        catalog.count(Filter(search="lamp", in_stock=True)),
        catalog.categories(),
    ):
        with statements(big) as seen:
            await read
        assert len(seen) == 1
