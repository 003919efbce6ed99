"""A source of truth that several processes share, and that survives any of them: numbers in a mapped file.

Each key has the version last committed and the version last acknowledged. A commit is one step under a lock that the
kernel frees when its holder dies.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


class SharedTruth:
    """`keys` pairs of 64-bit numbers in the file at `path`."""

    def __init__(self, path: Path | str, keys: int) -> None:
        self.keys = keys
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(self._file, keys * 16)
        self._numbers = memoryview(mmap.mmap(self._file, keys * 16)).cast("q")

    @contextmanager
    def _locked(self) -> Generator[None]:
        fcntl.lockf(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN)

    def committed(self, key: int) -> int:
        """The version that a database would give."""
        return self._numbers[key]

    def acknowledged(self, key: int) -> int:
        """The oldest version that a reader who starts now may see."""
        return self._numbers[self.keys + key]

    def commit(self, key: int) -> int:
        """Write a new version and give its number."""
        with self._locked():
            self._numbers[key] += 1
            return self._numbers[key]

    def acknowledge(self, key: int, version: int) -> None:
        """The writer of `version` was told that it is done."""
        with self._locked():
            self._numbers[self.keys + key] = max(self._numbers[self.keys + key], version)
