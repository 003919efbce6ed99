"""What heavy work costs everybody else's reads: a storm of logins, and the import of many products.

A real ``graph serve`` with its job worker, embedded Valkey and SQLite answers catalog queries that another process
sends at a fixed rate, each when it is due, whether or not the ones before have been answered. Latency counts from the
moment a query was due, so that no wait is hidden. The same queries are measured alone before, between and after.

Variables: `STORMS=logins` or `import` measures one of the two, `STORMS_ROWS=1000000` imports so many products.
"""

from __future__ import annotations

import asyncio
import csv
import json
import multiprocessing
import os
import select
import socket
import statistics
import tempfile
import time
import urllib.request
from array import array
from collections import deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from bench.accounts import CLIENTS, REGISTER, Wire, storm
from bench.report import Report, median
from graph.catalog import seed
from harness.serving import Serving

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from multiprocessing.connection import Connection

LOGIN_RATE, LOGIN_ROUNDS, LOGIN_SECONDS = 200, 4, 6.0
IMPORT_RATE, IMPORT_ALONE = 1000, float(os.environ.get("STORMS_ALONE", "20"))
ROWS = int(os.environ.get("STORMS_ROWS", "200000"))
CONNECTIONS = 32
WINDOW = 5.0
"""Seconds of a window; the reported p99 is the median of the windows' own."""
PRODUCTS_ASKED = 12
WATCHED = 0.25
"""Seconds between two looks at the job: each is a query that no cache answers, and takes the server a millisecond."""

_GENEROUS = {
    "GRAPH_RATE_LIMIT_ANONYMOUS": "100000000",
    "GRAPH_RATE_LIMIT_AUTHENTICATED": "100000000",
    "GRAPH_ACCOUNTS_ATTEMPTS": "1000000",
    "GRAPH_ACCOUNTS_ATTEMPTS_PER_ADDRESS": "1000000",
    "GRAPH_ACCOUNTS_REGISTRATIONS": "1000000",
}
_PAGE = "{ products(first: 10%s) { nodes { id name stock price { amount currency } category { name } } } }"
_PRODUCT = '{ product(by: {sku: "%s"}) { id name stock price { amount } } }'


# --- the load: a process of its own ---


def _post(document: str) -> bytes:
    body = json.dumps({"query": document}).encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


class _Conversation:
    """One connection, what was asked on it last, and the answer that is under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._read = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def ask(self, request: bytes, due: float) -> None:
        self.due, self._read = due, b""
        self.socket.sendall(request)

    def answered(self) -> bool:
        """Take what has come; whether the answer is whole. Anything but data is an error."""
        data = self.socket.recv(1 << 18)
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not data or (found and not head.startswith(b"HTTP/1.1 200")):
            raise RuntimeError(self._read[:1000])
        if not found:
            return False
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0])
        if len(body) < length:
            return False
        if b'"errors"' in body:
            raise RuntimeError(body[:1000])
        return True


def _send(port: int, requests: Sequence[bytes], rate: float, control: Connection[Any, Any]) -> None:
    """Send one of `requests` after the other until told to stop; gives due times and latencies in turn, in seconds."""
    # select, not epoll: its timeout is in microseconds, not milliseconds.
    idle = deque(_Conversation(port) for _ in range(CONNECTIONS))
    busy: list[_Conversation] = []
    taken = array("d")
    began = time.perf_counter()
    sent = 0
    while True:
        now = time.perf_counter()
        while idle and (due := began + sent / rate) <= now:
            chosen = idle.popleft()  # in turn: none stays idle until the server closes it
            chosen.ask(requests[sent % len(requests)], due)
            busy.append(chosen)
            sent += 1
        wait = max(0.0, began + sent / rate - time.perf_counter()) if idle else 1.0
        ready, _, _ = select.select([control.fileno(), *busy], [], [], wait)
        now = time.perf_counter()
        for one in ready:
            if isinstance(one, int):
                control.send_bytes(taken.tobytes())
                return
            if one.answered():
                taken.extend((one.due, now - one.due))
                busy.remove(one)
                idle.append(one)


@dataclass(slots=True)
class Load:
    """What was asked and how long it took: due times and latencies, in seconds."""

    due: list[float] = field(default_factory=list[float])
    taken: list[float] = field(default_factory=list[float])

    def windows(self) -> list[list[float]]:
        """The latencies of each whole `WINDOW`."""
        found: dict[int, list[float]] = {}
        for due, taken in zip(self.due, self.taken, strict=True):
            found.setdefault(int((due - self.due[0]) / WINDOW), []).append(taken)
        return list(found.values())[:-1] or list(found.values())


@contextmanager
def load(port: int, requests: Sequence[bytes], rate: float) -> Generator[Load]:
    """Send the requests for the length of the block; what they took is known after it."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_send, args=(port, requests, rate, theirs))
    process.start()
    theirs.close()
    result = Load()
    try:
        yield result
        ours.send_bytes(b"stop")
        values = array("d", ours.recv_bytes())
        result.due, result.taken = list(values[::2]), list(values[1::2])
    finally:
        process.join(5)
        process.kill()


