"""The worker process that ``graph serve`` keeps beside itself: started, started again when it ends, taken down."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from graph.embedded import die_with_parent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from graph.settings import Settings

logger = logging.getLogger(__name__)

_RESTART_AFTER = 1.0
_CLOSING = 3.0
"""Seconds that a worker gets beyond the grace of its jobs, to close what it has open."""
_NICE = 10


@asynccontextmanager
async def worker_beside(settings: Settings) -> AsyncGenerator[None]:
    """Keep a worker process running for the length of the block, unless the settings say otherwise.

    A process of its own, at a lower priority, so that long work costs the server's answers as little as may be. It
    gets SIGTERM at the end of the block, and time to finish what it runs; it does not outlive this process.
    """
    if not settings.jobs.beside:
        yield
        return
    keeper = asyncio.create_task(_keep_running(settings), name="worker-beside")
    try:
        yield
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


async def _keep_running(settings: Settings) -> None:
    while True:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "graph", "worker"),
            env={**os.environ, **settings.environment()},
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C on the terminal is the server's to hear, and the worker's to hear from it
            preexec_fn=_modest(os.getpid()),
        )
        _step_back(process.pid)
        try:
            code = await process.wait()
            logger.warning("The job worker ended with status %d; starting another", code)
        except asyncio.CancelledError:
            await _end(process, settings.server.grace)
            raise
        await asyncio.sleep(_RESTART_AFTER)


def _modest(parent: int) -> Callable[[], None]:
    die = die_with_parent(parent)

    def run() -> None:
        os.nice(_NICE)
        if die is not None:
            die()

    return run


def _step_back(pid: int) -> None:
    """Give the session of `pid` the low priority as well.

    Where Linux shares a processor between sessions first (sched(7), "The autogroup feature"), the nice value counts
    only within the worker's own session, which has nobody else in it.
    """
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(_NICE))


async def _end(process: asyncio.subprocess.Process, grace: float) -> None:
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), grace + _CLOSING)
        except TimeoutError:
            process.kill()
            await process.wait()
