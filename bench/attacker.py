"""One anonymous address at its limit, doing its worst for a minute, and what others notice of it.

A real ``graph serve`` on 100,000 products. A user at another address asks for warm pages, pages that nobody has asked
for and the categories, twenty times a second over one connection; ``/healthz`` is asked as often. That is measured
alone, then beside an attacker in a process of its own: 2,000 silent sockets, and, as fast as the answers come, new
documents of a thousand tokens, fifteen searches in one operation, batches of ten, counts without an index, bodies of
the greatest size, and what is refused once the budget is gone. Server, attacker and observer share the machine.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import redis

from bench.report import Report
from harness.serving import Serving, command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PRODUCTS = 100_000
SECONDS = 60.0
PAUSE = 0.05
SILENT = 2000
ATTACKER = "127.0.0.2"

_REGISTER = """mutation {
  register(input: {email: "u@example.com", password: "correct horse battery", displayName: "U"}) {
    ... on AuthPayload { token }
  }
}"""
_PAGE = "query($first: Int, $f: ProductFilter) { products(first: $first, filter: $f) { nodes { id sku name } } }"


def _asked() -> Iterator[dict[str, Any]]:
    """What the user asks for: every third is not in the cache."""
    for number in itertools.count():
        yield {"query": _PAGE, "variables": {"first": 20}}
        yield {"query": _PAGE, "variables": {"first": 20, "f": {"minPrice": f"1.{number:06}"}}}
        yield {"query": "{ categories { name productCount } }"}


def _attacks() -> Iterator[bytes]:
    """What the attacker sends."""
    for number in itertools.count():
        fields = " ".join(
            f'a{n}:products(first:100,filter:{{search:"{chr(97 + n)} {chr(98 + (n + number) % 24)}",inStock:false}})'
            "{totalCount nodes{id}}"
            for n in range(15)
        )
        yield json.dumps({"query": f"{{{fields}}}"}).encode()
        yield json.dumps({"query": f"#{number}\n{{{'rateLimit{limit} ' * 245}}}"}).encode()
        document = {"query": f"#{number}\n{{{'__typename ...on Query{__typename} ' * 160}}}"}
        yield json.dumps([document | {"variables": {"n": n}} for n in range(10)]).encode()
        yield json.dumps({"query": '{products(filter:{inStock:false,search:"s"}){totalCount}}' + " " * number}).encode()
        yield json.dumps({"query": "{__typename}", "variables": {"x": "y" * 99_000}}).encode()
        yield b"[" * 90_000


def _attack(port: int, seconds: float) -> None:
    """Send all of it, over and over, from an address of its own."""
    silent: list[http.client.HTTPConnection] = []
    for _ in range(SILENT):
        with contextlib.suppress(OSError):
            silent.append(_connected(port, ATTACKER))
    until = time.monotonic() + seconds
    headers = {"Content-Type": "application/json"}
    for body in _attacks():
        if time.monotonic() > until:
            return
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = _connected(port, ATTACKER)
            connection.request("POST", "/graphql", body, headers)
            connection.getresponse().read()
            connection.close()


def _connected(port: int, address: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(address, 0))
    connection.connect()
    return connection


def _watch(port: int, token: str, seconds: float) -> tuple[list[float], list[float]]:
    """Milliseconds that the user's queries and the health checks took."""
    queries: list[float] = []
    health: list[float] = []
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    asked = _asked()

    def query(connection: http.client.HTTPConnection) -> None:
        connection.request("POST", "/graphql", json.dumps(next(asked)).encode(), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body

    def check(connection: http.client.HTTPConnection) -> None:
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b'{"status":"ok"}'

    def repeat(ask: Callable[[http.client.HTTPConnection], None], seen: list[float]) -> None:
        connection = _connected(port, "127.0.0.3")
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.perf_counter()
            ask(connection)
            seen.append((time.perf_counter() - began) * 1000)
            time.sleep(PAUSE)

    threads = [threading.Thread(target=repeat, args=pair) for pair in ((query, queries), (check, health))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return queries, health


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


def run() -> Report:
    """Measure alone, and beside the attacker."""
    report = Report(f"One address at its limit doing its worst for {SECONDS:.0f} s, {PRODUCTS:,} products")
    with tempfile.TemporaryDirectory(prefix="bench") as name:
        folder = Path(name)
        seeded = command(folder, "seed", "--products", str(PRODUCTS))
        assert seeded.returncode == 0, seeded.stderr
        with Serving(folder, GRAPH_RATE_LIMIT_AUTHENTICATED="1000000") as server:
            token = server.ready().query(_REGISTER)["data"]["register"]["token"]
            _watch(server.port, token, 5.0)  # warms up
            alone = _watch(server.port, token, SECONDS)
            attacker = multiprocessing.Process(target=_attack, args=(server.port, SECONDS))
            attacker.start()
            try:
                beside = _watch(server.port, token, SECONDS)
            finally:
                attacker.kill()
                attacker.join()
            with redis.Redis(unix_socket_path=str(folder / "valkey" / "socket")) as client:
                untyped: Any = client
                evicted = int(untyped.info()["evicted_keys"])
    for what, before, after in zip(("another caller's queries", "/healthz"), alone, beside, strict=True):
        report.add(f"{what}: p50", statistics.median(after), "ms", peer="alone",
                   ratio=statistics.median(after) / statistics.median(before))  # fmt: skip
        aim = "≤ 100 ms" if what == "/healthz" else "≤ 2×"
        report.add(f"{what}: p99", _p99(after), "ms", peer="alone", ratio=_p99(after) / _p99(before), aim=aim)
    report.add("keys that Redis evicted", evicted, "", aim="0")
    report.notes.append(f"{len(beside[0])} queries, the longest {max(beside[0]):.0f} ms; alone {max(alone[0]):.0f} ms")
    return report
