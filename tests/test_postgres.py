"""PostgreSQL past SQLAlchemy's execution: what goes to the server, and how a connection can fail on the way."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, cast

import pytest
from sqlalchemy import (
    Integer,
    bindparam,
    event,
    func,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy.exc import IntegrityError

from graph.engines import database as database_module
from graph.engines.columns import UtcDateTime, UtcText, stored_moment
from graph.engines.database import Database
from graph.engines.plain import PlainTransaction
from graph.errors import Unavailable
from harness.waiting import HANG, until, within
from tests.support.engines.shelf import ADD, SHELF, SHELVES, two_shelves

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from sqlalchemy.pool import QueuePool

    from graph.engines.plain import Statements
    from harness.postgres import Postgres

RENAME = update(SHELF).values(name=bindparam("to"))
NAP = select(func.count()).select_from(select(func.pg_sleep(bindparam("seconds", type_=Integer()))).subquery())
COUNT = text("SELECT count(*) FROM category")
SESSIONS = text(
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
)


@pytest.fixture
async def name(postgres: Postgres) -> AsyncIterator[str]:
    """A database that nothing else uses, and that may be altered."""
    name = await postgres.create()
    yield name
    await postgres.drop(name)


@pytest.fixture
async def single(postgres: Postgres, name: str) -> AsyncIterator[Database]:
    """The database, with one connection, which is open."""
    async with Database(postgres.url(name), pool_size=1) as database:
        await database.execute(COUNT)
        yield database


@pytest.fixture
async def other(postgres: Postgres, name: str) -> AsyncIterator[Database]:
    """It, as another process has it."""
    async with Database(postgres.url(name)) as database:
        yield database


@contextlib.asynccontextmanager
async def sent(database: Database) -> AsyncGenerator[list[str]]:
    """What goes to the server over the only connection, by the first word, as its driver tells it."""
    async with database.engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
    seen: list[str] = []

    def note(query: Any) -> None:
        seen.append(query.query.split()[0])

    raw.add_query_logger(note)
    yield seen
    raw.remove_query_logger(note)


async def terminate(database: Database) -> None:
    """End all other sessions of this database, as an operator may."""
    await database.execute(
        text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
             "AND pid <> pg_backend_pid()")
    )  # fmt: skip


async def is_usable(database: Database, *, shelves: int) -> None:
    """The next read and the next transaction are done over the one connection, of which no other session is left."""
    assert (await database.rows(select(func.count()).select_from(SHELF), {}))[0][0] == shelves

    async def count(connection: Statements) -> int:
        return len((await connection.execute(SHELVES)).all())

    assert await database.transact(count) == shelves
    assert (await database.execute(SESSIONS))[0][0] == 0


async def test_a_transaction_is_its_statements_and_two_more(single: Database) -> None:
    """One statement for any number of rows, and what fails on the way has changed nothing, told as SQLAlchemy does."""
    async with sent(single) as queries:
        assert await single.transact(two_shelves) == ["a", "b"]
        await asyncio.sleep(0)
        assert queries == ["BEGIN", "INSERT", "SELECT", "COMMIT"]
        queries.clear()
        with pytest.raises(IntegrityError):  # both are there already
            await single.transact(two_shelves)

        async def stop(connection: Statements) -> None:
            await connection.execute(ADD, {"slug": "c"})
            raise KeyError

        with pytest.raises(KeyError):
            await single.transact(stop)
        await asyncio.sleep(0)
        assert queries == ["BEGIN", "INSERT", "ROLLBACK"] * 2
    await is_usable(single, shelves=2)


async def test_what_only_sqlalchemy_can_execute_begins_anew(single: Database) -> None:
    """What had been done before was rolled back."""
    begun: list[Statements] = []

    async def count(connection: Statements) -> int:
        begun.append(connection)
        await connection.execute(ADD, {"slug": "a"})
        return (await connection.execute(COUNT)).scalar_one()

    assert await single.transact(count) == 1
    assert [isinstance(one, PlainTransaction) for one in begun] == [True, False]
    await is_usable(single, shelves=1)


async def test_who_listens_hears_of_a_transaction(single: Database) -> None:
    """Traces see each statement of it, where they want to."""
    heard: list[str] = []
    event.listen(single.engine.sync_engine, "before_cursor_execute", lambda *told: heard.append(told[2]))
    single.listened(lambda: False)
    assert await single.transact(two_shelves) == ["a", "b"]
    assert heard == []
    single.listened(lambda: True)
    with pytest.raises(IntegrityError):
        await single.transact(two_shelves)
    assert heard


async def test_a_failed_statement_is_not_committed(single: Database) -> None:
    """PostgreSQL answers COMMIT as if nothing was wrong: work that hides a failure is told, and has changed nothing."""

    async def hide(connection: Statements) -> None:
        await connection.execute(ADD, {"slug": "a"})
        with contextlib.suppress(IntegrityError):
            await connection.execute(ADD, {"slug": "a"})

    with pytest.raises(RuntimeError, match="had failed"):
        await single.transact(hide)
    await is_usable(single, shelves=0)


async def test_a_connection_that_was_lost_before_fails_nothing(single: Database, other: Database) -> None:
    """Sessions that an operator ended while they were idle cost neither a read nor a transaction."""
    for shelves in (1, 2):

        async def add(connection: Statements, slug: str = f"s{shelves}") -> None:
            await connection.execute(ADD, {"slug": slug})

        await terminate(other)
        await single.transact(add)
        await terminate(other)
        await is_usable(single, shelves=shelves)


async def test_a_connection_that_is_lost_on_the_way_has_changed_nothing(single: Database, other: Database) -> None:
    """The caller is told that the database is away, whatever was to come next; the next one has another connection."""

    async def lose(connection: Statements) -> None:
        await connection.execute(ADD, {"slug": "a"})
        await terminate(other)
        await connection.execute(SHELVES)

    async def lose_last(connection: Statements) -> None:
        await connection.execute(ADD, {"slug": "a"})
        await terminate(other)

    for work in (lose, lose_last):
        with pytest.raises(Unavailable):
            await single.transact(work)
        await is_usable(single, shelves=0)


async def test_a_transaction_that_is_cancelled_leaves_no_session(
    postgres: Postgres, name: str, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither while a statement runs, nor between two of them, nor while it waits for a row."""
    monkeypatch.setattr(database_module, "IDLE_TIMEOUT", 3600.0)  # so that the server does not end it
    async with Database(postgres.url(name), pool_size=1) as single:
        await single.execute(COUNT)
        await single.transact(two_shelves)
        await abandon_transactions(single, other)
        await is_usable(single, shelves=2)


