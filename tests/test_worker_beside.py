"""The worker beside the server: behind it wherever they share a processor."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from graph.background import beside as worker_beside
from harness.serving import Serving
from harness.waiting import eventually
from tests.support.engines.stocked import stocked

AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="what a priority is for differs")
def test_the_worker_comes_after_the_server(tmp_path: Path) -> None:
    """Its nice value is 10, and so is its session's, by which Linux divides a processor between sessions."""
    with Serving(stocked(tmp_path), GRAPH_ACCOUNTS_FIRST_ADMIN="none") as serving:
        serving.ready()
        server = psutil.Process(serving.process.pid)
        eventually(lambda: [one for one in server.children() if "worker" in one.cmdline()])
        [worker] = [one for one in server.children() if "worker" in one.cmdline()]
        assert worker.nice() == min(19, server.nice() + 10)
        if AUTOGROUP.exists():
            told = Path(f"/proc/{worker.pid}/autogroup")
            eventually(lambda: told.read_text().endswith(" nice 10\n"))


@pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in {"x86_64", "aarch64"}, reason="Linux lets a task ask for it"
)
def test_the_worker_lets_whoever_wakes_up_begin() -> None:
    """It asks for the longest slices, so that others that wake up have shorter ones, and leaves them a processor."""
    code = (
        "import ctypes, os, struct, platform; room = ctypes.create_string_buffer(48);"
        "number = {'x86_64': 315, 'aarch64': 275}[platform.machine()];"  # sched_getattr(2)
        "assert ctypes.CDLL(None).syscall(number, 0, room, 48, 0) == 0;"
        "size, policy, flags, nice, priority, runtime, *_ = struct.unpack('=IIQiIQQQ', room.raw);"
        "print(policy, nice, runtime, len(os.sched_getaffinity(0)))"
    )
    modest = worker_beside._modest(os.getpid())  # pyright: ignore[reportPrivateUsage] - what the worker runs first
    told = subprocess.run([sys.executable, "-c", code], preexec_fn=modest, capture_output=True, text=True, check=True)
    policy, nice, runtime, processors = map(int, told.stdout.split())
    assert processors == max(1, len(os.sched_getaffinity(0)) - 1)
    assert (policy, nice) == (0, min(19, os.nice(0) + 10))
    major, minor = map(int, platform.release().split(".")[:2])
    assert runtime == 100_000_000 or (major, minor) < (6, 12)
