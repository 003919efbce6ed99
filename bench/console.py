"""What a console that is looked at costs a loaded server: its CPU time with nobody looking, and with somebody.

One ``graph serve`` answers a thousand requests a second, nine warm pages to one that nobody has asked for, sent at
their times by a client of this process. In turn, nobody looks, and an ADMIN follows what the console's overview, jobs
and a board show, over one socket. What counts is the server's CPU time in both, which other processes on the machine
disturb less than wall times; a round in which the client fell behind by more than a tenth is left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import re
import statistics
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from bench.report import Report
from harness.serving import ROOT, Serving
from harness.subscriber import subscriber

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 8
SECONDS = 10.0
RATE = 1000
_PAGE = "query Page($first: Int, $f: ProductFilter) { products(first: $first, filter: $f) { nodes { id sku name } } }"
_GENEROUS = {
    "GRAPH_RATE_LIMIT_ANONYMOUS": "100000000",
    "GRAPH_RATE_LIMIT_AUTHENTICATED": "100000000",
    "GRAPH_JOBS_BESIDE": "false",
    "GRAPH_ACCESS_LOG": "false",
}
_BEHIND = 1.1


def _subscription(section: str) -> str:
    """What a section of the console follows."""
    text = (ROOT / f"graph/static/console/{section}.js").read_text()
    found = re.search(r"`(subscription[^`]+)`", text)
    assert found is not None
    return found[1]


def _load(port: int, numbers: Iterator[int]) -> float:
    """Ask for `SECONDS` at `RATE`; how long that took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Content-Type": "application/json"}
    began = time.perf_counter()
    for n in range(int(RATE * SECONDS)):
        wanted: dict[str, object] = {"first": 20}
        if n % 10 == 0:
            wanted["f"] = {"minPrice": f"1.{next(numbers):06}"}
        pause = began + n / RATE - time.perf_counter()
        if pause > 0:
            time.sleep(pause)
        connection.request("POST", "/graphql", json.dumps({"query": _PAGE, "variables": wanted}), headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
    connection.close()
    return time.perf_counter() - began


def _look(port: int, token: str, ready: threading.Event, done: threading.Event) -> None:
    """Follow what the console follows, from `ready` to `done`."""

    async def follow() -> None:
        async with subscriber(port, token) as socket:
            for section, variables in (("overview", {}), ("jobs", {}), ("boards", {"board": "all-time"})):
                following = await socket.follow(_subscription(section), **variables)
                await following.until(1)
            ready.set()
            await asyncio.to_thread(done.wait)

    asyncio.run(follow())


def run() -> Report:
    """Load the server with nobody looking and with somebody, `ROUNDS` times each, in turn."""
    report = Report("A console that is looked at: the server's CPU time at 1,000 requests a second")
    spent: dict[str, list[float]] = {"nobody looks": [], "one console": []}
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench")))
        server = stack.enter_context(Serving(folder, **_GENEROUS)).ready()
        _, _, token = server.admin()
        process, numbers = psutil.Process(server.process.pid), itertools.count()
        _load(server.port, numbers)
        for _, name in itertools.product(range(ROUNDS), spent):
            ready, done = threading.Event(), threading.Event()
            looking = threading.Thread(target=_look, args=(server.port, token, ready, done))
            if name == "one console":
                looking.start()
                ready.wait(60)
            before = process.cpu_times()
            took = _load(server.port, numbers)
            after = process.cpu_times()
            done.set()
            if looking.ident is not None:
                looking.join()
            if took <= _BEHIND * SECONDS:
                spent[name].append((after.user + after.system - before.user - before.system) / took)
    nobody, somebody = (statistics.median(values) if values else float("nan") for values in spent.values())
    report.add("nobody looks", 100 * nobody, "% of a processor")
    report.add("one console", 100 * somebody, "% of a processor", peer="nobody", ratio=somebody / nobody)
    report.add("the console", 100 * (somebody - nobody), "% of a processor", aim="≤ 2 %")
    report.notes.append(f"Rounds that counted: {', '.join(str(len(values)) for values in spent.values())}.")
    return report
