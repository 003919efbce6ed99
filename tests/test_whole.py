"""Transactions on SQLite that share a commit: to each of them as if it were alone."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import Integer, Text, bindparam, column, func, insert, literal, select, table, text
from sqlalchemy.exc import IntegrityError

from graph.catalog.models import CATEGORIES, EVENTS
from graph.engines import database as database_module
from graph.engines.database import Database
from graph.engines.plain import PlainTransaction
from graph.engines.sqlite import SqliteConnection
from graph.errors import Unavailable
from harness.waiting import HANG, within
from tests.support.apps.products import START

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from graph.engines.plain import Statements

ADD = insert(CATEGORIES).values(slug=bindparam("new_slug"), name=bindparam("new_slug"))
SLUGS = select(CATEGORIES.c.slug).order_by(CATEGORIES.c.id)
PART = table("part", column("whole", Integer), column("note", Text))


@pytest.fixture
def file(sqlite_template: Path, tmp_path: Path) -> Path:
    """A migrated, empty database."""
    return Path(shutil.copy(sqlite_template, tmp_path / "own.db"))


@pytest.fixture
async def single(file: Path) -> AsyncIterator[Database]:
    """The database, with one connection, which is open."""
    async with Database(f"sqlite:///{file}", pool_size=1) as database:
        await database.execute(text("SELECT 1"))
        yield database


@pytest.fixture
def other(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection to it as another process would have."""
    connection = sqlite3.connect(file, isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many took part in each trip."""
    seen: list[int] = []
    transact = SqliteConnection.transact

    async def note(connection: SqliteConnection, members: Any) -> None:
        seen.append(len(members))
        await transact(connection, members)

    monkeypatch.setattr(SqliteConnection, "transact", note)
    return seen


class Adds:
    """Work that adds a category and then does `more`; counts how often it was begun."""

    def __init__(self, slug: str, more: Callable[[Statements], Coroutine[Any, Any, object]] | None = None) -> None:
        self.slug = slug
        self.more = more
        self.begun = 0

    async def __call__(self, connection: Statements) -> str:
        """Do it."""
        self.begun += 1
        await connection.execute(ADD, {"new_slug": self.slug})
        if self.more is not None:
            await self.more(connection)
        return self.slug


async def slugs(database: Database) -> list[str]:
    """What is there."""
    return [row[0] for row in await database.execute(SLUGS)]


async def test_those_who_wait_share_a_commit(single: Database, shared: list[int]) -> None:
    """The first goes at once, and whoever comes meanwhile goes in the next trip, in order; none sees a later one."""
    loop, begun, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    async def wait(_: Statements) -> None:
        loop.call_soon_threadsafe(begun.set)
        go.wait(HANG)

    async def look(connection: Statements) -> list[str]:
        return [row.slug for row in (await connection.execute(SLUGS)).all()]

    first = asyncio.create_task(single.transact(Adds("a", wait)))
    await begun.wait()
    rest = [asyncio.create_task(single.transact(work)) for work in (Adds("b"), look, Adds("c"), Adds("d"))]
    await asyncio.sleep(0)
    go.set()
    async with within("the transactions"):
        assert [await first, *await asyncio.gather(*rest)] == ["a", "b", ["a", "b"], "c", "d"]
    assert shared == [1, 4]
    assert await slugs(single) == ["a", "b", "c", "d"]


async def test_who_fails_fails_alone(single: Database, shared: list[int]) -> None:
    """Before a change or after it, by the database's refusal or its own: nothing is left of it, the others are done."""

    async def refuse(_: Statements) -> None:
        raise KeyError

    async def refused(_: Statements) -> None:
        raise LookupError

    twice = Adds("twice", lambda connection: connection.execute(ADD, {"new_slug": "a"}))
    odd = Adds("odd", lambda connection: connection.execute(text("SELECT 1")))
    good = [Adds(slug) for slug in "abcd"]
    done = await asyncio.gather(
        *(single.transact(work) for work in (good[0], refused, good[1], twice, odd, Adds("e", refuse), *good[2:])),
        return_exceptions=True,
    )
    assert [one if isinstance(one, str) else type(one) for one in done] == [
        *("a", LookupError, "b", IntegrityError, "odd", KeyError, "c", "d")
    ]
    assert sorted(await slugs(single)) == ["a", "b", "c", "d", "odd"]
    assert shared == [8]
    assert good[3].begun == 1, "it came after all who had changed something"
    assert good[0].begun == 4, "with each of those it was rolled back, too"


async def test_what_changed_nothing_is_not_rolled_back(single: Database) -> None:
    """However many only look and then refuse, those who write are begun once."""

    async def refuse(connection: Statements) -> None:
        await connection.execute(SLUGS)
        raise KeyError

    good = [Adds(f"s{number}") for number in range(20)]
    works = [work for one in good for work in (one, refuse)]
    done = await asyncio.gather(*(single.transact(work) for work in works), return_exceptions=True)
    assert [type(one) for one in done] == [str, KeyError] * 20
    assert {one.begun for one in good} == {1}


async def test_who_gives_up_ends_nobody_elses_work(single: Database) -> None:
    """A statement that would run for ever ends with its caller, and the others are committed without it."""
    n = select(literal(1).label("x")).cte("n", recursive=True)
    for_ever = select(func.count()).select_from(n.union_all(select(n.c.x + 1)))
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    async def never(connection: Statements) -> None:
        loop.call_soon_threadsafe(begun.set)
        await connection.execute(for_ever)

    works = (Adds("a"), Adds("never", never), Adds("b"))
    first, second, third = [asyncio.create_task(single.transact(work)) for work in works]
    await begun.wait()
    second.cancel()
    async with within("the others"):
        assert [await first, await third] == ["a", "b"]
    assert second.cancelled()
    assert await slugs(single) == ["a", "b"]


async def test_who_has_gone_before_its_turn_is_left_out(single: Database) -> None:
    """Its work is not begun, though the trip is on its way; the others' is done, once."""
    loop, begun, go = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

    async def wait(_: Statements) -> None:
        loop.call_soon_threadsafe(begun.set)
        go.wait(HANG)

    works = (Adds("a", wait), Adds("gone"), Adds("b"))
    first, second, third = [asyncio.create_task(single.transact(work)) for work in works]
    await begun.wait()
    second.cancel()
    await asyncio.wait((second,))
    go.set()
    async with within("the others"):
        assert [await first, await third] == ["a", "b"]
    assert await slugs(single) == ["a", "b"]
    assert [work.begun for work in works] == [1, 0, 1]


async def test_a_commit_that_fails_is_its_members_own(single: Database, other: sqlite3.Connection) -> None:
    """What is refused only at the commit fails alone; the others are committed."""
    other.execute("CREATE TABLE part (whole INTEGER REFERENCES category DEFERRABLE INITIALLY DEFERRED, note TEXT)")
    part = insert(PART).values(whole=bindparam("of"), note="x")

    async def belong_to_none(connection: Statements) -> None:
        await connection.execute(part, {"of": 99})

    works = (Adds("a"), belong_to_none, Adds("b"))
    done = await asyncio.gather(*(single.transact(work) for work in works), return_exceptions=True)
    assert [type(one) for one in done] == [str, IntegrityError, str]
    assert await slugs(single) == ["a", "b"]
    assert other.execute("SELECT count(*) FROM part").fetchone() == (0,)


async def test_work_that_goes_on_without_its_transaction_fails(single: Database, other: sqlite3.Connection) -> None:
    """Where SQLite gave the transaction up, nothing that follows is committed by itself; the others are done."""
    other.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON category WHEN NEW.slug = 'bad' "
        "BEGIN SELECT RAISE(ROLLBACK, 'refused'); END"
    )

    async def go_on(connection: Statements) -> None:
        with contextlib.suppress(IntegrityError):
            await connection.execute(ADD, {"new_slug": "bad"})
        await connection.execute(ADD, {"new_slug": "after"})

    works = (Adds("a"), Adds("b", go_on), Adds("c"))
    done = await asyncio.gather(*(single.transact(work) for work in works), return_exceptions=True)
    assert [type(one) for one in done] == [str, RuntimeError, str]
    assert await slugs(single) == ["a", "c"]


