"""Taking turns, at the database too: who waits for whom, and that nobody's place is lost."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from graph.engines.database import PER_CALLER, Database
from graph.errors import Unavailable
from graph.patterns.fair_queue import FairQueue, Sharers, act_for, on_behalf_of
from harness.waiting import within

if TYPE_CHECKING:
    from collections.abc import Callable

SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000000) SELECT count(*) FROM n",
    "postgresql": "SELECT count(*) FROM generate_series(1, 2000000)",
}


class Visits:
    """Callers that come to a queue, stay until they are told to leave, and are noted in the order of their turns."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.inside: list[str] = []
        self.order: list[str] = []
        self._go: dict[str, asyncio.Event] = {}
        self.sharers: dict[str, Sharers] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, caller: str | None) -> None:
        """Come as `caller`, and have the others run until nothing moves any more."""
        self._go[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._stay(name, caller))
        await settled()

    async def _stay(self, name: str, caller: str | None) -> None:
        on_behalf_of.set(caller)
        self.sharers[name] = Sharers()
        self.sharers[name].work()
        async with self.queue.place():
            self.inside.append(name)
            self.order.append(name)
            try:
                await self._go[name].wait()
            finally:
                self.inside.remove(name)

    async def join(self, name: str, *callers: str | None) -> None:
        """Have `callers` wait for it as well, the second for the first."""
        for caller in callers:
            await asyncio.create_task(as_caller(caller, self.sharers[name].join))
        await settled()

    async def leave(self, name: str) -> None:
        """Have it leave its place."""
        self._go[name].set()
        await settled()

    async def cancel(self, name: str) -> None:
        """Have it give up, whether it waits or is in."""
        self.tasks[name].cancel()
        await asyncio.gather(self.tasks[name], return_exceptions=True)
        await settled()


async def settled() -> None:
    """Let every task run until all wait."""
    for _ in range(8):
        await asyncio.sleep(0)


async def test_a_backlog_is_its_callers_own() -> None:
    """However much one caller has waiting, the next place that becomes free is another's who asks later."""
    visits = Visits(FairQueue(2, 2))
    for n in range(50):
        await visits.come(f"a{n}", "a")
    await visits.come("b", "b")
    await visits.come("c", None)
    assert visits.inside == ["a0", "a1"]
    for name in ("a0", "a1", "b", "c"):
        await visits.leave(name)
    assert visits.order == ["a0", "a1", "b", "c", "a2", "a3"]
    for task in visits.tasks.values():
        task.cancel()


async def test_one_caller_never_has_more_than_a_few() -> None:
    """Places stay free beside one caller's backlog; the program's own work has no bound but their number."""
    visits = Visits(FairQueue(4, 2))
    for n in range(5):
        await visits.come(f"a{n}", "a")
    assert visits.inside == ["a0", "a1"]
    await visits.come("b0", "b")
    await visits.leave("a1")
    assert visits.inside == ["a0", "b0", "a2"]
    for name in ("a0", "a2", "b0", "a3", "a4"):
        await visits.leave(name)
    assert visits.inside == []
    for n in range(5):
        await visits.come(f"own{n}", None)
    assert visits.inside == ["own0", "own1", "own2", "own3"]
    for task in visits.tasks.values():
        task.cancel()


async def test_shared_work_goes_with_the_first_turn_of_those_who_wait_for_it() -> None:
    """What one caller asks for behind a backlog, and another then as well, has that one's turn."""
    visits = Visits(FairQueue(1, 1))
    for n in range(5):
        await visits.come(f"a{n}", "a")
    await visits.come("c0", "c")
    await visits.join("a4", "b")
    for name in ("a0", "c0", "a4", "a1"):
        await visits.leave(name)
    assert visits.order == ["a0", "c0", "a4", "a1", "a2"]
    for task in visits.tasks.values():
        task.cancel()


async def test_shared_work_goes_at_once_where_one_who_joins_may() -> None:
    """A place that its first caller may not have is taken when another joins who may."""
    visits = Visits(FairQueue(2, 1))
    await visits.come("a0", "a")
    await visits.come("a1", "a")
    assert visits.inside == ["a0"]
    await visits.join("a1", "a", "b")
    assert visits.inside == ["a0", "a1"]
    await visits.come("b0", "b")  # the place is b's, who may have one
    assert visits.inside == ["a0", "a1"]
    await visits.leave("a1")
    assert visits.inside == ["a0", "b0"]
    for task in visits.tasks.values():
        task.cancel()


