"""Background tasks, and what is waited for to its end."""

from __future__ import annotations

import asyncio

import pytest

from graph.patterns.tasks import Tasks, to_its_end
from harness.waiting import within


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("fails", [False, True])
async def test_what_is_waited_for_ends_before_a_cancellation_is_obeyed(
    times: int, caplog: pytest.LogCaptureFixture, *, fails: bool
) -> None:
    """However often that is cancelled, and whether it succeeds; nothing is logged of it."""
    begun, go = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def work() -> None:
        begun.set()
        await go.wait()
        ended.append("work")
        if fails:
            raise ValueError

    async def wait() -> None:
        try:
            await to_its_end(work())
        finally:
            ended.append("waiter")

    waiter = asyncio.create_task(wait())
    async with within("the work"):
        await begun.wait()
        for _ in range(times):
            waiter.cancel()
            await asyncio.sleep(0)
            assert not waiter.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await waiter
    assert ended == ["work", "waiter"]
    assert caplog.text == ""


async def test_what_nobody_cancels_gives_its_result() -> None:
    """Or raises what it raises."""

    async def seven() -> int:
        await asyncio.sleep(0)
        return 7

    async def none() -> int:
        await asyncio.sleep(0)
        raise ValueError

    assert await to_its_end(seven()) == 7
    with pytest.raises(ValueError, match=r"^$"):
        await to_its_end(none())


async def test_a_task_that_has_not_begun_comes_to_its_end_all_the_same() -> None:
    """Whoever closes lets it begin, so that it tells those who wait for it; so does one that it starts by then."""
    tasks = Tasks()
    told = [asyncio.get_running_loop().create_future() for _ in range(2)]

    async def work(number: int) -> None:
        try:
            if not number:
                tasks.spawn(work(1))
            await asyncio.get_running_loop().create_future()
        finally:
            told[number].cancel()

    tasks.spawn(work(0))
    async with within("the tasks"):
        await tasks.close()
    assert [one.cancelled() for one in told] == [True, True]
    assert not len(tasks)
