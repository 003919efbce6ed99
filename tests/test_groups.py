from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from graph.engines.commits import Groups
from graph.errors import Unavailable
from harness.waiting import HANG

if TYPE_CHECKING:
    from collections.abc import Sequence


class Writer:
    """Writes numbers when it is let; a number in `bad` cannot be written, 0 finds the database away."""

    def __init__(self, limit: int = 128) -> None:
        self.groups: Groups[int, int, str] = Groups(self.write, self.finish, limit=limit)
        self.written: list[list[int]] = []
        self.tried = 0
        self.ended: list[bool] = []
        self.let = asyncio.Semaphore(0)
        self.finishing = asyncio.Event()
        self.finishing.set()
        self.bad: set[int] = set()

    async def write(self, items: Sequence[int]) -> list[int | Exception]:
        self.tried += 1
        await self.let.acquire()
        if 0 in items:
            raise Unavailable("away")
        if self.bad & set(items):
            raise ValueError(self.bad & set(items))
        self.written.append(list(items))
        return [item if item != 13 else LookupError() for item in items]

    async def finish(self, written: Sequence[int | Exception]) -> list[str | Exception]:
        try:
            await self.finishing.wait()
        finally:
            self.ended.append(self.finishing.is_set())
        return [one if isinstance(one, Exception) else f"<{one}>" for one in written]

    def allow(self, groups: int = 100) -> None:
        for _ in range(groups):
            self.let.release()


async def turns() -> None:
    """Let whatever can run now run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_first_goes_at_once_and_those_who_come_meanwhile_go_together() -> None:
    """No wait for company; the next group holds, in their order, all who came, up to the limit."""
    writer = Writer(limit=4)
    first = writer.groups.add(1)
    await turns()
    assert writer.tried == 1
    others = [writer.groups.add(n) for n in range(2, 9)]
    await turns()
    assert writer.tried == 1, "one group at a time"
    writer.allow()
    assert await first == "<1>"
    assert await asyncio.gather(*others) == [f"<{n}>" for n in range(2, 9)]
    assert writer.written == [[1], [2, 3, 4, 5], [6, 7, 8]]
    assert await writer.groups.add(9) == "<9>", "and again after a rest"
    await writer.groups.close()


async def test_who_fails_fails_alone() -> None:
    """Bad members of a group, and those refused by name, get their own error; all others are written, once."""
    writer = Writer()
    writer.bad = {5, 40}
    writer.allow()
    results = await asyncio.gather(*(writer.groups.add(n) for n in range(1, 65)), return_exceptions=True)
    kinds = {n: type(result) for n, result in enumerate(results, 1) if isinstance(result, BaseException)}
    assert kinds == {5: ValueError, 40: ValueError, 13: LookupError}
    assert sorted(n for group in writer.written for n in group) == sorted(set(range(1, 65)) - writer.bad)
    assert writer.tried <= 1 + 4 * 6, "by halves, not one by one"
    await writer.groups.close()


async def test_when_the_database_is_away_all_are_told_at_once() -> None:
    """Nobody's own fault: the group is not taken apart, and whoever comes later is tried anew."""
    writer = Writer()
    writer.allow()
    results = await asyncio.gather(*(writer.groups.add(n) for n in range(10)), return_exceptions=True)
    assert [type(result) for result in results] == [Unavailable] * 10
    assert len({id(result) for result in results}) == 10, "each raises its own"
    assert writer.tried == 1
    assert await writer.groups.add(3) == "<3>"
    await writer.groups.close()


async def test_who_is_cancelled_leaves_the_others_alone() -> None:
    """Cancelled before its group begins, a member is left out; later it is written; its neighbours notice nothing."""
    writer = Writer()
    first, second = writer.groups.add(1), writer.groups.add(2)
    await turns()
    third, fourth = writer.groups.add(3), writer.groups.add(4)
    second.cancel()
    third.cancel()
    writer.allow()
    assert (await first, await fourth) == ("<1>", "<4>")
    assert writer.written == [[1, 2], [4]]
    await writer.groups.close()


