"""What is read of SQLite in the loop's own thread: what is committed, what is short, and nothing that has to wait."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import Integer, bindparam, func, literal, select, text
from sqlalchemy.exc import OperationalError

from graph.catalog.reading import queries
from graph.catalog.reading.paging import Filter
from graph.engines.database import Database
from graph.engines.sqlite import NearReader, near
from graph.settings import sqlite_url
from harness.waiting import HANG

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

COUNT = select(func.count()).select_from(text("category"))
NUMBER = select((literal(1, Integer()) + bindparam("more", type_=Integer())).label("sum"))
MANY = select(func.count()).select_from(
    text("(WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 500000) SELECT x FROM n)")
)


@pytest.fixture
def file(sqlite_template: Path, tmp_path: Path) -> Path:
    """An empty database with tables, in a folder whose name means something in a URI."""
    folder = tmp_path / "a ?#% b"
    folder.mkdir()
    return Path(shutil.copy(sqlite_template, folder / "own.db"))


@pytest.fixture
async def database(file: Path) -> AsyncIterator[Database]:
    """A connection to it is open, as after the first statement."""
    async with Database(sqlite_url(file), pool_size=2) as opened:
        await opened.execute(text("SELECT 1"))
        yield opened


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each SELECT, whether it was read at once; beside whatever else the machine does."""
    monkeypatch.setattr(near, "LONGEST", 0.02)
    found: list[bool] = []
    read = NearReader.read

    def noting(self: NearReader, what: str, values: Sequence[object]) -> Sequence[tuple[object, ...]] | None:
        rows = read(self, what, values)
        found.append(rows is not None)
        return rows

    monkeypatch.setattr(NearReader, "read", noting)
    return found


async def test_what_is_committed_is_read(database: Database, file: Path, tried: list[bool]) -> None:
    """By this process and by others, from one statement to the next, and nothing before its commit."""
    for number in range(3):
        assert list(map(tuple, await database.rows(COUNT, {}))) == [(2 * number,)]
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO category (slug, name) VALUES ('mine' || :n, 'x')"), {"n": number})
            assert list(map(tuple, await database.rows(COUNT, {}))) == [(2 * number,)]
        with sqlite3.connect(file) as other:
            other.execute("INSERT INTO category (slug, name) VALUES (?, 'x')", (f"other{number}",))
        other.close()
    assert tried == [True] * 6


