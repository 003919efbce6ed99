"""What the processes of one ``graph serve`` use: memory, descriptors, threads, keys, and the files that they write."""

from __future__ import annotations

import contextlib
import json
import re
import statistics
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import psutil
import redis

from history.watched import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

_RECORD = re.compile(rb".*:\{jobs\}:job:")
_MIB = 1 << 20


class Measure(NamedTuple):
    """One thing that is measured again and again.

    It may differ by `slack`, plus `share` of what it was: memory is given back in pieces, and what is looked at in one
    moment and not in the next differs by itself.
    """

    unit: str
    share: float
    slack: float


MEMORY = Measure("MiB", 0.01, 2.0)
BLOCKS = Measure("thousand", 0.02, 5.0)
"""Of at most 512 bytes; what waits for the garbage collector is among them."""
BYTES = Measure("MiB", 0.02, 2.0)
COUNT = Measure("", 0.05, 3.0)
FILE = Measure("MiB", 0.25, 4.0)
_KEPT_LONG = Measure("MiB", float("inf"), 0.0)


class Row(NamedTuple):
    """What was measured at first, and in each third of the time: the medians, and whether the last shows growth."""

    name: str
    measure: Measure
    before: float | None
    thirds: tuple[float, float, float]

    @property
    def grew(self) -> bool:
        """Whether the last third is above the middle one by more than it may be."""
        _, middle, last = self.thirds
        return last > middle * (1 + self.measure.share) + self.measure.slack

    def __str__(self) -> str:
        figures = " | ".join(
            "" if one is None else f"{one:,.1f} {self.measure.unit}".strip() for one in (self.before, *self.thirds)
        )
        verdict = "GREW" if self.grew else "flat" if self.measure.share < 1 else "bounded"
        return f"| {self.name} | {figures} | {verdict} |"


class Samples(list[dict[tuple[str, Measure], float]]):
    """What was used, time after time; `before` is what a new server used."""

    before: Mapping[tuple[str, Measure], float] = MappingProxyType({})

    def rows(self) -> list[Row]:
        """One for each thing that was measured in the end."""
        third = len(self) // 3
        parts = self[:third], self[third : 2 * third], self[2 * third :]

        def middle(key: tuple[str, Measure], part: list[dict[tuple[str, Measure], float]]) -> float:
            return statistics.median([one[key] for one in part if key in one] or [0.0])

        return [
            Row(*key, self.before.get(key), (middle(key, parts[0]), middle(key, parts[1]), middle(key, parts[2])))
            for key in self[-1]
        ]


def sample(server: int, folder: Path) -> dict[tuple[str, Measure], float]:
    """Look at the process `server`, its worker, and its Valkey and database below `folder`."""
    found: dict[tuple[str, Measure], float] = {}
    for process in [psutil.Process(server), *psutil.Process(server).children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):
            role = _role(process)
            if role and (f"{role}: memory", MEMORY) not in found:
                with process.oneshot():
                    found[f"{role}: memory", MEMORY] = process.memory_full_info().uss / _MIB
                    found[f"{role}: descriptors", COUNT] = process.num_fds()
                    found[f"{role}: threads", COUNT] = process.num_threads()
    with contextlib.suppress(FileNotFoundError):  # not one that is watched
        told: dict[str, int] = json.loads((folder / REPORT).read_bytes())
        found["server: blocks in use", BLOCKS] = told["blocks"] / 1000
        if "bytes" in told:
            found["server: larger things in use", BYTES] = told["bytes"] / _MIB
    found |= _valkey(folder / "valkey" / "socket")
    found["append-only files", Measure("MiB", 1.0, 64.0)] = _size(folder.glob("valkey/appendonlydir/*"))
    found["SQLite's WAL", FILE] = _size(folder.glob("*.db-wal"))
    found["SQLite's data, where scores and events live for days", _KEPT_LONG] = _size(folder.glob("*.db"))
    return found


def _role(process: psutil.Process) -> str:
    words = process.cmdline()
    if process.name().startswith("valkey"):
        return "Valkey"
    return "worker" if "worker" in words else "server" if "serve" in words else ""


def _valkey(socket: Path) -> dict[tuple[str, Measure], float]:
    with redis.Redis(unix_socket_path=str(socket)) as client:
        untyped: Any = client
        keys: list[bytes] = list(untyped.scan_iter(count=1000))
        records = sum(_RECORD.match(key) is not None for key in keys)
        facts: dict[str, Any] = untyped.info()
        channels = len(untyped.pubsub_channels())
        return {
            ("Valkey: data", MEMORY): facts["used_memory_dataset"] / _MIB,
            ("Valkey: scripts", MEMORY): facts["used_memory_vm_total"] / _MIB,
            ("Valkey: clients", COUNT): facts["connected_clients"],
            ("Valkey: buffers of clients", MEMORY): facts["mem_clients_normal"] / _MIB,
            ("Valkey: channels listened to", COUNT): channels,
            ("keys but records of jobs", COUNT): len(keys) - records,
            ("records of jobs, which live for a week", Measure("", float("inf"), 0.0)): records,
        }


def _size(files: Iterable[Path]) -> float:
    total = 0
    for file in files:
        with contextlib.suppress(FileNotFoundError):  # rewritten meanwhile
            total += file.stat().st_size
    return total / _MIB
