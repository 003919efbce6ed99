"""Directories and files under an engine.

Whether a directory takes data is asked before an engine is started on it, which would tell it worse, or hang.

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


class OpenedFile:
    """The file that was first opened under a name, to be told from one that was put in its place."""

    def __init__(self, path: Path) -> None:
        """Prepare for the file at `path`, which need not be there yet."""
        self._path = path
        self._first: tuple[int, int] | None = None

    def note(self, *_: object) -> None:
        """Remember which file it is; only the first call does anything."""
        self._first = self._first or self._identity()

    @property
    def replaced(self) -> bool:
        """Whether the name is gone, or means another file now."""
        return self._first is not None and self._identity() != self._first

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino)


def make_private(path: Path) -> None:
    """Make sure of a SQLite file that nobody else can read: it holds emails and password hashes.

    SQLite gives its journals the mode of the file. A directory that was there keeps its mode.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