async def abandon_transactions(single: Database, other: Database) -> None:
    """Cancel transactions of `single`; whatever they did is undone before the next one begins."""

    async def nap(connection: Statements) -> None:
        await connection.execute(RENAME, {"to": "lost"})
        await connection.execute(NAP, {"seconds": 3600})

    async def dawdle(connection: Statements) -> None:
        await connection.execute(RENAME, {"to": "lost"})
        await asyncio.sleep(3600)

    async def gone() -> None:
        async with within("its session to be gone"):
            while (await other.execute(SESSIONS))[0][0]:
                await asyncio.sleep(0.01)

    for work in (nap, dawdle):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await single.transact(work)
        await gone()
    async with other.transaction() as session:
        await session.execute(RENAME, {"to": "kept"})
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await single.transact(dawdle)
    await gone()
    assert await other.rows(select(SHELF.c.name), {}) == [("kept",)] * 2


async def test_a_row_is_not_waited_for_for_ever(
    postgres: Postgres, name: str, other: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait ends, says that trying again may help, and leaves the connection as it was."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.2)
    async with Database(postgres.url(name), pool_size=1) as single:
        await single.execute(COUNT)
        await single.transact(two_shelves)

        async def rename(connection: Statements) -> None:
            await connection.execute(RENAME, {"to": "x"})

        async with other.transaction() as session:
            await session.execute(RENAME, {"to": "y"})
            with pytest.raises(Unavailable):
                await single.transact(rename)
        await single.transact(rename)
        await is_usable(single, shelves=2)


async def test_who_finds_no_free_connection_is_told(
    postgres: Postgres, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After `POOL_TIMEOUT`, and is served when there is one again."""
    monkeypatch.setattr(database_module, "POOL_TIMEOUT", 0.1)
    async with Database(postgres.url(name), pool_size=1) as single:
        async with single.transaction():
            with pytest.raises(Unavailable):
                await single.transact(two_shelves)
            with pytest.raises(Unavailable):
                await single.rows(SHELVES, {})
        assert await single.transact(two_shelves) == ["a", "b"]


async def test_times_are_the_same_as_text(single: Database) -> None:
    """Those before 2000, the first and the last, and those without an end, which the driver reads as these."""
    for moment in (
        "1999-12-31 23:59:59.999999+05",
        "0001-01-01",
        "9999-12-31 23:59:59.999999",
        "infinity",
        "-infinity",
    ):
        at = [literal_column(f"CAST('{moment}' AS timestamptz)", kind()) for kind in (UtcText, UtcDateTime)]
        ((stored, read),) = await single.rows(select(*at), {})
        assert stored_moment(stored) == read
    assert (await single.rows(select(literal_column("CAST(NULL AS timestamptz)", UtcText())), {}))[0][0] is None


FORGOTTEN = {
    "discarded": "DISCARD ALL",
    "deallocated": "DEALLOCATE ALL",
    "migrated": "ALTER TABLE category ALTER COLUMN slug TYPE varchar({0})",
}


@pytest.mark.parametrize("done", FORGOTTEN)
async def test_a_statement_that_the_server_forgot_is_prepared_again(single: Database, done: str) -> None:
    """Whether a pooler discarded it or a migration changed what it returns: nobody hears of it."""

    async def forget(length: int) -> None:
        async with single.engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
        await raw.execute(FORGOTTEN[done].format(length))

    begun: list[Statements] = []

    async def add(connection: Statements) -> int:
        begun.append(connection)
        before = len((await connection.execute(SHELVES)).all())
        await connection.execute(ADD, [{"slug": f"x{before}"}, {"slug": f"y{before}"}])
        return before

    assert await single.transact(add) == 0
    await forget(100)
    assert await single.transact(add) == 2
    assert [isinstance(one, PlainTransaction) for one in begun] == [True] * 3
    assert len(await single.rows(SHELVES, {})) == 4
    await forget(101)
    assert len(await single.rows(SHELVES, {})) == 4
    await is_usable(single, shelves=4)


async def test_a_pooler_that_keeps_no_statements(postgres: Postgres, name: str) -> None:
    """With the options for one in the URL nothing is prepared for later, and everything is done."""
    url = f"{postgres.url(name)}&statement_cache_size=0&prepared_statement_cache_size=0"
    async with Database(url, pool_size=1) as single:
        await single.execute(COUNT)
        assert await single.transact(two_shelves) == ["a", "b"]
        assert (await single.execute(text("SELECT count(*) FROM pg_prepared_statements")))[0][0] <= 1
        await is_usable(single, shelves=2)


async def test_a_database_that_takes_no_writes(postgres: Postgres, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The caller is told so, and the log, once."""
    await postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with Database(postgres.url(name), pool_size=1) as single:
        await single.execute(COUNT)
        for _ in range(2):
            with pytest.raises(Unavailable, match="cannot be written"):
                await single.transact(two_shelves)
        await is_usable(single, shelves=0)
    told = [record.getMessage() for record in caplog.records if record.name == "graph.engines.database"]
    assert [line.partition(":")[0] for line in told if "takes no writes" in line] == ["SQL takes no writes"]


async def test_the_transactions_of_many_share_the_connections(
    postgres: Postgres, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred at once over four connections are all done, and no more sessions are opened."""
    monkeypatch.setattr(database_module, "POOL_TIMEOUT", HANG)
    async with Database(postgres.url(name), pool_size=4) as database:
        await asyncio.gather(*(database.execute(COUNT) for _ in range(4)))

        async def add(connection: Statements, slug: str) -> None:
            await connection.execute(ADD, {"slug": slug})

        await asyncio.gather(
            *(database.transact(lambda connection, slug=f"s{n}": add(connection, slug)) for n in range(100))
        )
        assert (await database.execute(COUNT))[0][0] == 100
        pool = cast("QueuePool", database.engine.pool)
        await until(lambda: pool.checkedout() == 0)
        here = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
        assert (await database.execute(here))[0][0] <= 4
