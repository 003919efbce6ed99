"""``python -m history.watched serve …``: ``python -m graph serve …``, which says every few seconds what it has in use.

The memory of a process tells little about what it keeps: what was freed stays with it and is used again before it
asks for more, so that a leak does not show for long. Here is told what is in use: the blocks of Python's own
allocator, which has nearly all objects, and the bytes of the C library's, which has the rest and SQLite's pages.
"""

from __future__ import annotations

import ctypes
import json
import os
import runpy
import sys
import threading
import time
from pathlib import Path

EVERY = 5.0
"""Seconds between two reports."""
REPORT = "in-use.json"
"""The file below the data directory that has the newest report."""
_FIELDS = (
    *("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
)


class _Mallinfo(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in _FIELDS]


def in_use() -> dict[str, int]:
    """Blocks of Python's allocator, and bytes of the C library's where it is glibc."""
    found = {"blocks": sys.getallocatedblocks()}
    if (info := getattr(ctypes.CDLL(None), "mallinfo2", None)) is not None:
        info.restype = _Mallinfo
        told = info()
        found["bytes"] = told.uordblks + told.hblkhd
    return found


def _report(file: Path) -> None:
    while True:
        new = file.with_suffix(".new")
        new.write_text(json.dumps(in_use()))
        new.replace(file)
        time.sleep(EVERY)


if __name__ == "__main__":
    report = Path(os.environ["GRAPH_DATA_DIR"]) / REPORT
    threading.Thread(target=_report, args=[report], daemon=True).start()
    runpy.run_module("graph", run_name="__main__", alter_sys=True)
