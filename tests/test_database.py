"""The database: transactions, waiting writers, migrations, and what happens when it is away."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import multiprocessing
import os
import random
import signal
import sqlite3
import sys
import threading
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, literal, select, text, type_coerce
from sqlalchemy.util import await_only
from sqlmodel import SQLModel

import graph
from graph.engines import database as module
from graph.engines import postgres as postgres_module
from graph.engines.columns import UtcDateTime, UtcText, stored_moment
from graph.engines.database import Database, async_url, migrate
from graph.engines.revisions import head_revision
from graph.errors import Unavailable
from harness.waiting import HANG, within
from tests.support.processes import fork_server
from tests.support.processes.migrator import migrate_with_others

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.engine import Connection

    from harness.postgres import Postgres

INSERT = text("INSERT INTO category (slug, name) VALUES (:slug, :slug)")
COUNT = text("SELECT count(*) FROM category")


async def test_a_transaction_commits_or_leaves_nothing(database: Database) -> None:
    """A block that ends well is kept whole; one that raises leaves no trace; a session never writes."""
    async with database.transaction() as session:
        await session.execute(INSERT, {"slug": "kept"})

    async def fail() -> None:
        async with database.transaction() as session:
            await session.execute(INSERT, {"slug": "lost"})
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    async with database.session() as session:
        await session.execute(INSERT, {"slug": "read only"})
    async with database.session() as session:
        assert (await session.scalars(text("SELECT slug FROM category"))).all() == ["kept"]


async def test_a_session_reads_one_instant(database: Database) -> None:
    """On SQLite two reads of one session agree although another writer commits between them."""
    if database.dialect != "sqlite":
        pytest.skip("PostgreSQL reads each statement's instant; no service needs more of it")
    async with database.session() as reading:
        assert await reading.scalar(COUNT) == 0
        async with database.transaction() as writing:
            await writing.execute(INSERT, {"slug": "new"})
        assert await reading.scalar(COUNT) == 0


async def test_a_statement_of_its_own(database: Database) -> None:
    """A read outside any transaction sees what was committed before it, gives all its rows, and takes values."""
    for slugs in ([], ["a"], ["a", "b"]):
        rows = await database.execute(text("SELECT slug FROM category WHERE slug <> :no ORDER BY slug"), {"no": "c"})
        assert [row.slug for row in rows] == slugs
        async with database.transaction() as session:
            await session.execute(INSERT, {"slug": "abc"[len(slugs)]})


async def test_a_transaction_follows_a_statement_of_its_own(database_url: str) -> None:
    """On one connection, reads outside transactions leave it as it was: the next transaction can be rolled back."""
    async with Database(database_url, pool_size=1) as database:
        for _ in range(2):
            assert (await database.execute(COUNT))[0][0] == 0
            async with database.transaction() as session:
                await session.execute(INSERT, {"slug": "a"})
                await session.rollback()


async def test_writers_that_read_first_wait_for_one_another(database: Database, database_url: str) -> None:
    """Twenty read-then-write transactions at once, over two pools, all succeed and none overwrites another's step."""
    async with database.transaction() as session:
        await session.execute(INSERT, {"slug": "counter"})
        await session.execute(text("UPDATE category SET name = '0'"))

    async def step(own: Database) -> None:
        async with own.transaction() as session:
            lock = "" if database.dialect == "sqlite" else " FOR UPDATE"
            value = await session.scalar(text(f"SELECT name FROM category{lock}"))
            await session.execute(text("UPDATE category SET name = :name"), {"name": str(int(value or 0) + 1)})

    async with Database(database_url) as other:
        await asyncio.gather(*(step(own) for own in (database, other) * 10))
    async with database.session() as session:
        assert await session.scalar(text("SELECT name FROM category")) == "20"


async def test_foreign_keys_hold(database: Database) -> None:
    """Deleting a category takes its products out of it, so the engine enforces the key."""
    product = text(
        "INSERT INTO product (sku, name, name_key, description, category_id, price, currency, stock, active, search, "
        "created_at, updated_at) VALUES ('a', 'a', 'a', '', (SELECT id FROM category), 1, 'USD', 1, true, 'a', "
        "CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)"
    )
    async with database.transaction() as session:
        await session.execute(INSERT, {"slug": "c"})
        await session.execute(product)
        await session.execute(text("DELETE FROM category"))
    async with database.session() as session:
        assert (await session.execute(text("SELECT category_id FROM product"))).scalar_one() is None