async def test_whoever_joins_shared_work_joins_what_it_waits_for() -> None:
    """Work that waits for other work that is shared passes those on who join later."""
    visits = Visits(FairQueue(1, 1))
    for name in ("a0", "a1", "a2"):
        await visits.come(name, "a")

    def waits() -> Sharers:
        outer = Sharers()
        outer.work()
        visits.sharers["a2"].join()
        act_for("b")  # as an execution on behalf of several does
        assert on_behalf_of.get() is outer
        return outer

    outer: list[Sharers] = []
    await asyncio.create_task(as_caller("b", lambda: outer.append(waits())))
    await asyncio.create_task(as_caller("c", outer[0].join))
    assert set(visits.sharers["a2"].callers) == {"a", "b", "c"}
    await visits.leave("a0")
    assert visits.inside == ["a2"]
    for task in visits.tasks.values():
        task.cancel()


async def test_who_waits_too_long_is_told_and_loses_nothing_else() -> None:
    """A time-out frees the place in the queue, not one in use."""
    queue = FairQueue(1, 1, 0.01)
    async with queue.place():
        with pytest.raises(TimeoutError):
            async with queue.place():
                pytest.fail("there was no place")
    async with within("a free place"), queue.place():
        pass


async def test_each_who_waits_gives_up_for_itself() -> None:
    """Whoever waits gives up in the order of coming, later ones too, and somebody who is cancelled holds up nobody."""
    queue = FairQueue(1, 1, 0.05)
    gave_up: list[int] = []

    async def wait(number: int) -> None:
        try:
            async with queue.place():
                pytest.fail("there was no place")
        except TimeoutError:
            gave_up.append(number)

    async with within("all have given up"), queue.place():
        first = [asyncio.create_task(wait(number)) for number in range(3)]
        await asyncio.sleep(0)
        first[0].cancel()  # in the turn after it began to wait: its time cannot be up before
        await asyncio.sleep(0.01)
        later = [asyncio.create_task(wait(number)) for number in range(3, 5)]
        await asyncio.wait([*first, *later])
    assert gave_up == [1, 2, 3, 4]
    async with within("a free place"), queue.place():
        pass


def test_another_event_loop_has_timers_of_its_own() -> None:
    """A loop that was closed while somebody waited takes no time-out along."""
    queue = FairQueue(1, 1, 0.02)

    async def wait_in_vain(seconds: float) -> None:
        async with queue.place():
            waiting = asyncio.create_task(queue.enter())
            await asyncio.sleep(seconds)
            waiting.cancel()
            await asyncio.wait([waiting])

    async def give_up() -> None:
        async with within("giving up"), queue.place():
            with pytest.raises(TimeoutError):
                await queue.enter()

    asyncio.run(wait_in_vain(0))
    asyncio.run(give_up())


def _none_idle(visits: Visits, there: list[str], places: int, each: int) -> None:
    used = visits.queue._used
    assert len(visits.inside) <= places
    assert all(count <= each for count in used.values())
    if len(visits.inside) < places:
        waiting = {caller for name in there if name not in visits.inside for caller in visits.sharers[name].callers}
        assert all(caller is not None and used[caller] == each for caller in waiting)


MOVES = st.lists(st.tuples(st.sampled_from(["come", "leave", "cancel", "join"]), st.integers(0, 15)), max_size=40)


