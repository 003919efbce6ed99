"""Restricts the files that a client may name to those below one directory.

The file that is read is the one that was checked: the returned path opens without following a final link, and compares
the descriptor with the checked file. So nobody who can write to the directory can swap in another file in between.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path, PosixPath, PurePosixPath, PureWindowsPath
from typing import Any

MAX_PATH = 1000


class NotBelow(ValueError):
    """The path does not name a file below the directory; the text says why, and reveals nothing about other files."""


class CheckedFile(PosixPath):
    """A path that opens only the file that was checked."""

    __slots__ = ("_checked",)
    _checked: os.stat_result

    @classmethod
    def at(cls, path: Path) -> CheckedFile:
        """Return a path to the file that is at `path` now, which must not be a link."""
        checked = cls(path)
        checked._checked = path.stat(follow_symlinks=False)
        return checked

    def open(self, mode: str = "rb", *_: Any, **__: Any) -> Any:
        """Open the file for reading bytes; raises OSError if another file has taken its place."""
        if mode != "rb":
            raise ValueError("a checked file is read as bytes")
        descriptor = os.open(self, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        if os.path.samestat(os.fstat(descriptor), self._checked):
            return os.fdopen(descriptor, "rb")
        os.close(descriptor)
        raise OSError(errno.ESTALE, "the file was replaced while it was opened")


def file_below(directory: Path, path: str) -> CheckedFile:
    """Return the file that `path` names below `directory`, all symbolic links resolved; raises `NotBelow`.

    A file outside gives the same error as a missing one, so nobody can explore the disk with it.
    """
    if not path or len(path) > MAX_PATH or "\0" in path:
        raise NotBelow("a path has 1 to 1000 characters")
    if PurePosixPath(path).is_absolute() or PureWindowsPath(path).drive or ".." in PurePosixPath(path).parts:
        raise NotBelow("the path is relative to the import directory, without '..'")
    try:
        root = directory.resolve(strict=True)
        found = (root / path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # missing, unreadable, a loop of links, not encodable
        raise NotBelow("there is no such file in the import directory") from None
    if not found.is_relative_to(root) or not found.is_file():
        raise NotBelow("there is no such file in the import directory")
    try:
        return CheckedFile.at(found)
    except OSError:
        raise NotBelow("there is no such file in the import directory") from None