def test_sqlite_is_durable_and_shared(sqlite_template: Path) -> None:
    """A connection is in WAL mode, flushes each commit, enforces keys and waits for locks."""

    async def read() -> list[Any]:
        async with Database(f"sqlite:///{sqlite_template}") as database, database.session() as session:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            return [await session.scalar(text(f"PRAGMA {name}")) for name in names]

    assert asyncio.run(read()) == ["wal", 2, 1, int(module.BUSY_TIMEOUT * 1000)]


async def test_a_lock_held_too_long_is_unavailable(sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that cannot get SQLite's lock in time reports UNAVAILABLE, not an internal error."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.05)
    holder = sqlite3.connect(sqlite_template, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        async with Database(f"sqlite:///{sqlite_template}") as database:
            with pytest.raises(Unavailable):
                async with database.transaction():
                    pass
            async with database.session() as session:
                assert await session.scalar(COUNT) == 0
    finally:
        holder.close()


@pytest.mark.parametrize("url", ["postgresql://graph@127.0.0.1:1/graph", "sqlite:////proc/none/graph.db"])
async def test_a_database_that_is_away_is_unavailable(url: str) -> None:
    """Reading, writing and migrating all report UNAVAILABLE while nothing answers."""
    async with Database(url) as database:
        with pytest.raises(Unavailable):
            async with database.session():
                pass
        with pytest.raises(Unavailable):
            await database.execute(COUNT)
        with pytest.raises(Unavailable):
            async with database.transaction():
                pass
    with pytest.raises(Unavailable):
        await migrate(url)


async def test_postgresql_ends_what_waits_for_too_long(postgres: Postgres) -> None:
    """A session waits for a row for a bounded time, and is ended where its transaction is idle for too long."""
    name = await postgres.lend()
    async with Database(postgres.url(name)) as database, database.session() as session:
        for setting in ("lock_timeout", "idle_in_transaction_session_timeout"):
            milliseconds = text("SELECT setting::int FROM pg_settings WHERE name = :name")
            assert 0 < await session.scalar(milliseconds, {"name": setting}) <= 120_000
    await postgres.take_back(name)


async def test_postgresql_lost_and_back(postgres: Postgres) -> None:
    """Sessions whose connections the server closed fail no later query: the pool notices and connects again."""
    name = await postgres.lend()
    async with Database(postgres.url(name)) as database:
        async with database.session() as session:
            await session.scalar(COUNT)
        for _ in range(2):
            await postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            assert (await database.execute(COUNT))[0][0] == 0
            await postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
            async with database.session() as session:
                assert await session.scalar(COUNT) == 0
    await postgres.take_back(name)


BY_AN_OPERATOR = {
    "takes no connections": ("ALTER DATABASE {0} ALLOW_CONNECTIONS false", "ALTER DATABASE {0} ALLOW_CONNECTIONS true"),
    "lets the role not in": ("ALTER ROLE shop NOLOGIN", "ALTER ROLE shop LOGIN"),
    "knows no such database": ("ALTER DATABASE {0} RENAME TO {0}_gone", "ALTER DATABASE {0}_gone RENAME TO {0}"),
    "takes no writes": (
        "ALTER DATABASE {0} SET default_transaction_read_only = on",
        "ALTER DATABASE {0} RESET default_transaction_read_only",
    ),
    "ends every statement": (
        "ALTER ROLE shop SET statement_timeout = 1",
        "ALTER ROLE shop RESET statement_timeout",
    ),
    "lets the role write nothing": (
        "ALTER ROLE shop SET role = pg_read_all_data",
        "ALTER ROLE shop RESET role",
    ),
}
"""What PostgreSQL does then, how that is made so, and how it ends."""


@pytest.mark.parametrize("does", BY_AN_OPERATOR)
async def test_what_an_operator_does_to_postgresql_is_no_bug(
    does: str, postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Writes are UNAVAILABLE; the log tells of it once, and once of its end, after which all is as before."""
    name = await postgres.create()
    url = postgres.url(name).replace("postgres@", "shop@")
    slow = text("INSERT INTO category (slug, name) SELECT :slug, 'x' || pg_sleep(0.1)::text")  # no statement of 1 ms
    begin, end = (statement.format(name) for statement in BY_AN_OPERATOR[does])
    lost = f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '{name}'"
    made = "DO $$ BEGIN CREATE ROLE shop LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
    await postgres.execute(made)

    async def write(slug: str) -> None:
        async with database.transaction() as session:
            await session.execute(slow, {"slug": slug})

    async with Database(url) as database:
        await write("before")
        await postgres.execute(lost, begin)
        try:
            for number in range(3):
                with pytest.raises(Unavailable):
                    await write(f"meanwhile {number}")
        finally:
            await postgres.execute(lost, end)
        await write("after")
        assert (await database.execute(COUNT))[0][0] == 2
    told = [record.getMessage() for record in caplog.records if record.name == "graph.engines.database"]
    if told or does not in ("ends every statement", "lets the role write nothing"):  # connections may be had there
        assert len(told) == 2, told
        assert told[1] in ("SQL is back", "SQL takes writes again")
    await postgres.drop(name)


async def test_a_session_that_is_ended_while_it_is_set_up_is_a_database_that_is_away(postgres: Postgres) -> None:
    """The driver loses the thread of the protocol then, and says so in words of its own, which no client hears."""
    name = await postgres.lend()

    def end(raw: Any, _record: object) -> None:
        await_only(postgres.execute(f"SELECT pg_terminate_backend({raw.driver_connection.get_server_pid()}, 60000)"))
        await_only(asyncio.sleep(0.05))  # the server's farewell is read

    async with Database(postgres.url(name)) as database:
        event.listen(database.engine.sync_engine, "connect", end, insert=True)
        with pytest.raises(Unavailable):
            await database.execute(COUNT)
        with pytest.raises(Unavailable):
            async with database.session():
                pass
        with pytest.raises(Unavailable):
            await _add(database, "lost")
        event.remove(database.engine.sync_engine, "connect", end)
        assert (await database.execute(COUNT))[0][0] == 0
    await postgres.take_back(name)


async def test_postgresql_that_says_nothing_any_more_is_left(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that has stopped answering does not keep a process from ending."""
    monkeypatch.setattr(module, "GOODBYE", 0.5)
    name = await postgres.lend()
    database = Database(postgres.url(name))
    backend = (await database.execute(text("SELECT pg_backend_pid()")))[0][0]
    os.kill(backend, signal.SIGSTOP)
    try:
        async with within("the database to be left"):
            await database.close()
    finally:
        os.kill(backend, signal.SIGCONT)
    await postgres.take_back(name)


async def test_postgresql_is_asked_once(postgres: Postgres) -> None:
    """A read outside any transaction has no BEGIN and ROLLBACK, neither for itself nor for trying its connection."""
    begun = "BEGIN ISOLATION LEVEL READ COMMITTED;"
    name = await postgres.lend()
    async with Database(postgres.url(name), pool_size=1) as database:
        seen: list[str] = []

        def note(told: Any) -> None:
            seen.append(told.query)

        async with database.engine.connect() as connection:
            raw: Any = (await connection.get_raw_connection()).driver_connection
            raw.add_query_logger(note)
        await database.execute(COUNT)
        assert [query for query in seen if "BEGIN" in query or "ROLLBACK" in query] == []
        async with database.session() as session:
            await session.scalar(COUNT)
        assert [query for query in seen if "BEGIN" in query or "ROLLBACK" in query] == [begun, "ROLLBACK;"]
    await postgres.take_back(name)


def test_urls() -> None:
    """A URL may leave out the driver; another engine or a database in memory is refused with the reason."""
    assert async_url("postgres://u@h/d").drivername == "postgresql+asyncpg"
    assert async_url("sqlite:///x.db").drivername == "sqlite+aiosqlite"
    with pytest.raises(ValueError, match="only sqlite and postgresql"):
        async_url("mysql://u@h/d")
    with pytest.raises(ValueError, match="needs a file"):
        async_url("sqlite://")
    with pytest.raises(ValueError, match="statement_cache_size=none: a number is wanted"):
        async_url("postgres://u@h/d?statement_cache_size=none")
    with pytest.raises(ValueError, match="application_name: PostgreSQL's driver has no such option"):
        async_url("postgres://u@h/d?application_name=x")


def test_each_option_of_the_driver_may_be_in_a_url() -> None:
    """What is no text, and is not the program's own business, is a number."""
    taken = set(inspect.signature(cast("Any", asyncpg).connect).parameters)
    assert set(postgres_module.OPTIONS) - taken == {"prepared_statement_cache_size"}
    others = taken - set(postgres_module.OPTIONS)
    assert others == {"dsn", "loop", "connection_class", "record_class", "server_settings", "direct_tls"}


async def test_statements_need_not_be_cached(postgres: Postgres) -> None:
    """A URL may switch off what a pooler of connections cannot do."""
    name = await postgres.lend()
    off = "&statement_cache_size=0&prepared_statement_cache_size=0&command_timeout=60"
    async with Database(postgres.url(name) + off) as database:
        assert (await database.execute(COUNT))[0][0] == 0
    await postgres.take_back(name)


def test_moments_are_utc() -> None:
    """A moment in another zone is stored as UTC; one without a zone is refused."""
    kind, dialect = UtcDateTime(), Database("sqlite:///x.db").engine.dialect
    local = datetime(2026, 1, 31, 14, tzinfo=timezone(timedelta(hours=2)))
    assert kind.process_bind_param(local, dialect) == datetime(2026, 1, 31, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="time zone"):
        kind.process_bind_param(datetime(2026, 1, 31), dialect)  # noqa: DTZ001 - the mistake under test


async def test_a_moment_is_read_as_it_was_written(database: Database) -> None:
    """To the microsecond and on each engine, as a moment or as text, whatever zone it was written in."""
    at = datetime(2026, 1, 31, 23, 59, 59, 7, tzinfo=timezone(timedelta(hours=-5)))
    statement = select(
        literal(at, UtcDateTime()).label("at"),
        type_coerce(literal(at, UtcDateTime()), UtcText()).label("text"),
        literal(None, UtcDateTime()).label("none"),
    )
    (row,) = await database.execute(statement)
    assert row.at == stored_moment(row.text) == at
    assert row.at.utcoffset() == timedelta(0)
    assert (row.text, row.none) == ("2026-02-01 04:59:59.000007", None)


# --- migrations ---


async def test_the_tables_are_those_of_the_models(database: Database) -> None:
    """Migrating an empty database makes exactly the tables, columns and indexes that the models declare."""
    for path in sorted(Path(graph.__file__).parent.glob("*/models.py")):
        import_module(f"graph.{path.parent.name}.models")
    known = set(SQLModel.metadata.tables)

    def mine(thing: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:  # noqa: FBT001 - Alembic's
        if kind == "index" and name in ("product_search", "product_by_attribute"):  # expression indexes: not reflected
            return False
        return kind != "table" or (name in known and not getattr(thing, "info", {}).get("elsewhere"))

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"include_object": mine, "compare_type": False})
        return compare_metadata(context, SQLModel.metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    assert await database.revision() == head_revision()


def test_the_newest_migration_is_the_one_that_alembic_finds() -> None:
    """It is read from the files without Alembic."""
    migrations = Path(graph.__file__).parent / "engines" / "migrations"
    assert head_revision() == ScriptDirectory(str(migrations)).get_current_head()


async def test_a_database_that_is_up_to_date_needs_no_alembic(sqlite_template: Path, postgres: Postgres) -> None:
    """Loading it takes a tenth of the time to start."""
    name = await postgres.lend()
    urls = (f"sqlite:///{sqlite_template}", postgres.url(name))
    code = f"""
import asyncio, sys
from graph.engines.database import migrate
for url in {urls!r}:
    asyncio.run(migrate(url))
assert "sqlalchemy" in sys.modules and "alembic" not in sys.modules
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, cwd=Path(graph.__file__).parents[1])
    assert await process.wait() == 0
    await postgres.take_back(name)


@pytest.mark.heavy
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_processes_may_migrate_at_once(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Four processes that migrate one empty database at the same moment all succeed, and it is done once."""
    if engine == "sqlite":
        url = f"sqlite:///{tmp_path / 'deep' / 'new.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.url(await server.create(empty=True))
    spawn = multiprocessing.get_context("spawn")
    start, results = spawn.Event(), spawn.Queue()
    children = [spawn.Process(target=migrate_with_others, args=(url, start, results)) for _ in range(4)]
    for child in children:
        child.start()
    start.set()
    outcomes = [await asyncio.to_thread(results.get, timeout=HANG) for _ in children]
    for child in children:
        child.join()
    results.close()
    assert outcomes == [""] * 4
    async with Database(url) as database:
        assert await database.revision() == head_revision()


async def test_a_failed_migration_leaves_nothing(tmp_path: Path) -> None:
    """A migration that fails half-way leaves the database as it was, without a single new table."""
    url = f"sqlite:///{tmp_path / 'graph.db'}"
    with sqlite3.connect(tmp_path / "graph.db") as connection:
        connection.execute("CREATE TABLE product_events (id INTEGER)")
    connection.close()
    with pytest.raises(Exception, match="product_events"):
        await migrate(url)
    async with Database(url) as database, database.session() as session:
        names = await session.scalars(text("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
        assert names.all() == ["product_events"]


@pytest.mark.parametrize("alone", [False, True])
def test_a_connection_that_nobody_waits_for_is_closed(
    sqlite_template: Path, monkeypatch: pytest.MonkeyPatch, *, alone: bool
) -> None:
    """However early a read is cancelled, its connection's thread ends with the database and not after the loop."""
    failures: list[BaseException | None] = []

    def note(failure: threading.ExceptHookArgs) -> None:
        failures.append(failure.exc_value)

    monkeypatch.setattr(threading, "excepthook", note)

    async def cancel_after(turns: int) -> None:
        async with Database(f"sqlite:///{sqlite_template}") as database:

            async def read() -> None:
                if alone:
                    await database.execute(text("SELECT 1"))
                    return
                async with database.session() as session:
                    await session.execute(text("SELECT 1"))

            task = asyncio.create_task(read())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    for turns in range(60):
        asyncio.run(cancel_after(turns % 20))
    assert failures == []


# --- processes that stand still, or are gone ---


async def _add(database: Database, slug: str) -> None:
    async with database.transaction() as session:
        await session.execute(INSERT, {"slug": slug})


async def test_a_connection_that_is_lost_after_the_last_read_takes_nothing_along(postgres: Postgres) -> None:
    """What was read stands although it cannot be rolled back any more; an error of the block is told, not that one."""
    name = await postgres.lend()
    end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    async with Database(postgres.url(name)) as database:
        for _ in range(5):  # the end may or may not have arrived when the session closes
            async with database.session() as session:
                await session.scalar(COUNT)
                await postgres.execute(end)
            with pytest.raises(KeyError):
                async with database.session() as session:
                    await session.scalar(COUNT)
                    await postgres.execute(end)
                    raise KeyError
        assert (await database.execute(COUNT))[0][0] == 0
    await postgres.take_back(name)


WRITER = "tests.support.processes.stuck_writer"
_RENAME = text("UPDATE category SET name = name || '!' WHERE slug = 'row'")


async def _sessions(database: Database, state: str) -> int:
    async with database.session() as session:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE :state")
        return int(await session.scalar(query, {"state": state}) or 0)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_transaction_that_stands_still_is_ended(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows are free for others after a while, and whoever had opened it is told that the database was away."""
    monkeypatch.setattr(module, "IDLE_TIMEOUT", 0.3)
    async with Database(database_url) as frozen, Database(database_url) as other:
        await _add(other, "row")
        with pytest.raises(Unavailable):
            async with frozen.transaction() as session:
                await session.execute(_RENAME)
                async with within("the rows of who stands still"), other.transaction() as theirs:
                    await theirs.execute(_RENAME)
                await session.execute(_RENAME)
        async with frozen.transaction() as session:  # on another connection
            await session.execute(_RENAME)
        assert await other.execute(text("SELECT name FROM category")) == [("row!!",)]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_nobody_waits_for_a_row_for_ever(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another transaction keeps a row, the wait for it ends, and says that trying again may help."""
    monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.2)
    async with Database(database_url) as holder, Database(database_url) as waiter:
        await _add(holder, "row")
        async with holder.transaction() as session:
            await session.execute(_RENAME)
            with pytest.raises(Unavailable):
                async with within("the end of the wait for a row"), waiter.transaction() as theirs:
                    await theirs.execute(_RENAME)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_process_that_stands_still_amid_a_statement_keeps_no_row(
    database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whoever waited in vain for its rows ends its session, and has them the next time."""
    async with Database(database_url) as database:
        await _add(database, "row")
        with (tmp_path / "out").open("wb") as out:
            process = fork_server.python("-m", WRITER, "stand-still", database_url, out=out)
        try:
            async with within("the server to wait for the rest of the statement"):
                waiting = text("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'ClientRead'")
                while not await database.execute(waiting):
                    await asyncio.sleep(0.01)
            monkeypatch.setattr(module, "BUSY_TIMEOUT", 0.2)
            async with Database(database_url) as waiter, within("the row to be free"):
                monkeypatch.setattr(module, "IDLE_TIMEOUT", 0.5)  # now, so that its own sessions may be slower
                while True:
                    with contextlib.suppress(Unavailable):
                        async with waiter.transaction() as theirs:
                            await theirs.execute(_RENAME)
                        break
        finally:
            process.kill()
            process.wait(HANG)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_the_statement_of_a_process_that_was_killed_ends(database_url: str, tmp_path: Path) -> None:
    """PostgreSQL looks whether the client is still there, also in the middle of a statement."""
    async with Database(database_url) as database:
        await _add(database, "row")
        with (tmp_path / "out").open("wb") as out:
            process = fork_server.python("-m", WRITER, "hang", database_url, out=out)
        async with within("the statement to be under way"):
            while not await database.execute(text("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'")):
                await asyncio.sleep(0.01)
        process.kill()
        process.wait(HANG)
        async with within("the statement to end"):
            while await _sessions(database, "%") > 1:
                await asyncio.sleep(0.05)
        async with database.transaction() as session:
            await session.execute(_RENAME)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_transaction_that_is_cancelled_at_any_moment_leaves_no_session_open(
    database_url: str, scaled: Callable[[int, int], int]
) -> None:
    """Wherever a cancellation (or two) hits, its connections are idle again, and its rows free."""
    async with Database(database_url) as database, Database(database_url) as other:
        async with other.transaction() as session:
            await session.execute(INSERT, [{"slug": f"row{number}"} for number in range(500)])

        async def write() -> None:
            while True:
                async with database.transaction() as session:
                    await session.execute(text("SELECT * FROM category FOR UPDATE"))
                    rename = text("UPDATE category SET name = :slug WHERE slug = :slug")
                    await session.execute(rename, [{"slug": f"row{number}"} for number in range(500)])

        rng = random.Random(7)
        for _ in range(scaled(200, 20)):
            task = asyncio.create_task(write())
            for _ in range(rng.choice((1, 2))):
                await asyncio.sleep(rng.uniform(0, 0.1))
                task.cancel()
            async with within("the cancelled transaction to end, and its connection to be idle"):
                await asyncio.wait((task,))
                while await _sessions(other, "idle in%") or await _sessions(other, "active") > 1:
                    await asyncio.sleep(0.01)


async def test_nobody_else_reads_the_file(tmp_path: Path) -> None:
    """A SQLite file is made 0600 in a directory of 0700, an older one is closed to others, and so are its journals."""
    path = tmp_path / "data" / "graph.db"
    await migrate(f"sqlite:///{path}")
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    path.chmod(0o644)
    await migrate(f"sqlite:///{path}")
    assert path.stat().st_mode & 0o777 == 0o600
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
        journals = [one for one in path.parent.iterdir() if one != path]
        assert all(one.stat().st_mode & 0o077 == 0 for one in journals)
