"""A child process that must not outlive its parent, and locks that end with the process that holds them."""

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
    """Lock `path` for as long as the result is open (in this process or in one that inherited it), if it is free."""
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
    """What a child of process `parent` runs to get SIGTERM when the *thread* that started it ends; None but on Linux.

    Everything it needs is looked up here, so that it can run between fork and exec.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    set_death_signal, number = 1, int(signal.SIGTERM)

    def run() -> None:
        prctl(set_death_signal, number)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)

    return run
