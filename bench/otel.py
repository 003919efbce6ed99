"""What traces cost: the server's CPU time a request, without them and with one operation in a hundred traced, and all.

Three ``graph serve`` on the same data, asked in turn, in rounds: one without traces (as where the extra ``otel`` is not
installed: nothing of it is imported), one at 1 %, one that traces everything. A collector in this process takes what
they export; its time is not counted. Requests come over one connection each, one after another: a warm page, which
takes the fast lane, and pages that nobody has asked for, which are executed.

What counts is the ratio of CPU times, which other processes on the machine disturb less than wall times.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import os
import shutil
import statistics
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bench.report import Report
from harness.serving import ROOT, Serving, command

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

ROUNDS = 9
REQUESTS = {"warm": 12_000, "new": 800}
"""So many that the ticks in which a processor is counted are less than 1 % of them."""
_PAGE = "query Page($first: Int, $f: ProductFilter) { products(first: $first, filter: $f) { nodes { id sku name } } }"
_GENEROUS = {"GRAPH_RATE_LIMIT_ANONYMOUS": "100000000", "GRAPH_JOBS_BESIDE": "false", "GRAPH_ACCESS_LOG": "false"}


class _Taker(BaseHTTPRequestHandler):
    """Takes whatever is exported."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        pass


@contextlib.contextmanager
def _collector() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Taker) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _bodies(kind: str, numbers: Iterator[int]) -> Iterator[bytes]:
    while True:
        wanted: dict[str, Any] = {"first": 20}
        if kind == "new":
            wanted["f"] = {"minPrice": f"1.{next(numbers):06}"}
        yield json.dumps({"query": _PAGE, "variables": wanted}).encode()


def _cpu(server: Serving, kind: str, numbers: Iterator[int]) -> float:
    """Microseconds of CPU time that the server takes for a request."""
    process = psutil.Process(server.process.pid)
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    headers = {"Content-Type": "application/json"}

    def ask(count: int) -> None:
        for body in itertools.islice(_bodies(kind, numbers), count):
            connection.request("POST", "/graphql", body, headers)
            answer = connection.getresponse()
            read = answer.read()
            assert answer.status == 200, read

    ask(20)
    before = process.cpu_times()
    ask(REQUESTS[kind])
    after = process.cpu_times()
    connection.close()
    return (after.user + after.system - before.user - before.system) / REQUESTS[kind] * 1e6


def run() -> Report:
    """Ask all of them in turn, `ROUNDS` times."""
    report = Report("What traces cost: CPU time of the server a request, medians of interleaved rounds")
    numbers = itertools.count()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        seeded = command(folder / "off", "seed", "--products", "2000")
        assert seeded.returncode == 0, seeded.stderr
        sink = stack.enter_context(_collector())
        sampled = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink,
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / '.venv/otel'}",  # where `make bench` has installed the SDK
        }
        variants: dict[str, dict[str, str]] = {
            "off": {},
            "1 %": {**sampled, "OTEL_TRACES_SAMPLER_ARG": "0.01"},
            "all": {**sampled, "OTEL_TRACES_SAMPLER_ARG": "1"},
        }
        servers: dict[str, Serving] = {}
        for place, (name, traces) in enumerate(variants.items()):
            data = folder / "off" if name == "off" else folder / str(place)
            if name != "off":
                data.mkdir()
                shutil.copy(folder / "off" / "graph.db", data / "graph.db")
            servers[name] = stack.enter_context(Serving(data, **_GENEROUS, **traces)).ready()
        for kind in REQUESTS:
            took: dict[str, list[float]] = {name: [] for name in servers}
            for _ in range(ROUNDS):
                for name, server in servers.items():
                    took[name].append(_cpu(server, kind, numbers))
            off = statistics.median(took["off"])
            for name, values in took.items():
                found, aim = statistics.median(values), "≤ 1.03×" if name == "1 %" else ""
                report.add(f"{kind} page, {name}", found, "µs", peer="off", ratio=found / off, aim=aim)
    return report
