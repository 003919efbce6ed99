"""Forks of a process that has loaded what they need: loading takes most of the time of a start.

`start` starts such a process, which loads something and then calls `serve`. `Fork` asks it for a fork: that has the
arguments, the environment, the directory and the files of a process of its own, and ends like one. As a script this
module is a fork's stand-in, for programs that start a process by a command line:

    python -I -S forks.py SOCKET ARGUMENTS ...

has the fork's output and status, ends with it, and becomes ``python ARGUMENTS ...`` where there is no fork to be had.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

_ROOT = __file__.rpartition("/tests/")[0]


class Fork:
    """A fork that was asked for, as `subprocess.Popen` has a process."""

    def __init__(
        self, server: str, words: Sequence[str], cwd: Path | str, environment: Mapping[str, str], files: Sequence[int]
    ) -> None:
        """Ask the process that listens on the socket `server`.

        The fork has the arguments `words`, that directory and environment, and `files` as its standard input, output
        and error.

        Raises:
            OSError: Nobody listens there.
            ValueError: It ended before it had forked.
        """
        asked = {"words": words, "cwd": str(cwd), "environment": dict(environment)}
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(server)
        told = json.dumps(asked).encode()
        socket.send_fds(self._connection, [len(told).to_bytes(4, "big")], files)
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
                raise subprocess.TimeoutExpired("fork", timeout or 0)
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


def share(module: str, folder: Path) -> None:
    """`start` that module for this process and those that it starts: their `started` gives its socket."""
    os.environ[_shared(module)] = start(module, folder=folder)


def started(module: str) -> str | None:
    """The path of the socket of a process that is shared."""
    return os.environ.get(_shared(module))


def _shared(module: str) -> str:
    return "FORKS_OF_" + module.replace(".", "_").upper()


def start(module: str, *words: str, folder: Path) -> str:
    """Start ``python -m MODULE NUMBER WORDS``, which ends with this process; the path of its socket, in `folder`.

    `serve` takes the number. The folder is removed at the end.
    """
    path = f"{folder}/s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(100)  # whoever connects before everything is loaded waits
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(listener.fileno()), *words],
            env={**os.environ, "PYTHONPATH": _ROOT},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
        )

    def end() -> None:
        process.communicate()  # closes its standard input
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return path


# --- the process that has loaded it ---


def serve(number: int) -> None:
    """Fork for each connection to the listener `number` until standard input is closed; returns in forks.

    `sys.argv` of a fork has the words that were asked for, behind a name.
    """
    listener = socket.socket(fileno=number)
    gc.disable()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those that ask
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become(connection)
            return
        connection.close()
    os._exit(0)


def _become(connection: socket.socket) -> None:
    """Fork once more: the parent waits, and tells the exit status; the child gets ready to be what was asked for."""
    size, files, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as reader:
        asked = json.loads(reader.read(int.from_bytes(size, "big")))
    if (pid := os.fork()) != 0:
        for file in files:
            os.close(file)
        _tell_end(connection, pid)
    connection.close()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    sys.path[0] = asked["cwd"]  # as `python -m` has it
    os.environ.clear()
    os.environ.update(asked["environment"])
    time.tzset()
    sys.argv[1:] = asked["words"]


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


def end_after(run: Callable[[], object]) -> NoReturn:
    """Have a fork do `run` and end as the interpreter ends, but leave its memory as it is.

    The interpreter would clear away all that was loaded, of which the fork has no copy until it touches it: that took
    four times as long as the fork.
    """
    status = 0
    try:
        run()
    except SystemExit as ended:
        status = _status(ended.code)
    except KeyboardInterrupt:
        raise  # the interpreter makes a signal of it
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is told as the interpreter tells it
        sys.excepthook(type(error), error, error.__traceback__)
        status = 1
    threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType] - what the interpreter calls
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except (OSError, ValueError):
                status = 120
    os._exit(status)


def _status(code: object) -> int:
    """The status of a process that ends with `SystemExit`, which tells what is no number."""
    if code is None or isinstance(code, int):
        return (code or 0) & 0xFF
    print(code, file=sys.stderr)
    return 1


# --- the stand-in ---


def _stand_in(server: str, *words: str) -> NoReturn:
    try:
        fork = Fork(server, words, os.getcwd(), os.environ, (0, 1, 2))  # noqa: PTH109 - pathlib is slow to load
    except (OSError, ValueError):
        os.execv(sys.executable, (sys.executable, *words))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the fork has it, too, and decides
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1):
        os.dup2(nothing, number)  # who reads its output sees its end
    status = fork.wait()
    os._exit(status if status >= 0 else 128 - status)


if __name__ == "__main__":
    _stand_in(*sys.argv[1:])
