"""What a storm of logins costs everybody else: catalog queries at a fixed rate, alone and beside 50 busy logins.

A real ``graph serve`` with its embedded Valkey and SQLite answers 200 catalog queries a second, sent when they are due
whether or not the ones before have been answered, so that waiting is counted and not hidden. In every other round 50
clients sign in over and over. Beside that: what the check of a session costs, and whether time tells who exists.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from bench.report import Report, median
from graph.patterns.client import command, open_client
from graph.patterns.sessions import Sessions
from harness.serving import Serving
from harness.valkey import ValkeyServer

RATE, CLIENTS = 200, 50
ROUNDS, SECONDS = 3, 5.0
CONNECTIONS = 16
TRIES = 200
CATALOG = "{ products(first: 10) { nodes { id name price { amount currency } } } }"
REGISTER = """mutation ($email: String!) { register(input: {email: $email, password: "correct horse battery staple",
displayName: "Ann"}) { __typename } }"""
LOGIN = """mutation ($email: String!, $password: String!) { login(input: {email: $email, password: $password}) {
__typename } }"""
RIGHT = "correct horse battery staple"


class Wire:
    """One HTTP/1.1 connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ask on an open connection."""
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Wire:
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, query: str, **variables: str) -> Any:
        """Post one operation and give its data."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        head = "POST /graphql HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: "
        self._writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"content-length:")[2].partition(b"\r")[0])
        found = json.loads(await self._reader.readexactly(length))
        if "errors" in found:
            raise RuntimeError(found["errors"])
        return found["data"]

    def close(self) -> None:
        """Hang up."""
        self._writer.close()


async def catalog(wires: list[Wire], seconds: float) -> list[float]:
    """Query at the rate for so long; the seconds that each answer took from the moment its query was due."""
    due: asyncio.Queue[float | None] = asyncio.Queue()
    taken: list[float] = []

    async def work(wire: Wire) -> None:
        while (moment := await due.get()) is not None:
            await wire.ask(CATALOG)
            taken.append(time.perf_counter() - moment)

    workers = [asyncio.create_task(work(wire)) for wire in wires]
    began = time.perf_counter()
    for i in range(int(RATE * seconds)):
        moment = began + i / RATE
        if (ahead := moment - time.perf_counter()) > 0:
            await asyncio.sleep(ahead)
        due.put_nowait(moment)
    for _ in workers:
        due.put_nowait(None)
    await asyncio.gather(*workers)
    return taken


async def storm(port: int, stop: asyncio.Event) -> int:
    """Sign in over and over on connections of their own; how many logins that made."""

    async def work(number: int) -> int:
        wire, made = await Wire.open(port), 0
        while not stop.is_set():
            outcome = await wire.ask(LOGIN, email=f"user{number}@example.org", password=RIGHT)
            assert outcome["login"]["__typename"] == "AuthPayload", outcome
            made += 1
        wire.close()
        return made

    return sum(await asyncio.gather(*(work(i) for i in range(CLIENTS))))


def p99(values: list[float]) -> float:
    """The 99th percentile."""
    return statistics.quantiles(values, n=100)[98]


async def _storms(port: int, report: Report) -> None:
    readers = [await Wire.open(port) for _ in range(CONNECTIONS)]
    for i in range(CLIENTS):
        await readers[0].ask(REGISTER, email=f"user{i}@example.org")
    await catalog(readers, 1.0)
    alone: list[list[float]] = []
    beside: list[list[float]] = []
    logins = 0
    for _ in range(ROUNDS):
        alone.append(await catalog(readers, SECONDS))
        stop = asyncio.Event()
        storming = asyncio.create_task(storm(port, stop))
        beside.append(await catalog(readers, SECONDS))
        stop.set()
        logins += await storming
    quiet, busy = (median([p99(one) for one in rounds]) * 1000 for rounds in (alone, beside))
    middle = [median([median(one) for one in rounds]) * 1000 for rounds in (alone, beside)]
    report.add(f"catalog, {RATE} queries/s alone: p99", quiet, "ms")
    report.add(f"beside {CLIENTS} busy logins: p99", busy, "ms", peer="alone", ratio=busy / quiet, aim="≤ 2")
    report.add("alone: median", middle[0], "ms")
    report.add("beside the logins: median", middle[1], "ms", peer="alone", ratio=middle[1] / middle[0])
    report.add("logins meanwhile", logins / (ROUNDS * SECONDS), "/s")
    await _timing(readers[0], report)
    for wire in readers:
        wire.close()


async def _timing(wire: Wire, report: Report) -> None:
    """Take turns at an unknown email and a wrong password."""
    taken: dict[str, list[float]] = {"unknown email": [], "wrong password": []}
    for i in range(TRIES):
        for kind, email in (("unknown email", f"nobody{i}@example.org"), ("wrong password", "user0@example.org")):
            began = time.perf_counter()
            outcome = await wire.ask(LOGIN, email=email, password="a wrong guess at it")
            assert outcome["login"]["__typename"] == "InvalidCredentials", outcome
            taken[kind].append((time.perf_counter() - began) * 1000)
    for kind, times in taken.items():
        low, middle, high = statistics.quantiles(times, n=4)
        report.add(f"login, {kind}: median of {TRIES}", middle, "ms")
        report.notes.append(f"login, {kind}: quartiles {low:.2f} and {high:.2f} ms")


async def _checks(report: Report) -> None:
    """Check one session over and over, beside a bare GET on the same connection."""
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            sessions = Sessions(client)
            token, _ = await sessions.create("7")
            await client.execute("SET", "bare", "x" * 100, "PX", 60_000, retry=False)
            touch = sessions.touch_command(token)
            assert touch is not None
            times: list[list[float]] = [[], []]
            for _ in range(7):
                for asked, taken in zip((touch, command("GET", "bare")), times, strict=True):
                    began = time.perf_counter()
                    for _ in range(2_000):
                        await client.send(asked)
                    taken.append((time.perf_counter() - began) / 2_000 * 1e6)
            check, get = (median(one) for one in times)
            report.add("check of a session", check, "µs", peer="a bare GET", ratio=check / get)


def run() -> Report:
    """Measure."""
    report = Report("Accounts: logins beside catalog reads")
    generous = {
        "GRAPH_RATE_LIMIT_ANONYMOUS": "1000000",
        "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000",
        "GRAPH_ACCOUNTS_ATTEMPTS": "1000000",
        "GRAPH_ACCOUNTS_ATTEMPTS_PER_ADDRESS": "1000000",
        "GRAPH_ACCOUNTS_REGISTRATIONS": "1000000",
        "GRAPH_JOBS_BESIDE": "false",
    }
    with tempfile.TemporaryDirectory(prefix="bench") as folder, Serving(Path(folder), **generous) as server:
        server.ready()
        uvloop.run(_storms(server.port, report))
    uvloop.run(_checks(report))
    report.notes.append("The load and the server share the machine; hashing has a thread of low priority.")
    return report