def p99(values: Sequence[float]) -> float:
    """The 99th percentile in milliseconds."""
    return statistics.quantiles(values, n=100)[98] * 1000


def p50(values: Sequence[float]) -> float:
    """The median in milliseconds."""
    return median(list(values)) * 1000


def _compare(report: Report, what: str, alone: list[list[float]], beside: list[list[float]]) -> None:
    for name, of in (("p99", p99), ("p50", p50)):
        quiet, busy = (median([of(window) for window in windows]) for windows in (alone, beside))
        report.add(f"{what}: {name} alone", quiet, "ms")
        aim = "≤ 2×" if name == "p99" else ""
        report.add(f"{what}: {name} beside it", busy, "ms", peer="alone", ratio=busy / quiet, aim=aim)
    together = [[one for window in windows for one in window] for windows in (alone, beside)]
    report.notes.append(
        f"{what}: over all {len(together[0]):,} and {len(together[1]):,} answers p99 is {p99(together[0]):.2f} and "
        f"{p99(together[1]):.2f} ms, the longest {max(together[0]) * 1000:.0f} and {max(together[1]) * 1000:.0f} ms."
    )


# --- logins ---


def _logins(port: int, report: Report) -> None:
    requests = [_post(_PAGE % "")]

    async def register() -> None:
        wire = await Wire.open(port)
        for i in range(CLIENTS):
            await wire.ask(REGISTER, email=f"user{i}@example.org")
        wire.close()

    async def signing_in() -> int:
        stop = asyncio.Event()
        storming = asyncio.create_task(storm(port, stop))
        await asyncio.sleep(0.5)
        with load(port, requests, LOGIN_RATE) as found:
            await asyncio.sleep(LOGIN_SECONDS)
        beside.append(found.taken)
        stop.set()
        return await storming

    uvloop.run(register())
    alone: list[list[float]] = []
    beside: list[list[float]] = []
    logins = 0
    with load(port, requests, LOGIN_RATE):  # warms up
        time.sleep(1)
    began = time.perf_counter()
    for _ in range(LOGIN_ROUNDS):
        with load(port, requests, LOGIN_RATE) as found:
            time.sleep(LOGIN_SECONDS)
        alone.append(found.taken)
        logins += uvloop.run(signing_in())
    stormy = (time.perf_counter() - began) - LOGIN_ROUNDS * LOGIN_SECONDS
    _compare(report, f"{CLIENTS} clients that log in, {LOGIN_RATE} queries/s", alone, beside)
    report.add("logins meanwhile", logins / stormy, "/s")


# --- an import ---


