"""SQLite's driver: how often it goes to a connection's thread, and what becomes of statements that nobody waits for."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, literal, select, text
from sqlalchemy.exc import IntegrityError, OperationalError

from graph.engines import database as database_module
from graph.engines.database import Database
from graph.engines.plain import PlainTransaction
from graph.settings import sqlite_url
from harness.waiting import HANG, within
from tests.support.engines.shelf import ADD, two_shelves

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from graph.engines.plain import Statements

ONE = text("SELECT 1")
COUNT = text("SELECT count(*) FROM category")
INSERT = text("INSERT INTO category (slug, name) VALUES (:slug, :slug)")
FOR_EVER = text("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n")


class Trips:
    """A connection's queue that notes what goes into it: whether anybody waits for it."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self.seen: list[str] = []

    def put_nowait(self, item: Any) -> None:
        """As the queue's."""
        self.seen.append("done later" if item[0] is None else "waited for")
        self._queue.put_nowait(item)


@pytest.fixture
def file(sqlite_template: Path, tmp_path: Path) -> Path:
    """A migrated, empty database."""
    return Path(shutil.copy(sqlite_template, tmp_path / "own.db"))


@pytest.fixture
async def single(file: Path) -> AsyncIterator[Database]:
    """The database, with one connection."""
    async with Database(sqlite_url(file), pool_size=1) as database:
        yield database


