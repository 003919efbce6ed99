"""Runs a worker process beside ``graph serve``: starts it, restarts it when it ends, and stops it."""

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

from graph.endpoint.observe import fold
from graph.engines.child import die_with_parent

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from graph.settings import Settings

logger = logging.getLogger(__name__)

_RESTART_AFTER = 1.0
_CLOSING = 3.0
"""Seconds that a worker gets beyond the grace period of its jobs, to close its connections."""
_NICE = 10
_SLICE = 100_000_000
"""The worker's time slice in nanoseconds: the longest that Linux grants."""
_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}


@asynccontextmanager
async def worker_beside(settings: Settings, metrics: Path) -> AsyncGenerator[None]:
    """Keep a worker process running during the block, unless the settings disable it.

    It is a separate process with a lower priority, so that long jobs slow the server down as little as possible. It
    gets SIGTERM at the end of the block, and time to finish its jobs; it does not outlive this process. What it counts
    is in the folder `metrics`, and stays there when it is replaced (`graph.endpoint.observe.fold`).
    """
    if not settings.jobs.beside:
        yield
        return
    keeper = asyncio.create_task(_keep_running(settings, metrics), name="worker-beside")
    try:
        yield
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper


async def _keep_running(settings: Settings, metrics: Path) -> None:
    own = {"PROMETHEUS_MULTIPROC_DIR": str(metrics), "GRAPH_JOBS_METRICS_PORT": ""}
    while True:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "graph", "worker"),
            env={**os.environ, **settings.environment(), **own},
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # only the server reacts to Ctrl-C on the terminal, and then stops the worker
            preexec_fn=_modest(os.getpid()),
        )
        _step_back(process.pid)
        try:
            code = await process.wait()
            logger.warning("The job worker ended with status %d; starting another", code)
        except asyncio.CancelledError:
            await _end(process, settings.server.grace)
            raise
        await asyncio.to_thread(fold, process.pid, metrics)
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
    """Return the processors that the worker may use: all but one, which is left to the server; empty if there is one.

    A worker has enough threads (one writes, one reads ahead) to occupy two processors at the same time.
    """
    if sys.platform != "linux":
        return set()
    return set(sorted(os.sched_getaffinity(0))[1:])


def _yielding() -> Callable[[], None] | None:
    """Return a function for the child that lets other processes preempt it at once; None except on Linux.

    Linux lets a task run for a slice of some milliseconds before a task that wakes up gets its turn, unless that one
    has a shorter slice (since 6.12: sched_setattr(2), `sched_runtime`; older kernels ignore it). A task with a long
    slice still gets its share, only in longer pieces.
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
    """Give the session of `pid` a low priority as well.

    If Linux divides a processor between sessions first (sched(7), "The autogroup feature"), the nice value counts only
    within the worker's own session, in which there is no other process.
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
