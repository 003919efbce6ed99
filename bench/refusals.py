"""What a Redis that answers but refuses costs catalog reads, beside one that is dead.

A real ``graph serve`` on a Valkey of its own and SQLite. One after the other the Valkey refuses in each way. In between
it is dead: then the same reads are measured. Each case is compared with the dead ones before and after it, so a busy
machine counts on both sides. Readers keep one query each under way, and use addresses of their own.

Variable: `REFUSALS_SECONDS`, for how long each case is measured (4).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import statistics
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from bench.report import Report
from harness.refusing import WAYS, refusing
from harness.serving import Serving
from harness.valkey import ValkeyServer
from harness.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Generator

SECONDS = float(os.environ.get("REFUSALS_SECONDS", "4"))
READERS = 4
_PAGE = "{ products(first: 10%s) { nodes { id name stock price { amount currency } } } }"
_PAGES = [_PAGE % more for more in ("", ", sort: PRICE_ASC", ", sort: NEWEST")]
_addresses = itertools.count(1)


async def _read(url: str) -> tuple[list[float], Counter[int]]:
    """Latencies in seconds, and statuses."""
    taken: list[float] = []
    statuses: Counter[int] = Counter()
    until = time.perf_counter() + SECONDS

    async def reader(http: aiohttp.ClientSession) -> None:
        while (began := time.perf_counter()) < until:
            number = next(_addresses)
            headers = {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
            body = {"query": _PAGES[number % len(_PAGES)]}
            async with http.post(f"{url}/graphql", json=body, headers=headers) as answer:
                await answer.read()
                statuses[answer.status] += 1
            taken.append(time.perf_counter() - began)

    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        await asyncio.gather(*(reader(http) for _ in range(READERS)))
    return taken, statuses


@contextmanager
def _dead(valkey: ValkeyServer) -> Generator[None]:
    valkey.kill()
    try:
        yield
    finally:
        valkey.start()


def _state(server: Serving) -> str:
    return str(json.loads(server.get("/readyz")[2])["status"])


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]


class _Case:
    """What was measured while Redis was in some state."""

    def __init__(self, server: Serving) -> None:
        lines = len(server.lines())
        self.taken, self.statuses = asyncio.run(_read(server.url))
        self.lines = len(server.lines()) - lines


def run() -> Report:
    """Measure each way, between two cases of a dead server."""
    report = Report("Catalog reads while Redis refuses, beside a dead one")
    with tempfile.TemporaryDirectory(prefix="bench") as name, ValkeyServer() as valkey:
        settings = {
            "GRAPH_REDIS_URL": valkey.tcp_url,
            "GRAPH_TRUSTED_PROXIES": "127.0.0.1",
            "GRAPH_ACCESS_LOG": "false",
            "GRAPH_JOBS_BESIDE": "false",
        }
        with Serving(Path(name), **settings) as server:
            server.ready()
            asyncio.run(_read(server.url))  # warms up

            def dead() -> _Case:
                with _dead(valkey):
                    eventually(lambda: _state(server) != "ok")
                    case = _Case(server)
                eventually(lambda: _state(server) == "ok")
                return case

            before = dead()
            for way in WAYS:
                with refusing(valkey, way):
                    eventually(lambda: _state(server) != "ok")
                    case = _Case(server)
                ended = time.perf_counter()
                eventually(lambda: _state(server) == "ok")
                recovered = time.perf_counter() - ended
                after = dead()
                ours, peer = _p99(case.taken), _p99(before.taken + after.taken)
                before = after
                report.add(f"{way}: p99", ours * 1000, "ms", peer="dead", ratio=ours / peer, aim="≤ 2×")
                wrong = sum(count for status, count in case.statuses.items() if status not in (200, 503))
                report.add(f"{way}: answers but 200 and 503", wrong, "", aim="0")
                report.add(f"{way}: log lines", case.lines / SECONDS * 60, "/min", aim="≤ 10")
                report.add(f"{way}: well again after", recovered, "s", aim="≤ 2 s")
    return report
