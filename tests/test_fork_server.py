"""A fork that a test has in place of a process: it ends like one, and does not outlive whoever asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil
import pytest

from harness.serving import environment
from harness.waiting import HANG, eventually
from tests.support.processes.fork_server import Fork, command

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def log(tmp_path: Path) -> Iterator[IO[bytes]]:
    """Where a fork writes."""
    with (tmp_path / "log").open("ab") as opened:
        yield opened


def waiting(folder: Path, log: IO[bytes]) -> Fork:
    """A worker that waits for a Redis that is not there, and has said so."""
    before = Path(log.name).stat().st_size
    fork = Fork(["worker"], folder, environment(folder, GRAPH_REDIS_URL="redis://127.0.0.1:1"), log, log)
    eventually(lambda: b"no tables yet" in Path(log.name).read_bytes()[before:])
    return fork


def test_a_fork_has_the_arguments_environment_and_directory_that_were_asked_for(tmp_path: Path) -> None:
    """What it says tells of them, and what fails ends with its own status."""
    (tmp_path / ".env").write_text("GRAPH_HOST=192.0.2.77\n")
    shown = command(tmp_path, "settings", cwd=tmp_path, GRAPH_PORT="9123")
    assert "9123" in shown.stdout
    assert "192.0.2.77" in shown.stdout
    refused = command(tmp_path, "no such command")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no such command" in refused.stderr


def test_a_fork_ends_like_a_process(tmp_path: Path, log: IO[bytes]) -> None:
    """It has no status while it runs; after a signal that is the signal's, below 0."""
    fork = waiting(tmp_path, log)
    assert fork.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        fork.wait(0.01)
    fork.kill()
    assert fork.wait(HANG) == fork.poll() == -signal.SIGKILL
    fork.kill()  # as `subprocess.Popen` does, nothing any more
    other = waiting(tmp_path, log)
    other.send_signal(signal.SIGTERM)
    assert other.wait(HANG) == 0


def test_a_fork_that_nobody_holds_is_killed(tmp_path: Path, log: IO[bytes]) -> None:
    """As when the tests themselves were killed: no server is left behind."""
    fork = waiting(tmp_path, log)
    pid = fork.pid
    os.kill(pid, signal.SIGSTOP)  # it could not end by itself
    fork.close()
    eventually(lambda: not psutil.pid_exists(pid))
