"""Ends the servers of a test run that was killed itself: SIGKILL runs no clean-up of ours.

A small process holds the other end of a pipe and is told which servers there are. When the pipe closes, because this
process has ended in whatever way, it stops those that are left and removes their directories.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def _reaper() -> subprocess.Popen[bytes]:
    """The reaper of this process, which outlives it by a moment."""
    process = subprocess.Popen(
        [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    atexit.register(process.communicate)  # closes the pipe
    return process


def _tell(*words: object) -> None:
    pipe = _reaper().stdin
    assert pipe is not None
    pipe.write("\t".join(map(str, words)).encode() + b"\n")
    pipe.flush()


def watch(pid: int, folder: Path) -> None:
    """End process `pid` and remove `folder` when this process is gone."""
    _tell("watch", pid, folder)


def forget(pid: int) -> None:
    """Process `pid` has ended by itself."""
    _tell("forget", pid)


def main() -> None:
    """Read what to watch until the pipe closes, then reap."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    left: dict[int, str] = {}
    for line in sys.stdin:
        verb, pid, *folder = line.rstrip("\n").split("\t")
        if verb == "watch":
            left[int(pid)] = folder[0]
        else:
            left.pop(int(pid), None)
    for number in (signal.SIGINT, signal.SIGCONT):  # quick shutdown, both of PostgreSQL and of Valkey
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
    until = time.monotonic() + 10
    while time.monotonic() < until and any(Path(f"/proc/{pid}").exists() for pid in left):
        time.sleep(0.05)
    for pid, folder in left.items():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
