"""One event to a thousand WebSocket clients: this project beside bare ASGI, stock Strawberry and, if there, Node.

Server and clients are processes of their own, each on its own core. A round publishes a burst of events through the
server, each its own way over the same Redis, and takes the time until the last client has the last one. Rounds go
round the servers, medians count, and a ratio is the median of the rounds' ratios. The work is the server's own
processor time, which other work on the machine hardly changes. The latency is that of single events at ten a second,
from the publication to the last of all clients. ``make bench-peers`` installs the Node servers.

The Python servers are all behind uvicorn as it is. ``graph serve`` has connections of its own, which write a text at
once: it is beside the bare loop by itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.peers.fanclient import QUERY, frame
from bench.report import Report, median
from harness.valkey import ValkeyServer, free_port

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

ROOT = Path(__file__).parent.parent
NODE = ROOT / "bench" / "peers" / "fanout"
CLIENTS = 1000
MANY = 5000
BURST = 40
ROUNDS = 5
PINNED = shutil.which("taskset") is not None and (os.cpu_count() or 1) > 1


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, and how many times its rate ours shall be."""

    name: str
    title: str
    command: Sequence[str]
    aim: float | None = None
    burst: int = BURST
    """Events in one round: few where they take long."""


def _python() -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", "--factory", "bench.peers.fanout_app:app", "--port", "$PORT"),
        *("--loop", "uvloop", "--http", "httptools", "--ws", "websockets-sansio", "--no-access-log"),
        *(
            "--ws-per-message-deflate",
            "false",
            "--ws-ping-interval",
            "600",
            "--log-level",
            "warning",
            "--timeout-graceful-shutdown",
            "1",
        ),
    ]


OURS = Contender("ours", "graph", _python())
SERVE = Contender("ours", "graph serve", [sys.executable, "-m", "bench.peers.fanout_app", "$PORT"])
BARE = Contender("bare", "bare ASGI, a ready string", _python(), 0.85)
STOCK = Contender("stock", "Strawberry, stock", _python(), 7.0, burst=4)
NODES = (
    Contender("mercurius", "Mercurius + mqemitter-redis", ["node", str(NODE / "mercurius.mjs")], 2.5),
    Contender("graphql-ws", "graphql-ws + graphql-redis-subscriptions", ["node", str(NODE / "graphql-ws.mjs")], 2.5),
)


def _pinned(core: int, command: Sequence[str]) -> list[str]:
    return ["taskset", "-c", str(core), *command] if PINNED else list(command)


class Server:
    """A contender's process with its clients."""

    def __init__(
        self, contender: Contender, redis: ValkeyServer, clients: int, *, own: bool = False, crowd: Sequence[str] = ()
    ) -> None:
        """Start it with `clients`, as `crowd` has it (more words for `peers.fanclient`); `own`: all different."""
        self.contender = contender
        self.port = free_port()
        self._redis = redis
        self._clients = clients
        self._words = [*crowd, *(["own"] if own else [])]
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _open(self) -> None:
        environment = {
            **os.environ,
            "MODE": self.contender.name,
            "REDIS_URL": self._redis.url,
            "REDIS": str(self._redis.socket),
            "PORT": str(self.port),
            "NODE_ENV": "production",
        }
        command = [word.replace("$PORT", str(self.port)) for word in self.contender.command]
        self.process = self._start(0, command, environment)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.publish(0)
                break
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise
                time.sleep(0.05)
        self.idle = _resident(self.process.pid)
        crowd = [sys.executable, "-m", "bench.peers.fanclient", str(self.port), str(self._clients), *self._words]
        self._crowd = self._start(1, crowd, dict(os.environ))
        assert self._line() == "ready"
        time.sleep(1)  # the last subscriptions take hold
        self.held = _resident(self.process.pid)

    def _start(self, core: int, command: Sequence[str], environment: dict[str, str]) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            _pinned(core, command),
            cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._stack.callback(_end, process)
        return process

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def publish(self, events: int) -> None:
        """Have the server publish."""
        self.post(f"publish?events={events}")

    def post(self, path: str) -> bytes:
        """What the server answers."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/{path}", method="POST")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    def tell(self, words: str) -> str:
        """What the clients say to `words`."""
        assert self._crowd.stdin is not None
        self._crowd.stdin.write(f"{words}\n")
        self._crowd.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._crowd.stdout is not None
        line = self._crowd.stdout.readline().strip()
        assert line, f"the clients of {self.contender.title} died"
        return line

    def burst(self, events: int) -> float:
        """Publish `events`; the seconds until every client has all of them."""
        assert self.tell(str(events)) == "waiting"
        began = time.monotonic()
        self.publish(events)
        return float(self._line()) - began


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def worked(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(times[11]) + int(times[12])) / os.sysconf("SC_CLK_TCK")


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


@dataclass(slots=True)
class Measured:
    """Messages a second in each round, and the server's own processor time a message in microseconds."""

    rates: list[float] = field(default_factory=list[float])
    work: float = 0.0


