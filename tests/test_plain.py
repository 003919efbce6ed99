"""Rows that are read past SQLAlchemy's execution are those that SQLAlchemy gives, and so are the failures."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import pytest
from sqlalchemy import (
    JSON,
    Float,
    Integer,
    LargeBinary,
    Numeric,
    Uuid,
    bindparam,
    event,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy.exc import OperationalError

from graph.catalog.models import CATEGORIES, PRODUCTS
from graph.catalog.reading import queries
from graph.catalog.reading.filtering import FilterShape, values_in
from graph.catalog.reading.pages import PageShape, page_statement, values_for
from graph.catalog.reading.paging import Filter, KeysetPosition, PageRequest, Sort
from graph.engines.columns import UtcDateTime
from graph.engines.database import Database
from graph.engines.plain import PlainReader
from graph.errors import Unavailable
from graph.settings import sqlite_url
from harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from sqlalchemy import Executable
    from sqlalchemy.pool import QueuePool

    from harness.postgres import Postgres

NUMBER = select((literal(1, Integer()) + bindparam("more", type_=Integer())).label("sum"))
ENDLESS = select(func.count()).select_from(
    text("(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n)")
)
MOMENT = datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC)
CATEGORY = {"id": 1, "slug": "a", "name": "A", "parent_id": None}


def products() -> Iterator[dict[str, Any]]:
    """Rows with every kind of value that a column may have."""
    for number, (active, tracked) in enumerate(product((True, False), (True, False)), 1):
        yield {
            "id": number, "sku": f"s{number}", "name": f"N {number}", "name_key": f"n {number}", "description": "d",
            "category_id": 1 if tracked else None, "price": 10_000 * number, "currency": "EUR", "stock": number,
            "active": active, "search": f"n {number}", "compare_at_price": None if active else 5, "tracked": tracked,
            "in_stock": not tracked, "group_id": "g" if active else None, "brand": None if tracked else "b",
            "gtin": None, "created_at": MOMENT, "updated_at": MOMENT,
        }  # fmt: skip


@pytest.fixture
async def single(sqlite_template: Path, tmp_path: Path) -> AsyncIterator[Database]:
    """Some products in SQLite, and one connection to them, over which everything is read."""
    file = Path(shutil.copy(sqlite_template, tmp_path / "own.db"))
    async with Database(sqlite_url(file), pool_size=1) as database:
        database._plain._near = None
        async with database.transaction() as session:
            await session.execute(insert(CATEGORIES), CATEGORY)
            await session.execute(insert(PRODUCTS), list(products()))
        yield database


EITHER = pytest.mark.parametrize(
    ("database_url", "how"),
    [("sqlite", "at once"), ("sqlite", "over a connection"), ("postgres", "over a connection")],
    indirect=["database_url"],
)
"""Each engine, and how `either` is read: at once from SQLite alone."""


@pytest.fixture
async def either(database_url: str, how: str) -> AsyncIterator[Database]:
    """The same products in each engine in turn, and one connection to them; short reads at once or over it."""
    async with Database(database_url, pool_size=1) as database:
        if how == "over a connection":
            database._plain.close()
            database._plain._near = None
        async with database.transaction() as session:
            await session.execute(insert(CATEGORIES), CATEGORY)
            await session.execute(insert(PRODUCTS), list(products()))
        yield database


def reads(dialect: str, step: int) -> Iterator[tuple[Executable, Mapping[str, Any]]]:
    """What the catalog reads, in every shape whose number divides by `step`."""
    filters = (
        Filter(),
        Filter(category="a", search="n", min_price=Decimal("0.5"), max_price=Decimal(9), in_stock=True),
        Filter(include_inactive=True, min_price=Decimal(1), attributes=(("x", "y"),), brand="b", group="g"),
    )
    for sort, chosen, backward in list(product(Sort, filters, (False, True)))[::step]:
        at = {"name_key": "n 1", "price": 1, "created_at": MOMENT}[sort.column]
        place = KeysetPosition(at, 2 if sort is Sort.NEWEST else 1)
        request = PageRequest(3, backward=backward, after=None if backward else place, filter=chosen, sort=sort)
        yield page_statement(PageShape.of(request, dialect)), values_for(request, dialect)
        shape = FilterShape.of(chosen, dialect)
        yield queries.count_statement(shape), values_in(chosen, dialect)
    moment = select(literal(MOMENT, UtcDateTime()), literal(None, UtcDateTime()), PRODUCTS.c.created_at)
    yield moment.where(PRODUCTS.c.updated_at == bindparam("at", type_=UtcDateTime())), {"at": MOMENT}


@EITHER
async def test_plain_rows_are_those_of_sqlalchemy(either: Database, scaled: Callable[[int, int], int]) -> None:
    """Values are bound and converted alike, in every statement of the catalog, and nothing is left to SQLAlchemy."""
    plain, found, step = PlainReader(either.engine.sync_engine), 0, scaled(1, 5)  # each sort, each filter either way
    for statement, values in reads(either.dialect, step):
        expected = [list(row) for row in await either.execute(statement, values)]
        assert plain.plain(statement) is not None
        rows = await either.rows(statement, values)
        assert [list(row) for row in rows] == expected
        assert [[type(one) for one in row] for row in rows] == [[type(one) for one in row] for row in expected]
        found += len(rows)
    assert found > len(Sort) * 4 / step
    for ids in ([1], [4], [99], [1, 4]):  # of several, the text depends on their number
        assert [row[0] for row in await queries.values_by_id(queries.RowReader(either.rows), ids)] == [
            one for one in ids if one < 9
        ]


def harder() -> Iterator[tuple[Executable, bool]]:
    """What a project of one's own may read, and whether that is plain on PostgreSQL."""
    tenths = literal(Decimal("0.1"), Numeric(10, 2))
    yield select(tenths), False
    yield select(literal(0.5, Float())), True
    yield select(literal_column("CAST(1.50 AS NUMERIC(10, 2))", Float()), literal(None, Float())), True
    yield select(literal(b"x", LargeBinary()), literal(UUID(int=7), Uuid()), literal({"a": [1]}, JSON())), True
    yield select(text("1"), literal({"a": 1}, JSON())), False
    yield select(bindparam("given", callable_=lambda: 7, type_=Integer())), False


