"""The test suite cleans up after itself, even when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.serving import ROOT
from harness.valkey import ValkeyServer
from harness.waiting import eventually

RUN = """
import time
from harness.postgres import Postgres
from harness.valkey import ValkeyServer
with ValkeyServer() as gone:
    pass
with ValkeyServer() as valkey, Postgres() as postgres:
    valkey.pause()
    print(valkey.pid, valkey.folder, postgres.pid, postgres.data, sep="\\t", flush=True)
    time.sleep(100)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_run_leaves_no_server_behind() -> None:
    """When what started them is killed, a Valkey (even a frozen one) and a PostgreSQL end, and their data goes."""
    run = subprocess.Popen([sys.executable, "-W", "ignore", "-c", RUN], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    with run:
        assert run.stdout is not None
        valkey, folder, postgres, data = run.stdout.readline().rstrip("\n").split("\t")
        assert all(Path(f"/proc/{pid}").exists() for pid in (valkey, postgres))
        os.kill(run.pid, signal.SIGKILL)
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in (valkey, postgres)))
    eventually(lambda: not Path(folder).exists() and not Path(data).exists())


def test_a_killed_server_leaves_no_child_behind() -> None:
    """Not even one that rewrites its file, which would not notice for a minute."""
    with ValkeyServer(aof=True) as server:
        for number in range(100):
            server.command("SET", f"k{number}", number)
        server.command("CONFIG", "SET", "rdb-key-save-delay", 1_000_000)
        server.command("BGREWRITEAOF")
        eventually(lambda: b"aof_rewrite_in_progress:1" in server.command("INFO", "persistence"))
        (child,) = psutil.Process(server.pid).children()
        eventually(lambda: time.time() - child.create_time() > 3)  # within its first key it would notice
    eventually(lambda: not child.is_running())