@pytest.fixture
def other(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to it as another process would have."""
    connection = sqlite3.connect(file, isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
async def trips(single: Database) -> list[str]:
    """The trips of its connection."""
    queues: list[Trips] = []

    def watch(connection: Any, _: Any) -> None:
        raw = connection.driver_connection
        raw._tx = Trips(raw._tx)
        queues.append(raw._tx)

    event.listen(single.engine.sync_engine, "connect", watch)
    await single.execute(ONE)
    (queue,) = queues
    queue.seen.clear()
    return queue.seen


async def test_a_read_is_one_trip(single: Database, trips: list[str]) -> None:
    """A single statement goes to the thread once; a session once for each statement, and nobody waits for its end."""
    assert (await single.execute(COUNT))[0][0] == 0
    assert trips == ["waited for"]
    trips.clear()
    async with single.session() as session:
        assert await session.scalar(COUNT) == 0
        assert (await session.execute(ONE)).all() == [(1,)]
    assert trips == ["waited for", "waited for", "done later"]
    trips.clear()
    async with single.session():
        pass
    assert trips == []


async def test_a_write_is_three_trips_and_its_statements(single: Database, trips: list[str]) -> None:
    """A transaction waits for its BEGIN, for each statement, also one of many rows, and for its COMMIT."""
    async with single.transaction() as session:
        await session.execute(INSERT, [{"slug": "a"}, {"slug": "b"}])
        assert await session.scalar(COUNT) == 2
    assert trips == ["waited for"] * 4
    trips.clear()
    with pytest.raises(KeyError):
        async with single.transaction():
            raise KeyError
    assert trips == ["waited for"] * 2


async def test_a_transaction_that_waits_for_nothing_else_is_one_trip(single: Database, trips: list[str]) -> None:
    """From BEGIN to COMMIT; what fails on the way has changed nothing, and is told as SQLAlchemy tells it."""
    assert await single.transact(two_shelves) == ["a", "b"]
    assert trips == ["waited for"]
    trips.clear()
    with pytest.raises(IntegrityError):  # both are there already
        await single.transact(two_shelves)

    async def stop(connection: Statements) -> None:
        await connection.execute(ADD, {"slug": "c"})
        raise KeyError

    with pytest.raises(KeyError):
        await single.transact(stop)
    assert trips == ["waited for"] * 2
    assert (await single.execute(COUNT))[0][0] == 2


async def test_what_only_sqlalchemy_can_execute_takes_its_way(single: Database, trips: list[str]) -> None:
    """It begins anew, statement by statement; what had been done in the one trip was rolled back."""
    begun: list[Statements] = []

    async def count(connection: Statements) -> int:
        begun.append(connection)
        await connection.execute(ADD, {"slug": "a"})
        return (await connection.execute(COUNT)).scalar_one()

    assert await single.transact(count) == 1
    assert [isinstance(one, PlainTransaction) for one in begun] == [True, False]
    assert trips == ["waited for"] * 5


async def test_work_in_the_thread_cannot_wait(single: Database) -> None:
    """It would hold the only lock meanwhile: a bug, which is told, and changes nothing."""

    async def wait(connection: Statements) -> None:
        await connection.execute(ADD, {"slug": "a"})
        await asyncio.sleep(0)

    await single.execute(ONE)  # a connection that is to be opened first is opened in the ordinary way
    with pytest.raises(RuntimeError, match="wait for nothing"):
        await single.transact(wait)
    assert (await single.execute(COUNT))[0][0] == 0


async def test_a_whole_transaction_that_nobody_waits_for_ends(single: Database, other: sqlite3.Connection) -> None:
    """One that waits for the write lock, and one whose statement would run for ever, are gone with their caller."""
    await single.execute(ONE)
    other.execute("BEGIN IMMEDIATE")
    async with within("the transaction that waits for the lock to be gone"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await single.transact(two_shelves)
        other.execute("ROLLBACK")
        await single.execute(ONE)
    assert other.execute("SELECT count(*) FROM category").fetchone() == (0,)
    n = select(literal(1).label("x")).cte("n", recursive=True)
    for_ever = select(func.count()).select_from(n.union_all(select(n.c.x + 1)))

    async def never(connection: Statements) -> None:
        await connection.execute(ADD, {"slug": "a"})
        await connection.execute(for_ever)

    async with within("the endless statement to be gone"):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await single.transact(never)
        other.execute("BEGIN IMMEDIATE")
    assert other.execute("SELECT count(*) FROM category").fetchone() == (0,)
    other.execute("ROLLBACK")


async def test_a_session_that_ended_holds_nothing(single: Database, other: sqlite3.Connection) -> None:
    """Behind a session, also one whose statement failed, no snapshot is left that would keep the log from shrinking."""
    for failing in (False, True):
        async with single.session() as session:
            await session.scalar(COUNT)
            if failing:
                with pytest.raises(OperationalError):
                    await session.execute(text("SELECT nonsense"))
        await single.execute(ONE)  # what ends the session has gone before
        other.execute("INSERT INTO category (slug, name) VALUES (?, 'x')", (str(failing),))
        busy, _, left = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert (busy, left) == (0, 0)


async def test_a_commit_that_fails_leaves_nothing_open(single: Database, other: sqlite3.Connection) -> None:
    """Where COMMIT is refused, the write lock is given back, and the same connection writes again."""
    other.execute("CREATE TABLE part (whole INTEGER REFERENCES category DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(IntegrityError):
        async with single.transaction() as session:
            await session.execute(text("INSERT INTO part VALUES (99)"))
    async with single.transaction() as session:
        await session.execute(INSERT, {"slug": "a"})
    other.execute("BEGIN IMMEDIATE")
    assert other.execute("SELECT (SELECT count(*) FROM part), (SELECT count(*) FROM category)").fetchone() == (0, 1)


async def test_a_statement_of_its_own_sees_every_commit(single: Database, other: sqlite3.Connection) -> None:
    """Read by read, what another process has just committed is there; nothing of a read stays open."""
    for count in range(5):
        assert (await single.execute(COUNT))[0][0] == count
        other.execute("INSERT INTO category (slug, name) VALUES (?, 'x')", (str(count),))


async def test_rows_are_fetched_in_pieces_too(single: Database) -> None:
    """One, some and the rest of the rows come in order, and None behind the last."""
    async with single.session() as session:
        result = await session.execute(text("SELECT value FROM json_each('[1, 2, 3, 4, 5, 6]')"))
        assert result.fetchone() == (1,)
        assert result.fetchmany(2) == [(2,), (3,)]
        assert result.fetchall() == [(4,), (5,), (6,)]
        streamed = await session.stream(text("SELECT value FROM json_each('[1, 2]')"))
        assert [row[0] async for row in streamed] == [1, 2]
        assert await session.scalar(COUNT) == 0


@pytest.mark.parametrize("own", [False, True])
async def test_nothing_runs_that_nobody_waits_for(single: Database, *, own: bool) -> None:
    """However early a task is cancelled, its endless statement does not begin or soon ends, and the next one runs."""

    async def endless() -> None:
        if own:
            await single.execute(FOR_EVER)
        else:
            async with single.session() as session:
                await session.execute(FOR_EVER)

    for turns in (*range(12), -1):
        task = asyncio.create_task(endless())
        for _ in range(turns):
            await asyncio.sleep(0)
        if turns < 0:
            await asyncio.sleep(0.05)  # it runs for sure
        task.cancel()
        async with within("the statement that nobody waits for to end"):
            await asyncio.wait([task])
            assert (await single.execute(ONE))[0][0] == 1


async def test_a_thread_refuses_what_was_given_up_before_it(single: Database, trips: list[str]) -> None:
    """A statement that was cancelled while the thread was at something else is not run afterwards."""
    async with single.engine.connect() as connection:
        raw: Any = (await connection.get_raw_connection()).driver_connection
    gate = threading.Event()
    busy = asyncio.create_task(raw._execute(gate.wait, HANG))
    await asyncio.sleep(0)
    task = asyncio.create_task(single.execute(text("INSERT INTO category (slug, name) VALUES ('late', 'late')")))
    while len(trips) < 2:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    gate.set()
    await asyncio.wait([task, busy])
    assert (await single.execute(COUNT))[0][0] == 0


async def test_who_gives_up_does_not_wait_for_the_write_lock(
    file: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer cancelled while another process has the lock is gone before that has let go of it."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 10 * HANG)
    async with Database(sqlite_url(file), pool_size=1) as single:
        await single.execute(ONE)
        other.execute("BEGIN IMMEDIATE")
        async with within("the writer that gave up to be gone"):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1), single.transaction():
                    pass
        other.execute("ROLLBACK")
        async with single.transaction() as session:
            await session.execute(INSERT, {"slug": "a"})
    assert other.execute("SELECT count(*) FROM category").fetchone() == (1,)
