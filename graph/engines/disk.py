"""Checks directories and files that an engine uses.

Whether a directory is writable is checked before an engine is started on it, whose own error would be less clear, or
which would hang.

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
"""Bytes that must be free; with less, a server would stop right after its start."""


class DiskError(RuntimeError):
    """The directory cannot be written to; the text says why and what to do."""


def check_directory(folder: Path) -> None:
    """Create `folder` if it does not exist, and write and delete a file in it; raises `DiskError`."""
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
    """Recognises whether the file that was first opened under a name was replaced by another one."""

    def __init__(self, path: Path) -> None:
        """Watch the file at `path`, which need not exist yet."""
        self._path = path
        self._first: tuple[int, int] | None = None

    def note(self, *_: object) -> None:
        """Remember which file it is; later calls do nothing."""
        self._first = self._first or self._identity()

    @property
    def replaced(self) -> bool:
        """Whether the file was removed, or is another one now."""
        return self._first is not None and self._identity() != self._first

    def _identity(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return (status.st_dev, status.st_ino)


def make_private(path: Path) -> None:
    """Make sure that nobody else can read an SQLite file, because it holds emails and password hashes.

    SQLite gives its journals the mode of the file. An existing directory keeps its mode.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if os.fstat(descriptor).st_uid == os.getuid():
            os.fchmod(descriptor, 0o600)
    finally:
        os.close(descriptor)
