"""One timer for all operations ends what is late, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from graph.endpoint.execution.deadline import Deadlines
from harness.waiting import until


async def _endless(deadlines: Deadlines, log: list[str], name: str) -> bool:
    with deadlines.start() as deadline:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            log.append(name)
    return deadline.expired


async def test_the_late_are_cancelled_in_their_order() -> None:
    """Each operation ends when its own time is up, the oldest first, and those that ended before are left alone."""
    deadlines, log = Deadlines(0.1), list[str]()
    first = asyncio.create_task(_endless(deadlines, log, "first"))
    await until(lambda: len(deadlines))
    began = asyncio.get_running_loop().time()
    second = asyncio.create_task(_endless(deadlines, log, "second"))
    with deadlines.start() as deadline:
        await asyncio.sleep(0)
    assert not deadline.expired
    assert await first
    assert log[0] == "first"
    assert await second
    assert asyncio.get_running_loop().time() >= began + 0.1
    assert log == ["first", "second"]
    assert len(deadlines) == 0


async def test_a_cancellation_from_outside_is_passed_on() -> None:
    """Who cancels an operation is told so, whether or not it is late, too."""
    deadlines, log = Deadlines(0.05), list[str]()
    task = asyncio.create_task(_endless(deadlines, log, "one"))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    task = asyncio.create_task(_endless(deadlines, log, "another"))
    await asyncio.sleep(0)
    task.cancel()
    next(iter(deadlines._running)).expire()  # pyright: ignore[reportPrivateUsage] - in the same turn
    with pytest.raises(asyncio.CancelledError):
        await task
    assert log == ["one", "another"]
    assert len(deadlines) == 0


async def test_an_error_is_no_lateness() -> None:
    """An operation that fails in time raises what it raised."""
    deadlines = Deadlines(10)
    with pytest.raises(ValueError, match="a bug"), deadlines.start():
        raise ValueError("a bug")
    assert len(deadlines) == 0
