"""Keeps files that clients uploaded for a job to read, in the folder `uploads` of one directory.

An upload is on disk when `keep_upload` returns, under a name of its own, readable to this server's user only. Its job
removes it; what jobs leave behind (because they failed for good, or were discarded) is removed by `forget_uploads`. A
worker on another machine finds the files only if the directory is shared.

Failure: every function raises OSError when the disk does not do its part.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from typing import TYPE_CHECKING, BinaryIO

from graph.jobs.files import file_below
from graph.jobs.records import FAILED_KEPT_MS

if TYPE_CHECKING:
    from pathlib import Path

UPLOADS = "uploads"
KEPT = FAILED_KEPT_MS / 1000
"""Seconds for which an upload is kept: as long as its job can be tried again."""

_NAME = re.compile(r"[0-9a-f]{32}(\.[a-z]+)*")


def keep_upload(directory: Path, file: BinaryIO, ending: str) -> str:
    """Copy `file` to a new file whose name ends with `ending`; returns its path below `directory`, for `file_below`."""
    folder = directory / UPLOADS
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{secrets.token_hex(16)}{ending}"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as kept:
            shutil.copyfileobj(file, kept, 1 << 20)
            kept.flush()
            os.fsync(kept.fileno())
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return f"{UPLOADS}/{path.name}"


def forget_upload(directory: Path, path: str) -> None:
    """Remove the upload at `path`; raises `graph.jobs.NotBelow` when it is no file below `directory`."""
    file_below(directory, path).unlink(missing_ok=True)


def forget_uploads(directory: Path, *, older: float = KEPT) -> int:
    """Remove uploads that are `older` than so many seconds; returns how many those were. Other files stay."""
    before, forgotten = time.time() - older, 0
    folder = directory / UPLOADS
    if not folder.is_dir():
        return 0
    for path in folder.iterdir():
        if _NAME.fullmatch(path.name) and path.lstat().st_mtime < before:
            path.unlink(missing_ok=True)
            forgotten += 1
    return forgotten