async def _play(moves: list[tuple[str, int]], places: int, each: int) -> None:
    visits = Visits(FairQueue(places, each))
    there: list[str] = []
    alone: set[str] = set()
    for step, (move, which) in enumerate(moves):
        who = which % 4
        caller = None if who == 0 else str(who)
        if move == "come":
            name = f"{who}.{step}"
            there.append(name)
            alone.add(name)
            await visits.come(name, caller)
        elif there:
            name = there[which // 4 % len(there)]
            if move == "leave" and name not in visits.inside:
                continue
            if move == "join":
                alone.discard(name)
                await visits.join(name, caller)
            else:
                there.remove(name)
                await (visits.leave(name) if move == "leave" else visits.cancel(name))
        _none_idle(visits, there, places, each)
    for who in range(4):  # within one caller, first come, first served
        mine = [int(name[2:]) for name in visits.order if name in alone and name[0] == str(who)]
        assert mine == sorted(mine)
    for name in there:
        await visits.cancel(name)
    async with AsyncExitStack() as stack:  # every place is there again
        for _ in range(places):
            await stack.enter_async_context(visits.queue.place())


def test_places_are_never_lost_nor_given_twice(scaled: Callable[[int, int], int]) -> None:
    """Whoever comes, joins, leaves or gives up in whatever order: no place idle that somebody may have."""

    @given(moves=MOVES, places=st.integers(1, 4), each=st.integers(1, 3))
    @settings(max_examples=scaled(150, 75), deadline=None)
    def check(moves: list[tuple[str, int]], places: int, each: int) -> None:
        asyncio.run(_play(moves, places, each))

    check()


async def as_caller(caller: str | None, work: Callable[[], object]) -> None:
    """Do `work` on behalf of `caller`."""
    on_behalf_of.set(caller)
    result = work()
    if asyncio.iscoroutine(result):
        await result


async def test_a_read_does_not_wait_for_anothers_backlog(database: Database) -> None:
    """One caller's thirty slow statements leave others alone: their reads are done before the fourth of them."""
    done: list[str] = []

    async def slow() -> None:
        await database.execute(text(SLOW[database.dialect]))
        done.append("slow")

    async def read() -> None:
        async with database.session() as session:
            await session.execute(text("SELECT 1"))
        await database.execute(text("SELECT 1"))
        done.append("read")

    backlog = [asyncio.create_task(as_caller("192.0.2.1", slow)) for _ in range(30)]
    await settled()
    async with within("the read"):
        await asyncio.create_task(as_caller("192.0.2.2", read))
        await asyncio.create_task(as_caller(None, read))
    assert done.count("slow") <= 2 * PER_CALLER
    for task in backlog:
        task.cancel()
    await asyncio.gather(*backlog, return_exceptions=True)
    await as_caller("192.0.2.1", read)  # nothing of the backlog is left in the way


async def test_writers_take_turns_too(sqlite_template: object, database_url: str) -> None:
    """Who comes to another's backlog of writes is next: it waits for no more of them than were in already."""
    del sqlite_template
    order: list[str] = []
    leave = {name: asyncio.Event() for name in [*(f"a{n}" for n in range(20)), "b"]}
    async with Database(database_url) as database:

        async def write(name: str) -> None:
            async with database.transaction() as session:
                await session.execute(text("INSERT INTO category (slug, name) VALUES (:name, :name)"), {"name": name})
                order.append(name)
                await leave[name].wait()

        async def entered(count: int) -> None:
            async with within(f"writer {count}"):
                while len(order) < count:
                    await asyncio.sleep(0.001)

        many = 1 if database.dialect == "sqlite" else PER_CALLER
        flood = [asyncio.create_task(as_caller("a", lambda n=n: write(f"a{n}"))) for n in range(20)]
        await entered(many)
        other = asyncio.create_task(as_caller("b", lambda: write("b")))
        await settled()
        if many == 1:  # the only place is free again
            leave[order[0]].set()
        await entered(many + 1)
        assert order[-1] == "b"
        for event in leave.values():
            event.set()
        async with within("all of them"):
            await asyncio.gather(*flood, other)


async def test_who_gets_no_connection_in_time_is_told(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a caller can have done in time is `Unavailable`, as it is where there is no connection at all."""
    monkeypatch.setattr("graph.engines.database.POOL_TIMEOUT", 0.05)
    on_behalf_of.set("192.0.2.1")
    async with Database(database_url) as database, AsyncExitStack() as stack:
        for _ in range(PER_CALLER):
            await stack.enter_async_context(database.session())
        with pytest.raises(Unavailable):
            await database.execute(text("SELECT 1"))
        on_behalf_of.set("192.0.2.2")
        await database.execute(text("SELECT 1"))