def _write(path: Path) -> dict[str, str]:
    """Write the products with other prices than the seed's as CSV; gives some of the skus and their prices."""
    told: dict[str, str] = {}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("sku", "name", "description", "category", "price", "stock"))
        for i, row in enumerate(seed.products(ROWS)):
            price = f"{row['price'] / 10_000 + 1:.2f}"
            writer.writerow((row["sku"], row["name"], row["description"], row["category"], price, row["stock"]))
            if row["active"] and i % 400 == 0 and len(told) < PRODUCTS_ASKED:
                told[row["sku"]] = price
    return told


def _query(server: Serving, token: str, document: str, **variables: Any) -> Any:
    wire = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"query": document, "variables": variables}).encode()
    asked = urllib.request.Request(f"{server.url}/graphql", body, wire)
    with urllib.request.urlopen(asked, timeout=30) as answer:
        found = json.loads(answer.read())
    if "errors" in found:
        raise RuntimeError(found["errors"])
    return found["data"]


_JOB = "query ($id: ID!) { node(id: $id) { ... on Job { state done total error } } }"


def _imported(server: Serving, token: str) -> tuple[float, float]:
    """Run the job; its seconds, and the longest time for which its progress stood still."""
    start = 'mutation { importProducts(input: {path: "products.csv"}) { ... on Job { id } } }'
    began = time.perf_counter()
    job = _query(server, token, start)["importProducts"]["id"]
    moved, done, longest = began, -1, 0.0
    while True:
        time.sleep(WATCHED)
        seen = _query(server, token, _JOB, id=job)["node"]
        now = time.perf_counter()
        if seen["done"] != done:
            longest, moved, done = max(longest, now - moved), now, seen["done"]
        if seen["state"] == "SUCCEEDED":
            return now - began, longest
        if seen["state"] == "FAILED":
            raise RuntimeError(seen["error"])


def _stale(server: Serving, told: dict[str, str]) -> int:
    """How many of the products are not as the file says."""
    answers = {sku: server.query(_PRODUCT % sku)["data"]["product"] for sku in told}
    return sum(float(answers[sku]["price"]["amount"]) != float(price) for sku, price in told.items())


def _import(server: Serving, folder: Path, report: Report) -> None:
    told = _write(folder / "imports" / "products.csv")
    *_, token = server.admin()
    requests = [_post(_PAGE % page) for page in ("", ", sort: PRICE_ASC", ", sort: NEWEST")]
    requests += [_post(_PRODUCT % sku) for sku in told]
    with load(server.port, requests, IMPORT_RATE):  # warms up
        time.sleep(2)
    with load(server.port, requests, IMPORT_RATE) as before:
        time.sleep(IMPORT_ALONE)
    with load(server.port, requests, IMPORT_RATE) as beside:
        seconds, longest = _imported(server, token)
        stale = _stale(server, told)
    time.sleep(2)
    with load(server.port, requests, IMPORT_RATE) as after:
        time.sleep(IMPORT_ALONE)
    alone = before.windows() + after.windows()
    _compare(report, f"import of {ROWS:,} products, {IMPORT_RATE} queries/s", alone, beside.windows())
    report.add("import", seconds, "s")
    report.add("progress stands still for", longest, "s", aim="≤ 1 s")
    report.add("stale reads after its success", stale, "", aim="0")


def run() -> Report:
    """Measure both, one after the other, on a server each."""
    report = Report("Heavy work beside catalog reads")
    parts = os.environ.get("STORMS", "logins import").split()
    for part in parts:
        with tempfile.TemporaryDirectory(prefix="bench") as name:
            folder = Path(name)
            (folder / "imports").mkdir()
            settings = {**_GENEROUS, "GRAPH_JOBS_IMPORTS": str(folder / "imports"), "GRAPH_ACCESS_LOG": "false"}
            with Serving(folder, **settings) as server:
                server.ready()
                if part == "logins":
                    _logins(server.port, report)
                else:
                    _import(server, folder, report)
    return report
