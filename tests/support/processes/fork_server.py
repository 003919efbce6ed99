"""Runs the command line in forks of a process that has loaded it: loading takes most of the time of a start.

`command` is `harness.serving.command` for tests of what a command says, `launch` starts a `harness.serving.Serving`. A
fork has the arguments, the environment, the directory and the files of a process of its own, and ends like one.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from importlib import import_module
from typing import IO, TYPE_CHECKING, NoReturn

from harness.folders import socket_folder
from harness.serving import ROOT, environment
from harness.waiting import HANG

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_SHARED = "FORK_SERVER"
"""The variable with the path of the socket of one that is shared."""
LOADED = ("graph.cli.commands", "graph.cli.serve", "graph.cli.doctor", "graph.app", "graph.background", "rich.table")


class Fork:
    """A fork that was asked for, as `subprocess.Popen` has a process."""

    def __init__(
        self, words: Sequence[str], cwd: Path | str, environment: Mapping[str, str], out: IO[bytes], err: IO[bytes]
    ) -> None:
        """Start ``graph WORDS`` in that directory and environment, with `out` and `err` as its output."""
        asked = {"words": words, "cwd": str(cwd), "environment": dict(environment)}
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_server())
        told = json.dumps(asked).encode()
        socket.send_fds(self._connection, [len(told).to_bytes(4)], [out.fileno(), err.fileno()])
        self._connection.sendall(told)
        self._answer = self._connection.makefile()
        self.pid = int(self._answer.readline())
        self._status: int | None = None

    def poll(self) -> int | None:
        """Its exit status, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; its exit status, below 0 after a signal.

        Raises:
            subprocess.TimeoutExpired: It runs after `timeout` seconds.
        """
        if self._status is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("graph", timeout or 0)
            self._status = int(self._answer.readline())
            self.close()
        return self._status

    def close(self) -> None:
        """Give it up: if it runs it is killed."""
        self._answer.close()
        self._connection.close()

    def send_signal(self, sig: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def command(folder: Path, *words: str, cwd: Path | str = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``graph WORDS`` to its end, in the `environment` of `folder` and `settings`."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        fork = Fork(words, cwd, environment(folder, **settings), out, err)
        try:
            status = fork.wait(HANG)
        finally:
            fork.kill()
        return subprocess.CompletedProcess(words, status, _read(out), _read(err))


def launch(words: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> Fork:
    """Start ``graph WORDS`` for a `Serving`."""
    return Fork(words, ROOT, environment, log, log)


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def share() -> None:
    """Start it now, for this process and those that it starts."""
    os.environ[_SHARED] = _server()


@cache
def _server() -> str:
    """Start the server of this process, which ends with it, unless there is one; the path of its socket."""
    if shared := os.environ.get(_SHARED):
        return shared
    folder = socket_folder("fs")
    path = f"{folder}/s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(100)  # whoever connects before everything is loaded waits
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(listener.fileno())],
            cwd=ROOT,
            env=environment(folder),
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )

    def end() -> None:
        process.communicate()  # closes its standard input
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return path


# --- the process that has loaded it ---


def serve(listener: socket.socket) -> None:
    """Fork for each connection to `listener` until standard input is closed; returns in forks, to be the command."""
    gc.disable()
    for name in LOADED:
        import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            become(connection)
            return
        connection.close()
    os._exit(0)


def become(connection: socket.socket) -> None:
    """Fork once more: the parent waits, and tells the exit status; the child gets ready to be the command."""
    size, files, _, _ = socket.recv_fds(connection, 4, 2)
    with connection.makefile("rb") as reader:
        asked = json.loads(reader.read(int.from_bytes(size)))
    if (pid := os.fork()) != 0:
        for file in files:
            os.close(file)
        _tell_end(connection, pid)
    connection.close()
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), *files)):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    sys.path[0] = asked["cwd"]  # as `python -m` has it
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    sys.argv = ["graph", *asked["words"]]


def _tell_end(connection: socket.socket, pid: int) -> NoReturn:
    """Tell the id of a process, and how it ended; it is killed when nobody listens any more."""
    connection.sendall(b"%d\n" % pid)
    ended = threading.Event()
    threading.Thread(target=_kill_unheard, args=(connection, pid, ended), daemon=True).start()
    _, status = os.waitpid(pid, 0)
    ended.set()
    with contextlib.suppress(OSError):
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _kill_unheard(connection: socket.socket, pid: int, ended: threading.Event) -> None:
    with contextlib.suppress(OSError):
        connection.recv(1)  # nothing is sent: it returns when the other end is closed
    if not ended.is_set():
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("graph", run_name="__main__", alter_sys=True)