async def test_what_takes_long_is_left_to_a_thread(
    database: Database, tried: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is ended, answered over a thread, and tried again only after a while; others are read at once meanwhile."""
    monkeypatch.setattr(near, "SPARED", 2)
    for _ in range(4):
        assert list(map(tuple, await database.rows(MANY, {}))) == [(500_000,)]
        assert list(map(tuple, await database.rows(NUMBER, {"more": 2}))) == [(3,)]
    assert tried == [False, True] * 4
    (reader,) = [database._plain._near]
    assert reader is not None
    assert list(reader._long.values()) == [2], "ended, spared twice, and ended again"


async def test_a_read_that_stands_still_has_all_left_to_threads(
    database: Database, tried: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As beside a disk that is slow, until some time has gone by; it is ended itself."""
    assert list(map(tuple, await database.rows(NUMBER, {"more": 2}))) == [(3,)]
    monkeypatch.setattr(near, "SLOW", -1.0)
    assert list(map(tuple, await database.rows(NUMBER, {"more": 2}))) == [(3,)]
    monkeypatch.setattr(near, "SLOW", HANG)
    assert list(map(tuple, await database.rows(NUMBER, {"more": 2}))) == [(3,)]
    reader = database._plain._near
    assert reader is not None
    reader._not_before = 0.0
    assert list(map(tuple, await database.rows(NUMBER, {"more": 2}))) == [(3,)]
    assert tried == [True, False, False, True]


def test_what_stands_still_is_ended_at_its_next_row(
    database: Database, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that keeps the interpreter makes each row wait for it: a page would hold up the loop for long."""
    reader = NearReader(str(file))
    assert reader.read("SELECT 1", ()) == [(1,)]
    assert reader._connection is not None
    seen: list[int] = []
    reader._connection.create_function("seen", 1, seen.append)
    rows = "SELECT seen(x) FROM (SELECT 1 AS x UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4)"
    assert reader.read(rows, ()) == [(None,)] * 4
    seen.clear()
    monkeypatch.setattr(near, "SLOW", -1.0)
    assert reader.read(rows, ()) is None
    assert len(seen) < 4
    assert reader._long == {}, "it is not its own fault"
    with sqlite3.connect(file, isolation_level=None) as other:
        other.execute("INSERT INTO category (slug, name) VALUES ('a', 'A')")
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0), "nothing is left open"
    other.close()
    reader.close()


def test_what_takes_long_at_one_step_is_spared_for_longer(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the count of a whole table: SQLite cannot end it, so it is known only afterwards what it took."""
    reader = NearReader(str(file))
    monkeypatch.setattr(near, "LONGEST", 1e-9)
    assert reader.read("SELECT count(*) FROM category", ()) == [(0,)]
    assert reader.read("SELECT count(*) FROM category", ()) is None
    assert reader._long["SELECT count(*) FROM category"] > near.SPARED
    reader.close()


async def test_a_full_text_search_is_left_to_a_thread(database: Database, tried: list[bool]) -> None:
    """FTS5 gathers all that begins with a word before the first look at the time: 25 ms for 65 000 products."""
    search = queries.RowReader(database.rows)
    assert await queries.count(search, Filter(search="a", include_inactive=True), "sqlite") == 0
    assert tried == [False]
    reader = database._plain._near
    assert reader is not None
    assert reader._long == {}, "nor was it ended"


async def test_nothing_is_read_at_once_while_the_file_is_being_opened(file: Path, tried: list[bool]) -> None:
    """Who opens a file first restores it from the journal of killed processes, which may take long."""
    async with Database(sqlite_url(file), pool_size=3) as fresh:
        first = asyncio.create_task(fresh.rows(NUMBER, {"more": 2}))
        while fresh._plain._pool.checkedout() == 0:
            await asyncio.sleep(0)
        both = await asyncio.gather(first, fresh.rows(NUMBER, {"more": 3}))
        assert [list(map(tuple, rows)) for rows in both] == [[(3,)], [(4,)]]
        assert tried == []
        await fresh.rows(NUMBER, {"more": 2})
        assert tried == [True]


def test_a_closed_reader_opens_nothing(file: Path) -> None:
    """Who still reads while the database is being closed would leave a connection, and the journal with it."""
    reader = NearReader(str(file))
    assert reader.read("SELECT 1", ()) == [(1,)]
    reader.close()
    assert reader.read("SELECT 1", ()) is None
    assert reader._connection is None


def test_a_file_that_cannot_be_opened_is_not_tried_each_time(tmp_path: Path) -> None:
    """Nor made."""
    reader = NearReader(str(tmp_path / "none.db"))
    assert reader.read("SELECT 1", ()) is None
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "none.db").touch()
    assert reader.read("SELECT 1", ()) is None
    reader._not_before = 0.0
    assert reader.read("SELECT 1", ()) == [(1,)]
    reader.close()


def test_a_relative_path_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for the pool's connections, wherever the process has gone before the first read."""
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        with sqlite3.connect(tmp_path / name / "own.db") as made:
            made.execute(f"CREATE TABLE place AS SELECT '{name}' AS name")
        made.close()
    monkeypatch.chdir(tmp_path / "one")
    reader = NearReader("own.db")
    monkeypatch.chdir(tmp_path / "other")
    assert reader.read("SELECT name FROM place", ()) == [("one",)]
    reader.close()


def test_no_lock_is_waited_for(tmp_path: Path) -> None:
    """Who finds the file locked is left to a thread, which waits; what is asked afterwards is read."""
    other = sqlite3.connect(tmp_path / "locked.db", isolation_level=None)
    other.executescript("CREATE TABLE one (n); INSERT INTO one VALUES (1)")
    reader = NearReader(str(tmp_path / "locked.db"))
    assert reader.read("SELECT n FROM one", ()) == [(1,)]
    other.execute("BEGIN EXCLUSIVE")
    assert reader.read("SELECT n FROM one", ()) is None
    other.execute("COMMIT")
    assert reader.read("SELECT n FROM one", ()) == [(1,)]
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        (reader._connection or other).execute("INSERT INTO one VALUES (2)")
    reader.close()
    other.close()


async def test_what_fails_is_told_as_ever(database: Database, tried: list[bool]) -> None:
    """By what reads over a thread: a table that is missing, a number that no column takes."""
    missing = select(func.count()).select_from(text("nowhere"))
    with pytest.raises(OperationalError, match="no such table"):
        await database.rows(missing, {})
    with pytest.raises(Exception, match=r"too large|out of range"):
        await database.rows(NUMBER, {"more": 2**70})
    assert tried == [False, False]