@EITHER
async def test_what_is_harder_is_read_right(either: Database) -> None:
    """Types that need to know what the database says, places that are no column: SQLAlchemy executes these."""
    plain = PlainReader(either.engine.sync_engine)
    for statement, known in harder():
        expected = [list(row) for row in await either.execute(statement)]
        rows = [list(row) for row in await either.rows(statement, {})]
        assert rows == expected
        assert [[type(one) for one in row] for row in rows] == [[type(one) for one in row] for row in expected]
        if either.dialect == "postgresql":
            assert (plain.plain(statement) is not None) is known


async def test_what_somebody_listens_to_is_left_to_sqlalchemy(single: Database) -> None:
    """Traces hear of every statement, those included that were read past SQLAlchemy before."""
    assert list(map(tuple, await single.rows(NUMBER, {"more": 1}))) == [(2,)]
    heard: list[str] = []
    event.listen(single.engine.sync_engine, "before_cursor_execute", lambda *told: heard.append(told[2]))
    assert list(map(tuple, await single.rows(NUMBER, {"more": 2}))) == [(3,)]
    assert len(heard) == 1


async def test_rows_on_each_engine(database: Database) -> None:
    """PostgreSQL's rows are SQLAlchemy's."""
    assert [list(row) for row in await database.rows(NUMBER, {"more": 41})] == [[42]]
    assert [list(row) for row in await database.rows(text("SELECT 1"), {})] == [[1]]


async def test_plain_reads_fail_as_sqlalchemy_does(single: Database) -> None:
    """A wrong statement is the same bug with the same words; a damaged file is the database's failure."""
    await single.rows(NUMBER, {"more": 1})
    wrong = select(literal(1, Integer())).select_from(text("nowhere"))
    told: list[str] = []
    for read in (single.rows, single.execute):
        with pytest.raises(OperationalError) as caught:
            await read(wrong, {})
        told.append(str(caught.value))
    assert told[0] == told[1]
    assert "no such table: nowhere" in told[0]


