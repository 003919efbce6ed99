"""A fork that a test has in place of a process: it ends like one, and does not outlive whoever asked for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

import psutil
import pytest

from harness.serving import environment
from harness.waiting import HANG, eventually
from tests.support.processes import forks, loaded_tests
from tests.support.processes.fork_server import command, forked, python, server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.processes.forks import Fork


@pytest.fixture
def log(tmp_path: Path) -> Iterator[IO[bytes]]:
    """Where a fork writes."""
    with (tmp_path / "log").open("ab") as opened:
        yield opened


def waiting(folder: Path, log: IO[bytes]) -> Fork:
    """A worker that waits for a Redis that is not there, and has said so."""
    before = Path(log.name).stat().st_size
    fork = forked(["worker"], environment(folder, GRAPH_REDIS_URL="redis://127.0.0.1:1"), log, log, folder)
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


def standing_in(log: IO[bytes], socket: str, *words: str) -> tuple[int, bytes]:
    """The status and the output of a process that stands in for a fork."""
    line = (sys.executable, "-I", "-S", forks.__file__, socket, *words)
    done = subprocess.run(line, stdout=log, stderr=log, timeout=HANG, check=False)
    return done.returncode, Path(log.name).read_bytes()


def test_a_process_may_stand_in_for_a_fork(log: IO[bytes]) -> None:
    """It has the fork's output and status."""
    status, told = standing_in(log, server(), "no such command")
    assert status == 2
    assert b"No such command" in told


def test_where_there_is_no_fork_to_be_had_the_process_does_it_itself(log: IO[bytes]) -> None:
    """With all that its own start keeps away."""
    program = "import os, sys; print(sys.flags.isolated, sys.flags.no_site); sys.exit(3)"
    assert standing_in(log, "/nowhere", "-c", program) == (3, b"0 0\n")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are not")
def test_the_processes_of_a_run_are_forks(worker_id: str) -> None:
    """They do not import all tests, each for itself."""
    if worker_id == "master":
        pytest.skip("a run in one process")
    *_, name = loaded_tests.__name__.rpartition(".")
    assert any(name in " ".join(one.cmdline()) for one in psutil.Process().parents())


def test_a_fork_may_be_python(log: IO[bytes]) -> None:
    """It runs code, or a module with its arguments, as its main module, and ends with its status."""
    code = "import sys; print(__name__, 'graph.app' in sys.modules, flush=True); sys.exit(3)"
    assert python("-c", code, out=log).wait(HANG) == 3
    assert python("-m", "tests.support.processes.event_writer", out=log).wait(HANG) == 1
    told = Path(log.name).read_text()
    assert told.startswith("__main__ True\n")
    assert "IndexError" in told


def test_a_fork_ends_as_the_interpreter_does(tmp_path: Path) -> None:
    """It waits for its threads, calls what was to be called, writes what it holds back, and tells what went wrong."""
    code = """
import atexit, sys, threading, time
def late():
    time.sleep(0.05)
    print("thread", end=" ")
atexit.register(lambda: print("exit", end=""))
threading.Thread(target=late).start()
"""
    ends = {
        "": (0, "thread exit"),
        "sys.exit('told')": (1, "told\nthread exit"),
        "sys.exit(258)": (2, "thread exit"),
        "raise SystemExit": (0, "thread exit"),
        "1 / 0": (1, "ZeroDivisionError: division by zero\nthread exit"),
    }
    for end, (status, told) in ends.items():
        path = tmp_path / f"{status}{len(end)}"
        with path.open("wb") as log:
            assert python("-c", code + end, out=log).wait(HANG) == status, end
        assert path.read_text().endswith(told), end
        assert ("Traceback" in path.read_text()) is (end == "1 / 0")


def test_ctrl_c_ends_a_fork_by_the_signal(log: IO[bytes]) -> None:
    """As a shell needs to know it."""
    fork = python("-c", "import time; print('on', flush=True); time.sleep(1000)", out=log)
    eventually(lambda: Path(log.name).read_bytes() == b"on\n")
    fork.send_signal(signal.SIGINT)
    assert fork.wait(HANG) == -signal.SIGINT
    assert b"KeyboardInterrupt" in Path(log.name).read_bytes()
