"""Waiting for what is bound to come: looked at again and again, with a deadline that a slow machine keeps."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


async def until(condition: Callable[[], bool], patience: float = 10.0) -> None:
    """Wait until `condition()` holds, for `patience` seconds at most; other tasks go on meanwhile."""
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.002)


def eventually(condition: Callable[[], bool], patience: float = 30.0) -> None:
    """Wait until `condition()` holds in another process, for `patience` seconds at most."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)