def damage(path: Path) -> None:
    """Overwrite all of a file but its head."""
    with path.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(100)
        file.write(b"\xff" * (size - 100))


async def test_a_damaged_file_is_the_databases_failure(single: Database) -> None:
    """A client hears that the database is damaged."""
    damage(Path(single.engine.url.database or ""))
    async with Database(single.url, pool_size=1) as other:
        for read in (other.rows, other.execute):
            with pytest.raises(Unavailable, match="damaged"):
                await read(select(PRODUCTS.c.name), {})


async def abandon_reads(database: Database) -> None:
    """Cancel reads that would never end; after each the next caller is answered."""
    await database.rows(NUMBER, {"more": 1})
    pool = cast("QueuePool", database.engine.pool)
    for _ in range(3):
        endless = asyncio.create_task(database.rows(ENDLESS, {}))
        await until(lambda: pool.checkedin() == 0)
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        assert [list(row) for row in await database.rows(NUMBER, {"more": 2})] == [[3]]


async def test_a_plain_read_that_nobody_waits_for_ends(single: Database) -> None:
    """Its connection is there for the next caller, who does not wait for what would never end."""
    await abandon_reads(single)


async def test_a_connection_that_was_lost_is_opened_again(single: Database) -> None:
    """The read that finds it lost is answered over another one, and so is the next one."""
    await single.rows(NUMBER, {"more": 1})
    async with single.engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
    await raw.close()
    for more in (2, 3):
        assert [list(row) for row in await single.rows(NUMBER, {"more": more})] == [[1 + more]]


async def test_a_lost_connection_to_postgres_fails_no_read(postgres: Postgres) -> None:
    """The read that finds it lost is answered over another one, and the next one is plain again."""
    name = await postgres.create()
    async with Database(postgres.url(name), pool_size=1) as database:
        await database.rows(NUMBER, {"more": 1})
        plain = PlainReader(database.engine.sync_engine)
        for more in (2, 3):
            await postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            assert [list(row) for row in await database.rows(NUMBER, {"more": more})] == [[1 + more]]
            statement = plain.plain(NUMBER)
            assert statement is not None
            assert await plain.read(statement, {"more": 5}) == [(6,)]
    await postgres.drop(name)


async def test_a_read_of_postgres_that_nobody_waits_for_ends(postgres: Postgres) -> None:
    """Its connection is closed, and the next caller has one."""
    name = await postgres.create()
    async with Database(postgres.url(name), pool_size=1) as database:
        await abandon_reads(database)
    await postgres.drop(name)


async def test_a_read_of_postgres_that_is_closed_leaves_no_busy_connection(postgres: Postgres) -> None:
    """A coroutine that is thrown away while it waits takes its connection with it."""
    name = await postgres.create()
    async with Database(postgres.url(name), pool_size=1) as database:
        await database.rows(NUMBER, {"more": 1})
        reading = database.rows(ENDLESS, {})
        reading.send(None)
        reading.close()
        assert [list(row) for row in await database.rows(NUMBER, {"more": 2})] == [[3]]
    await postgres.drop(name)


async def test_postgres_is_not_asked_whether_it_is_there(postgres: Postgres) -> None:
    """A plain read is one statement; what SQLAlchemy executes is preceded by one that tries the connection."""
    name = await postgres.create()
    async with Database(postgres.url(name), pool_size=1) as database:
        await database.execute(NUMBER, {"more": 1})
        tried: list[None] = []
        ping = database.engine.dialect.do_ping
        database.engine.dialect.do_ping = lambda raw: (tried.append(None), ping(raw))[1]  # pyright: ignore[reportAttributeAccessIssue] - a look at it
        await database.rows(NUMBER, {"more": 1})
        assert not tried
        await database.execute(NUMBER, {"more": 1})
        assert len(tried) == 1
    await postgres.drop(name)
