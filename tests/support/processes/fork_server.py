"""Runs the command line in forks of a process that has loaded it: loading takes most of the time of a short command.

`command` is `harness.serving.command` for tests of what a command says. A fork has the arguments, the environment, the
directory and the files of a process of its own, and ends like one.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, NoReturn

from harness.serving import ROOT, environment
from harness.waiting import HANG

LOADED = ("graph.cli.commands", "graph.cli.serve", "graph.cli.doctor", "graph.app", "graph.background", "rich.table")


def command(folder: Path, *words: str, cwd: Path | str = ROOT, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run ``graph WORDS`` to its end, in the `environment` of `folder` and `settings`."""
    asked = {"words": words, "cwd": str(cwd), "environment": environment(folder, **settings)}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(HANG)
        connection.connect(_server())
        told = json.dumps(asked).encode()
        socket.send_fds(connection, [len(told).to_bytes(4)], [out.fileno(), err.fileno()])
        connection.sendall(told)
        with connection.makefile() as answer:
            pid = int(answer.readline())
            try:
                status = int(answer.readline())
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise
        return subprocess.CompletedProcess(words, status, _read(out), _read(err))


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


@cache
def _server() -> str:
    """Start the server of this process, which ends with it; the path of its socket."""
    folder = tempfile.TemporaryDirectory(prefix="fs")
    path = f"{folder.name}/s"
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, path],
        cwd=ROOT,
        env=environment(Path(folder.name)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )

    def end() -> None:
        process.communicate()  # closes its standard input
        folder.cleanup()

    atexit.register(end)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return path


# --- the process that has loaded it ---


def serve(path: str) -> None:
    """Fork for each connection until standard input is closed; returns in each fork that is to be the command."""
    gc.disable()
    for name in LOADED:
        import_module(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(100)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
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
        _tell_end(connection, pid)
    connection.close()
    for number, file in enumerate((os.open(os.devnull, os.O_RDONLY), *files)):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["graph", *asked["words"]]


def _tell_end(connection: socket.socket, pid: int) -> NoReturn:
    connection.sendall(b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
    runpy.run_module("graph", run_name="__main__", alter_sys=True)
