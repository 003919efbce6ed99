"""Child processes that must not outlive their parent, and locks that end with the process that holds them."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def try_lock(path: Path) -> IO[bytes] | None:
    """Lock `path` if it is free, for as long as the result is open (here or in a process that inherited it)."""
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except BaseException:
        file.close()
        raise
    return file


def die_with_parent(parent: int) -> Callable[[], None] | None:
    """Return a function with which a child gets SIGTERM when the *thread* that started it ends; None except on Linux.

    It is run by a child of the process `parent`. Everything it needs is looked up here, so that it can run between fork
    and exec.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    set_death_signal, number = 1, int(signal.SIGTERM)

    def run() -> None:
        prctl(set_death_signal, number)
        if os.getppid() != parent:  # the parent died before the call
            os._exit(1)

    return run
