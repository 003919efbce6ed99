"""The files in which processes of one machine keep their metrics (`prometheus_client.multiprocess`).

Each process counts in files of its own, by kind. `MetricsFiles` adds up those of a folder. `fold` adds the files of a
process that has ended to one file a kind, so that their number is bounded however often a process is replaced. Who
reads meanwhile sees each count once. Its live gauges are removed.

Failure: files that cannot be folded, as with a full disk, stay as they are, and count as before.
"""

from __future__ import annotations

import fcntl
import glob
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prometheus_client.mmap_dict import MmapedDict
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead  # pyright: ignore[reportUnknownVariableType] - untyped

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from pathlib import Path

    from prometheus_client.metrics_core import Metric

_ADDED = ("counter", "histogram", "summary")
"""The kinds that are sums over processes, those that have ended included."""
_ENDED = "ended"
"""What stands for the id of a process in the name of a file of those that have ended."""
_UNREADABLE = (OSError, RuntimeError, ValueError, struct.error)


class MetricsFiles:
    """The metrics that processes keep in a folder."""

    def __init__(self, folder: Path) -> None:
        """Read what is in `folder`."""
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Add them up. A file that a process has just made, and not written to yet, counts nothing."""
        if not self._folder.is_dir():
            return ()
        merge: Any = MultiProcessCollector.merge  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - untyped
        with _held(self._folder, fcntl.LOCK_SH):
            return merge([str(file) for file in self._folder.glob("*.db") if _size(file)])


def fold(pid: int, folder: Path) -> None:
    """Keep what the process `pid`, which has ended, counted in `folder`, but not its files."""
    with _held(folder, fcntl.LOCK_EX):
        mark_process_dead(pid, glob.escape(str(folder)))
        for kind in _ADDED:
            own = folder / f"{kind}_{pid}.db"
            if not own.exists():
                continue
            try:
                _add(own, folder / f"{kind}_{_ENDED}.db")
            except _UNREADABLE:
                continue
            own.unlink()


def _add(own: Path, ended: Path) -> None:
    """Add one file to the other, which is replaced as a whole."""
    sums: dict[str, float] = {}
    for file in (ended, own):
        for key, value in _values(file) if _size(file) else ():
            sums[key] = sums.get(key, 0.0) + value
    made = ended.with_suffix(".new")
    try:
        # Not written through a mapping: where the disk is full, that ends the process.
        made.write_bytes(_encoded(sums))
        made.replace(ended)
    finally:
        made.unlink(missing_ok=True)


def _values(file: Path) -> Iterable[tuple[str, float]]:
    read: Any = MmapedDict.read_all_values_from_file  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - untyped
    return ((key, value) for key, value, _, _ in read(str(file)))


def _encoded(sums: dict[str, float]) -> bytes:
    """A file with these values, in the form that `prometheus_client.mmap_dict.MmapedDict` describes."""
    entries: list[bytes] = []
    for key, value in sums.items():
        text = key.encode()
        padded = text + b" " * (8 - (len(text) + 4) % 8)
        entries.append(struct.pack(f"i{len(padded)}sdd", len(text), padded, value, 0.0))
    body = b"".join(entries)
    return struct.pack("i4x", 8 + len(body)) + body


@contextmanager
def _held(folder: Path, how: int) -> Generator[None]:
    """Read (LOCK_SH) or replace (LOCK_EX) files of the folder, which no other process or thread does meanwhile."""
    with (folder / "lock").open("ab") as file:
        fcntl.flock(file, how)  # until it is closed
        yield


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
