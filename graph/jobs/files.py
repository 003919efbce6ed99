"""Files that a client may name: below one directory, and nowhere else."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

MAX_PATH = 1000


class NotBelow(ValueError):
    """The path does not name a file below the directory; the text says why, and nothing of what lies elsewhere."""


def file_below(directory: Path, path: str) -> Path:
    """The file that `path` names below `directory`, every symbolic link followed; raises `NotBelow`.

    What lies outside is answered like what does not exist, so that nobody can explore the disk with it.
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
    return found