def _measure(contenders: Sequence[Contender], redis: ValkeyServer, *, own: bool) -> dict[str, Measured]:
    """Load the contenders in turn, all of them up at once."""
    measured = {contender.name: Measured() for contender in contenders}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(Server(one, redis, CLIENTS, own=own)) for one in contenders]
        for server in servers:
            server.burst(2)
        for _ in range(ROUNDS):
            for server in servers:
                burst, one = 4 if own else server.contender.burst, measured[server.contender.name]
                before = worked(server.process.pid)
                one.rates.append(CLIENTS * burst / server.burst(burst))
                one.work += (worked(server.process.pid) - before) / (ROUNDS * CLIENTS * burst) * 1e6
    return measured


def run() -> Report:
    """Measure."""
    report = Report(f"Subscriptions: one event to {CLIENTS:,} WebSocket clients")
    peers = [BARE, STOCK]
    if (NODE / "node_modules").is_dir() and shutil.which("node"):
        peers += NODES
    else:
        report.notes.append("The Node servers are not installed: `make bench-peers`.")
    with ValkeyServer() as redis:
        _add(report, "shared", [OURS, *peers], _measure([OURS, *peers], redis, own=False))
        beside = Contender(BARE.name, "bare ASGI beside graph serve", BARE.command)
        _add(report, "shared", [SERVE, beside], _measure([SERVE, beside], redis, own=False))
        different = _measure([OURS, STOCK], redis, own=True)
        _add(report, "all different", [OURS, Contender("stock", STOCK.title, (), 6.0)], different)
        with Server(OURS, redis, MANY) as server:
            report.add(f"graph, {MANY:,} clients", MANY * 4 / server.burst(4), "messages/s")
        with Server(OURS, redis, CLIENTS) as server:
            report.add("memory of one idle subscriber", (server.held - server.idle) / CLIENTS / 1024, "kB")
            alone = _latencies(server)
            report.add("publication to the last client, median", median(alone), "ms")
            report.add("publication to the last client, p99", _p99(alone), "ms")
            with _stalled(server):
                beside = _latencies(server)
            title = "publication to the last client, p99, beside a stalled client"
            report.add(
                title, _p99(beside), "ms", peer="to that without", ratio=_p99(beside) / _p99(alone), aim="< 1.1×"
            )
    return report


def _latencies(server: Server) -> list[float]:
    """Milliseconds from the publication of an event to the last of all clients, at ten events a second."""
    latencies: list[float] = []
    for _ in range(60):
        began = time.monotonic()
        latencies.append(server.burst(1) * 1000)
        time.sleep(max(0.0, began + 0.1 - time.monotonic()))
    return latencies


def _p99(latencies: list[float]) -> float:
    return statistics.quantiles(latencies, n=100)[98]


@contextlib.contextmanager
def _stalled(server: Server) -> Generator[None]:
    """A client with as many subscriptions as it may have that reads nothing, once all buffers on its way are full."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.connect(("127.0.0.1", server.port))
        one.sendall(
            b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )
        one.recv(4096)
        one.sendall(frame(b'{"type":"connection_init"}'))
        one.recv(4096)
        for n in range(100):
            payload = {"query": QUERY, "variables": {"key": ""}}
            one.sendall(frame(json.dumps({"id": str(n), "type": "subscribe", "payload": payload}).encode()))
        time.sleep(1)
        for _ in range(8):
            server.burst(BURST)
        yield


def _add(report: Report, name: str, contenders: Sequence[Contender], measured: dict[str, Measured]) -> None:
    ours = measured[OURS.name]
    for contender in contenders:
        title, theirs = f"{contender.title}, {name}", measured[contender.name]
        if contender.name == OURS.name:
            report.add(title, median(ours.rates), "messages/s")
            report.add(f"{title}: work", ours.work, "µs a message")
            continue
        ratio = median([mine / other for mine, other in zip(ours.rates, theirs.rates, strict=True)])
        aim = f"≥ {contender.aim}×" if contender.aim else ""
        report.add(title, median(theirs.rates), "messages/s", peer="ours to it", ratio=ratio, aim=aim)
        report.add(f"{title}: work", theirs.work, "µs a message", peer="it to ours", ratio=theirs.work / ours.work)


if __name__ == "__main__":
    print(json.dumps([row.name for row in run().rows]))
