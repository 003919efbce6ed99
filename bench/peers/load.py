"""One burst of load by wrk, on the core for load, and what it cost the server and Redis."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.peers.contenders import FOLDER, LOAD_CORE, pinned

if TYPE_CHECKING:
    from bench.peers.contenders import Running

SCRIPT = FOLDER / "request.lua"
_TICK = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Burst:
    """What one burst came to. Latencies are in milliseconds; `server` and `redis` in CPU microseconds a request."""

    rate: float
    p50: float
    p99: float
    server: float
    redis: float


def burst(
    running: Running,
    *,
    body: str,
    token: str,
    start: int,
    connections: int,
    seconds: int,
    redis: int,
    numbered: bool = False,
) -> Burst:
    """Keep `connections` busy for `seconds`; RuntimeError when a single answer is not a 200.

    With `numbered` each request has a header ``X-Request-Id`` of its own.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        raise RuntimeError("wrk is not installed: https://github.com/wg/wrk, `apt install wrk`, `brew install wrk`")
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(SCRIPT), running.url]
    before = cpu_seconds(running.pid), cpu_seconds(redis)
    environment = {**os.environ, "BODY": body, "TOKEN": token, "START": str(start), "NUMBERED": str(numbered)}
    output = subprocess.run(
        pinned(LOAD_CORE, command), env=environment, capture_output=True, text=True, check=True, timeout=seconds + 30
    ).stdout
    spent = cpu_seconds(running.pid) - before[0], cpu_seconds(redis) - before[1]
    told = json.loads(output.splitlines()[-1])
    requests = max(told["requests"], 1)
    if told["failed"]:
        raise RuntimeError(f"{running.contender.title}: {told['failed']} of {requests} requests failed\n{output}")
    return Burst(
        rate=requests / told["microseconds"] * 1e6,
        p50=told["p50"] / 1000,
        p99=told["p99"] / 1000,
        server=spent[0] / requests * 1e6,
        redis=spent[1] / requests * 1e6,
    )


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far; 0 where the system does not tell (only Linux does)."""
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return 0.0
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK
