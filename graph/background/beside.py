"""The worker process that ``graph serve`` keeps beside itself: started, started again when it ends, taken down."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import platform
import signal
import struct
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from graph.engines.child import die_with_parent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from graph.settings import Settings

logger = logging.getLogger(__name__)

_RESTART_AFTER = 1.0
_CLOSING = 3.0
"""Seconds that a worker gets beyond the grace of its jobs, to close what it has open."""
_NICE = 10
_SLICE = 100_000_000
"""Nanoseconds that the worker asks to run for at a time: the longest that Linux grants."""
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


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
    die, yielding, processors = die_with_parent(parent), _yielding(), _processors()

    def run() -> None:
        os.nice(_NICE)
        if processors:
            os.sched_setaffinity(0, processors)
        if yielding is not None:
            yielding()
        if die is not None:
            die()

    return run


def _processors() -> set[int]:
    """Those that the worker may use: all but one, which is left to answers; none to choose from gives none.

    A worker has threads enough (one writes, one reads ahead) to be on two processors at the same moment.
    """
    if sys.platform != "linux":
        return set()
    return set(sorted(os.sched_getaffinity(0))[1:])


def _yielding() -> Callable[[], None] | None:
    """What a child runs to let everybody else begin at once when he wakes up; None but on Linux.

    Linux lets a task run for a slice of some milliseconds before it looks at who has woken up, unless that one asks for
    a shorter slice (since 6.12: sched_setattr(2), `sched_runtime`; older ones ignore it). Whoever asks for a long one
    gets his share all the same, only in longer pieces.
    """
    number = _SCHED_SETATTR.get(platform.machine()) if sys.platform == "linux" else None
    if number is None:
        return None
    syscall = ctypes.CDLL(None).syscall
    nice = min(19, os.nice(0) + _NICE)
    # struct sched_attr: size, policy (0: SCHED_OTHER), flags, nice, priority, runtime, deadline, period
    wanted = struct.pack("=IIQiIQQQ", 48, 0, 0, nice, 0, _SLICE, 0, 0)

    def run() -> None:
        syscall(number, 0, wanted, 0)

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