async def test_the_next_group_does_not_wait_for_what_follows_on_a_commit() -> None:
    """While one group is being finished the next is written."""
    writer = Writer()
    writer.finishing.clear()
    writer.allow()
    first = writer.groups.add(1)
    await turns()
    second = writer.groups.add(2)
    await turns()
    assert writer.written == [[1], [2]]
    assert not first.done()
    writer.finishing.set()
    assert (await first, await second) == ("<1>", "<2>")
    await writer.groups.close()


async def test_closing_leaves_nobody_waiting() -> None:
    """Whoever waits, in whatever stage, is cancelled."""
    writer = Writer()
    writer.finishing.clear()
    writer.allow(1)
    futures = [writer.groups.add(1)]
    await turns()
    futures.append(writer.groups.add(2))
    await turns()
    futures.append(writer.groups.add(3))
    await writer.groups.close()
    for future in futures:
        with pytest.raises(asyncio.CancelledError):
            await future


async def test_who_stays_writes_in_its_own_task_and_those_who_come_meanwhile_share_the_next() -> None:
    """A group of one, without a task for it; whoever is there already goes first."""
    writer = Writer()
    writer.finishing.clear()
    first = asyncio.create_task(writer.groups.add_here(1))
    await turns()
    others = [asyncio.create_task(writer.groups.add_here(n)) for n in (2, 3)] + [_waits(writer.groups.add(4))]
    await turns()
    assert writer.tried == 1
    writer.finishing.set()
    writer.allow()
    assert await asyncio.gather(first, *others) == ["<1>", "<2>", "<3>", "<4>"]
    assert writer.written == [[1], [4, 2, 3]]  # the tasks come after the call
    with pytest.raises(Unavailable):
        await writer.groups.add_here(0)
    assert await writer.groups.add_here(5) == "<5>"
    await writer.groups.close()


def _waits(future: asyncio.Future[str]) -> asyncio.Task[str]:
    async def wait() -> str:
        return await future

    return asyncio.create_task(wait())


async def test_one_that_is_ended_although_it_stays_leaves_the_next_group_to_others() -> None:
    """As where its owner is closed."""
    writer = Writer()
    first = asyncio.create_task(writer.groups.add_here(1))
    await turns()
    second = writer.groups.add(2)
    first.cancel()
    await asyncio.wait((first,))
    assert first.cancelled()
    writer.allow()
    assert await second == "<2>"
    await writer.groups.close()


async def test_a_group_that_is_being_finished_is_ended_with_its_owner() -> None:
    """Also where no other group came, and the task that wrote it finishes it."""
    writer = Writer()
    writer.finishing.clear()
    writer.allow()
    first = writer.groups.add(1)
    await turns()
    assert writer.written == [[1]]
    second = writer.groups.add(2)  # while the first is finished
    await turns()
    assert writer.written == [[1], [2]]
    await writer.groups.close()
    assert first.cancelled()
    assert second.cancelled()


async def test_nothing_is_written_after_the_end() -> None:
    """Nor for those who waited behind one that wrote its group itself."""
    writer = Writer()
    first = asyncio.create_task(writer.groups.add_here(1))
    await turns()
    second = writer.groups.add(2)
    await writer.groups.close()
    writer.allow()
    await turns()
    assert first.cancelled()
    assert second.cancelled()
    assert (writer.tried, writer.written) == (1, [])


async def test_what_follows_on_a_commit_is_the_owners_also_where_its_caller_wrote_it() -> None:
    """It goes on when the caller is cancelled, and is ended with the owner."""
    writer = Writer()
    writer.finishing.clear()
    writer.allow()
    left, stayed = (asyncio.create_task(writer.groups.add_here(n)) for n in (1, 2))
    await turns()
    left.cancel()
    await turns()
    assert writer.ended == []
    await writer.groups.close()
    assert writer.ended == [False, False]
    await asyncio.wait((left, stayed), timeout=HANG)
    assert left.cancelled()
    assert stayed.cancelled()
