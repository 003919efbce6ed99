"""The worker beside the server: behind it wherever they share a processor."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.support.serving import PATIENCE, Serving

AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.skipif(sys.platform != "linux", reason="what a priority is for differs")
def test_the_worker_comes_after_the_server(tmp_path: Path) -> None:
    """Its nice value is 10, and so is its session's, by which Linux divides a processor between sessions."""
    with Serving(tmp_path, GRAPH_ACCOUNTS_FIRST_ADMIN="none") as serving:
        serving.ready()
        server = psutil.Process(serving.process.pid)
        deadline = time.monotonic() + PATIENCE
        while not (found := [one for one in server.children() if "worker" in one.cmdline()]):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        assert found[0].nice() == server.nice() + 10
        if AUTOGROUP.exists():
            while not (told := Path(f"/proc/{found[0].pid}/autogroup").read_text()).endswith(" nice 10\n"):
                assert time.monotonic() < deadline, told
                time.sleep(0.01)
