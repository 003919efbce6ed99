"""Look-ups of an operation are batched, and one that nothing stands beside waits for nobody."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import ref

import pytest

from graph.api.loading import Loader

if TYPE_CHECKING:
    from collections.abc import Sequence


class Shelf:
    """Doubles numbers, and notes which it was asked for at a time."""

    def __init__(self, *, at_home: bool = True) -> None:
        self.calls: list[list[int]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.loader: Loader[int, Any] = Loader(self.load, _here() if at_home else None)

    async def load(self, keys: list[int]) -> Sequence[Any]:
        self.calls.append(keys)
        await self.go.wait()
        if 0 in keys:
            raise LookupError("no such shelf")
        if 99 in keys:
            return []
        return [ValueError(key) if key < 0 else 2 * key for key in keys]

    async def get(self, key: int) -> Any:
        return await self.loader.load(key)


def _here() -> ref[asyncio.Task[Any]]:
    task = asyncio.current_task()
    assert task is not None
    return ref(task)


async def test_a_single_look_up_begins_when_it_is_awaited() -> None:
    """In the task that executes the operation there is nobody to wait for."""
    shelf = Shelf()
    waiting = shelf.loader.load(1)
    assert shelf.calls == []
    turned: list[str] = []
    asyncio.get_running_loop().call_soon(turned.append, "once")
    assert await waiting == 2
    assert not turned
    assert shelf.calls == [[1]]
    await asyncio.sleep(0.01)
    assert shelf.calls == [[1]]


async def test_look_ups_of_fields_beside_each_other_go_together() -> None:
    """Each is in a task of its own; a later one goes to the next batch."""
    shelf = Shelf()
    assert await asyncio.gather(*map(shelf.get, range(1, 21))) == [2 * n for n in range(1, 21)]
    assert shelf.calls == [list(range(1, 21))]
    assert await asyncio.gather(shelf.loader.load(1), shelf.loader.load(1)) == [2, 2]
    assert shelf.calls[1:] == [[1, 1]]


async def test_those_that_are_begun_before_the_first_is_awaited_go_with_it() -> None:
    """Whether they are asked for together or one by one; without a task that executes, too."""
    for at_home in (True, False):
        shelf = Shelf(at_home=at_home)
        first, second = shelf.loader.load(1), shelf.loader.load(2)
        assert (await first, await second) == (2, 4)
        assert await shelf.loader.load_many([3, 4, 3]) == [6, 8, 6]
        assert await shelf.loader.load_many([]) == []
        assert shelf.calls == [[1, 2], [3, 4, 3]]


async def test_one_that_fails_fails_alone_unless_the_call_does() -> None:
    """An exception among the results is that of its key."""
    for at_home in (True, False):
        shelf = Shelf(at_home=at_home)
        good, bad = shelf.loader.load(1), shelf.loader.load(-1)
        assert await good == 2
        with pytest.raises(ValueError, match="-1"):
            await bad
        told = await asyncio.gather(*map(shelf.get, (1, 0)), return_exceptions=True)
        assert [type(one) for one in told] == [LookupError] * 2
        with pytest.raises(LookupError):
            await shelf.loader.load(0)
        with pytest.raises(AssertionError, match="0 results for 2 keys"):
            await shelf.loader.load_many([99, 1])


async def test_what_nobody_waits_for_any_more_is_not_loaded() -> None:
    """And one that gives up leaves the others alone."""
    shelf = Shelf()
    asking = [asyncio.create_task(shelf.get(n)) for n in (1, 2)]
    await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    assert shelf.calls == []
    shelf.go.clear()
    asking = [asyncio.create_task(shelf.get(n)) for n in (3, 4)]
    while not shelf.calls:
        await asyncio.sleep(0)
    asking[0].cancel()
    shelf.go.set()
    assert await asking[1] == 8


async def test_an_operation_that_ends_ends_what_it_loads() -> None:
    """Those of its tasks that wait for the same batch do not wait for ever."""
    shelves: list[Shelf] = []
    others: list[asyncio.Task[Any]] = []

    async def operation() -> None:
        shelf = Shelf()
        shelf.go.clear()
        shelves.append(shelf)
        mine, theirs = shelf.loader.load(1), shelf.loader.load(2)

        async def wait() -> Any:
            return await theirs

        others.append(asyncio.create_task(wait()))
        await mine

    running = asyncio.create_task(operation())
    while not (shelves and shelves[0].calls):
        await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait((running, *others))
    assert running.cancelled()
    assert others[0].cancelled()
