"""Live queries: deliveries beside the fan-out of subscriptions and beside Yoga, executions, memory, what writers pay.

Ten thousand sockets follow a hundred queries of one process; a round writes each of the items once and takes the time
until the last client shows it. As many sockets have the subscription of `fanout`, for a few events a round. Rounds go
round the servers, medians count; the work is the server's own processor time. Then one item after the other is written,
a hundred a second, and executions are counted. Then the pub/sub connections are cut for a second in which every item is
written: clients that show something older afterwards have missed an update.

What an announcement costs a writer is the difference between the script that ends a write and the same without its
PUBLISH, in alternation; it is set against a write through the cache alone, and against a mutation through the server.
LIVE_CLIENTS (10000) and LIVE_WRITES (1000, in a race of three servers) are how many there are. ``make bench-peers``
installs Yoga.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.fanout import OURS, Contender, Measured, Server, worked
from bench.report import Report, median
from graph.patterns.cache import generations
from graph.patterns.client import Script, open_client
from harness.live_race import FAULTS, Race
from harness.serving import Serving
from harness.valkey import ValkeyServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graph.patterns.client import Command

NODE = Path(__file__).parent / "peers" / "live"
FOLLOWERS = int(os.environ.get("LIVE_CLIENTS", "10000"))
WRITES = int(os.environ.get("LIVE_WRITES", "1000"))
KEYS = 100
EVENTS = 4  # of the subscription, to each client in a round
ROUNDS = 5
CUT = 1.0  # seconds without pub/sub
HEALED = 10.0  # seconds after which a change that is not shown counts as missed
LIVE = Contender("live", "graph, live queries", [sys.executable, "-m", "bench.peers.live_app", "$PORT"])
YOGA = Contender("yoga", "Yoga, @envelop/live-query and a Redis bridge", ["node", str(NODE / "yoga.mjs")], 3.0)
DIRECTIVES = {"live": "@live(throttle: 0)", "yoga": "@live"}


def run() -> Report:
    """Measure."""
    report = Report(f"Live queries: {FOLLOWERS:,} clients of {KEYS} queries")
    contenders = [LIVE]
    if (NODE / "node_modules").is_dir() and shutil.which("node"):
        contenders.append(YOGA)
    else:
        report.notes.append("Yoga is not installed: `make bench-peers`.")
    with ValkeyServer() as server:
        _deliveries(report, contenders, server)
    asyncio.run(_writers(report))
    asyncio.run(_catching_up(report))
    return report


# --- deliveries ---


def _deliveries(report: Report, contenders: Sequence[Contender], server: ValkeyServer) -> None:
    measured = {one.name: Measured() for one in (OURS, *contenders)}
    with contextlib.ExitStack() as stack:
        fan = stack.enter_context(Server(OURS, server, FOLLOWERS))
        crowds = [
            stack.enter_context(Server(one, server, FOLLOWERS, crowd=["live", str(KEYS), DIRECTIVES[one.name]]))
            for one in contenders
        ]
        ours = crowds[0]
        report.add("memory of one client", (ours.held - ours.idle) / FOLLOWERS / 1024, "kB", aim="≤ 30")
        for _ in range(ROUNDS):
            _round(measured[OURS.name], fan, EVENTS)
            for crowd in crowds:
                _round(measured[crowd.contender.name], crowd, 1)
        _add(report, contenders, measured)
        for crowd in crowds:
            _paced(report, crowd)
            _cut(report, crowd, server)


def _round(measured: Measured, server: Server, events: int) -> None:
    deliveries = events * FOLLOWERS
    before = worked(server.process.pid)
    measured.rates.append(deliveries / server.burst(events))
    measured.work += (worked(server.process.pid) - before) / (ROUNDS * deliveries) * 1e6


def _add(report: Report, contenders: Sequence[Contender], measured: dict[str, Measured]) -> None:
    fan, live = measured[OURS.name], measured[LIVE.name]
    report.add("graph, a subscription with as many clients", median(fan.rates), "messages/s")
    report.add("graph, a subscription with as many clients: work", fan.work, "µs a message")
    ratio = median([mine / other for mine, other in zip(live.rates, fan.rates, strict=True)])
    report.add(LIVE.title, median(live.rates), "messages/s", peer="to a subscription", ratio=ratio, aim="≥ 0.8×")
    report.add(
        f"{LIVE.title}: work", live.work, "µs a message", peer="a subscription to it", ratio=fan.work / live.work
    )
    for one in contenders[1:]:
        theirs = measured[one.name]
        ratio = median([mine / other for mine, other in zip(live.rates, theirs.rates, strict=True)])
        report.add(one.title, median(theirs.rates), "messages/s", peer="ours to it", ratio=ratio)
        ratio, aim = theirs.work / live.work, f"≥ {one.aim}×"
        report.add(f"{one.title}: work", theirs.work, "µs a message", peer="it to ours", ratio=ratio, aim=aim)


def _paced(report: Report, server: Server) -> None:
    """A hundred writes a second, one after the other."""
    writes = 300
    before = json.loads(server.post("publish?events=0"))["executions"]
    after = json.loads(server.post(f"random?writes={writes}&pace=0.01"))["executions"]
    made, aim = (after - before) / writes, "≤ 1" if server.contender is LIVE else ""
    report.add(f"{server.contender.title}: executions", made, "a write", aim=aim)


def _cut(report: Report, server: Server, valkey: ValkeyServer) -> None:
    """Write every item while no pub/sub connection lasts."""
    over = threading.Event()

    def cut() -> None:
        while not over.wait(0.005):
            valkey.command("CLIENT", "KILL", "TYPE", "pubsub")

    cutting = threading.Thread(target=cut)
    cutting.start()
    until = time.monotonic() + CUT
    try:
        number = 0
        while time.monotonic() < until:
            number = json.loads(server.post("publish?events=1"))["number"]
    finally:
        over.set()
        cutting.join()
    until = time.monotonic() + HEALED
    while (missed := int(server.tell(f"stale {number}"))) and time.monotonic() < until:
        time.sleep(0.1)
    aim = "0" if server.contender is LIVE else ""
    report.add(f"{server.contender.title}: clients that missed updates", missed, "", aim=aim)


# --- what writers pay ---


class _Silent(Script):
    """The script that ends a write, without its announcement."""

    @cached_property
    def source(self) -> bytes:
        lines = super().source.splitlines(keepends=True)
        kept = [line for line in lines if not line.startswith(b"redis.pcall(ARGV[4]")]
        assert len(kept) == len(lines) - 1
        return b"".join(kept)


_SILENT = _Silent(generations.__name__, "release")


class _SilentGenerations(generations.Generations):
    """Invalidates and tells nobody."""

    def _release_command(self, tag: str, hold: str) -> Command:
        told = super()._release_command(tag, hold)
        return _SILENT(told.args[3:5], told.args[5:])


async def _writers(report: Report) -> None:
    tags = ("product:7", "products", "categories")
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            ways = {True: generations.Generations(client), False: _SilentGenerations(client)}
            total = dict.fromkeys(ways, 0.0)
            writes = 1500
            for told, one in [*ways.items()] * ROUNDS:
                before = worked(server.pid) + time.process_time()
                for _ in range(writes):
                    async with one.invalidating(*tags):
                        pass
                total[told] += worked(server.pid) + time.process_time() - before
            for one in ways.values():
                await one.close()
    each = {told: seconds / (ROUNDS * writes) * 1e6 for told, seconds in total.items()}
    title = f"a write of {len(tags)} tags through the cache alone"
    report.add(title, each[True], "µs", peer="to one that tells nobody", ratio=each[True] / each[False], aim="≤ 1.03×")
    announcement = max(0.0, each[True] - each[False]) / len(tags)
    report.add("one announcement that nobody hears", announcement, "µs")
    mutation, told = await asyncio.to_thread(_mutation)
    share = 1 + announcement * told / mutation
    report.add("a mutation through the server", mutation, "µs", peer="its announcements", ratio=share, aim="≤ 1.03×")


def _mutation() -> tuple[float, float]:
    """Microseconds of processor time that one `updateProduct` costs server and Redis, and how often it announces."""
    writes = 500
    with tempfile.TemporaryDirectory() as folder, ValkeyServer() as valkey:
        settings = {
            "GRAPH_REDIS_URL": valkey.url,
            "GRAPH_JOBS_BESIDE": "false",
            "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000",
        }
        with Serving(Path(folder), **settings) as serving:
            _, _, token = serving.ready().admin()
            found = serving.query("{ products(first: 1) { nodes { id } } }")["data"]["products"]["nodes"][0]["id"]
            connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=60)
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
            documents = (
                f"mutation {{ updateProduct(input: {{id: {json.dumps(found)}, stock: {n}}}) {{ __typename }} }}"
                for n in range(writes + 50)
            )

            def send(some: Iterator[str], count: int) -> None:
                for _ in range(count):
                    connection.request("POST", "/graphql", json.dumps({"query": next(some)}), headers)
                    assert b"Product" in connection.getresponse().read()

            send(documents, 50)
            before, published = worked(serving.process.pid) + worked(valkey.pid), _published(valkey)
            send(documents, writes)
            spent = worked(serving.process.pid) + worked(valkey.pid) - before
            return spent / writes * 1e6, (_published(valkey) - published) / writes


def _published(valkey: ValkeyServer) -> int:
    """How often PUBLISH was called."""
    told: Any = valkey.command("INFO", "commandstats").decode()
    found = [line for line in told.splitlines() if line.startswith("cmdstat_publish:")]
    return int(found[0].partition("calls=")[2].partition(",")[0]) if found else 0


# --- how soon it is shown ---


async def _catching_up(report: Report) -> None:
    """Three server processes and 200 live queries: a quiet latency, and how long after each fault all is shown."""
    with tempfile.TemporaryDirectory() as folder:
        async with Race(Path(folder)) as race:
            await race.follow(200)
            await race.settled()
            quiet = sorted(await race.latencies(200))
            report.add("a write of one process shown by another, median", 1000 * median(quiet), "ms")
            report.add("a write of one process shown by another, p99", 1000 * quiet[-3], "ms", aim="≤ 100")
            for fault in FAULTS:
                await race.run(WRITES // len(FAULTS), fault)
                title = f"all of 200 clients show what is, fault: {fault}"
                report.add(title, await race.settled(), "s", aim="≤ 5")


if __name__ == "__main__":
    print(run().as_markdown())
