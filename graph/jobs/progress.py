"""Reports the progress of work that runs elsewhere in the process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from graph.jobs.work import REPORT_EVERY

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.jobs.work import Progress

T = TypeVar("T")


async def watched(work: asyncio.Task[T], progress: Progress, state: Callable[[], tuple[int, int | None]]) -> T:
    """Report `state` (done, total) while `work` runs; cancel `work` if the attempt is superseded."""
    try:
        while not work.done():
            await progress(*state())
            await asyncio.wait((work,), timeout=REPORT_EVERY)
        return await work
    finally:
        work.cancel()
        await asyncio.wait((work,))
