"""What this one process does, for the list of all: where it runs, since when, and what it is asked."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graph.endpoint.observe.metrics import IN_PROGRESS, REQUESTS, SOCKETS

if TYPE_CHECKING:
    from prometheus_client import Counter, Gauge


class OwnActivity:
    """Tells of this process, each time with the requests a second since the time before."""

    def __init__(self, kind: str, version: str) -> None:
        """Tell of a process of this `kind`, as ``server``."""
        self._told = {"host": socket.gethostname(), "pid": os.getpid(), "kind": kind, "version": version}
        self._began = time.time()
        self._before = (time.monotonic(), _total(REQUESTS))

    def __call__(self) -> dict[str, Any]:
        """The facts, as JSON holds them: times in seconds, sizes in bytes; `memory` is None where it is not known."""
        (at, count), self._before = self._before, (time.monotonic(), _total(REQUESTS))
        now, total = self._before
        return {
            **self._told,
            "began": self._began,
            "requests": (total - count) / max(now - at, 1e-3),
            "in_progress": round(_total(IN_PROGRESS)),
            "sockets": round(_total(SOCKETS)),
            "memory": _memory(),
        }


def _total(metric: Counter | Gauge) -> float:
    """What this process counted, whatever the labels."""
    return sum(one.value for family in metric.collect() for one in family.samples if not one.name.endswith("_created"))


def _memory() -> int | None:
    """The bytes of memory that this process holds (Linux: proc(5), statm)."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
