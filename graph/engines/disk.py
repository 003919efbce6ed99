"""Whether a directory takes data: asked before an engine is started on it, which would tell it worse, or hang.

Failure: `DiskError`, whose text says what is wrong with which directory and what to do.
"""

from __future__ import annotations

import errno
import os
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

ROOM = 1 << 20
"""Bytes that must fit: a server that starts with less would stop at once."""


class DiskError(RuntimeError):
    """The directory does not take data; the text says why and what to do."""


def check_directory(folder: Path) -> None:
    """Make `folder` if it is not there, and write and remove a file in it; raises `DiskError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(bytes(ROOM))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        advice = "make room there" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "make it writable"
        reason = error.strerror or type(error).__name__
        raise DiskError(f"cannot keep data in {folder}: {reason}. Choose another GRAPH_DATA_DIR, or {advice}") from None