class Odd(BaseException):
    """What is no `Exception`."""


async def test_nothing_that_was_raised_passes_for_a_result(single: Database) -> None:
    """Whatever the work raises, its caller gets raised."""

    async def be_odd(_: Statements) -> None:
        raise Odd

    with pytest.raises(Odd):
        await single.transact(Adds("a", be_odd))
    assert await slugs(single) == []


async def test_all_are_told_when_the_database_is_away(
    file: Path, other: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process has the lock for too long, each gets an exception of its own, and nothing has changed."""
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT", 0.1)
    async with Database(f"sqlite:///{file}", pool_size=1) as single:
        await single.execute(text("SELECT 1"))
        other.execute("BEGIN IMMEDIATE")
        done = await asyncio.gather(*(single.transact(Adds(slug)) for slug in "abc"), return_exceptions=True)
        assert [type(one) for one in done] == [Unavailable] * 3
        assert len({id(one) for one in done}) == 3
        other.execute("ROLLBACK")
        assert await single.transact(Adds("d")) == "d"
        assert await slugs(single) == ["d"]


async def test_what_sqlalchemy_thinks_of_is_not_left_out(single: Database) -> None:
    """A column whose value Python makes up, where none is told, has that value."""
    told: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("kind", "product_id", "at")}
    values = {"new_kind": "UPDATED", "new_product_id": 1, "new_at": START}
    begun: list[Statements] = []

    async def tell(connection: Statements) -> None:
        begun.append(connection)
        await connection.execute(insert(EVENTS).values(told), values)

    await single.transact(tell)
    assert [isinstance(one, PlainTransaction) for one in begun] == [True, False]
    assert [tuple(row) for row in await single.execute(select(EVENTS.c.kind, EVENTS.c.bulk))] == [("UPDATED", False)]
