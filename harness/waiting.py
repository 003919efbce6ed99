"""Waiting for what is bound to come. No time here measures anything: `HANG` only ends a test that would never end.

A machine five times slower, with all its processors busy, keeps `HANG`; a test that runs into it fails with what it
waited for. pytest itself ends a test after the `timeout` of pyproject.toml, with the stack of every thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import linecache
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

HANG = 120.0

DEADLINES = (0.1, 1.0, 10.0, 60.0)
"""Of an operation that has to begin before its time is up: each is tried where the one before was too short."""


@contextlib.asynccontextmanager
async def within(what: str, seconds: float = HANG) -> AsyncGenerator[None]:
    """Fail, naming `what` was waited for, if the block has not ended after `seconds`."""
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise AssertionError(f"waited {seconds:g} s for {what}") from error


def pauses(first: float, longest: float) -> Iterator[float]:
    """Seconds between looks: a tenth of those waited so far, so that to look costs little however slow the machine."""
    began = time.monotonic()
    while True:
        yield min(longest, max(first, (time.monotonic() - began) / 10))


async def until(condition: Callable[[], object], seconds: float = HANG) -> None:
    """Wait until `condition()` is true; other tasks go on meanwhile."""
    pause = pauses(0.002, 0.02)
    async with within(_line(condition), seconds):
        while not condition():
            await asyncio.sleep(next(pause))


def eventually(condition: Callable[[], object], seconds: float = HANG) -> None:
    """Wait until `condition()` is true of another process."""
    deadline, pause = time.monotonic() + seconds, pauses(0.01, 0.1)
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:g} s for {_line(condition)}"
        time.sleep(next(pause))


def _line(condition: Callable[..., Any]) -> str:
    """The line of source where `condition` begins, which says what is waited for."""
    code = inspect.unwrap(condition).__code__
    return linecache.getline(code.co_filename, code.co_firstlineno).strip() or code.co_name
