"""A known query through the endpoint, all bounds and the limiter on, beside Strawberry's own `GraphQLRouter`.

Each contender is one uvicorn process with the same schema; one Valkey keeps the limiter's log. 32 connections are kept
busy from this process, the contenders in turn, in rounds; the median counts. ``python -m bench endpoint``.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psutil
import strawberry
import uvicorn
import uvloop
from fastapi import FastAPI
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.fastapi import GraphQLRouter

from bench.report import Report
from graph.endpoint.admission import Admission, RateLimit
from graph.endpoint.endpoint import GraphQLEndpoint
from graph.endpoint.identity import Anonymous
from graph.patterns.client import open_client
from graph.patterns.limiter import Limiter
from harness.valkey import ValkeyServer, free_port

if TYPE_CHECKING:
    from starlette.types import ASGIApp

CONNECTIONS = 32
ROUNDS = 5
SECONDS = 1.0

OURS = "GraphQLEndpoint, all bounds, limiter on"
STOCK = "GraphQLRouter"
CACHED = "GraphQLRouter with ParserCache and ValidationCache"

QUERIES = {
    "one field": "query Small { hello }",
    "20 objects of 2 fields": "query List($n: Int!) { items(first: $n) { nodes { id name } } }",
}


@strawberry.type
class Item:
    """Something with a name."""

    id: int

    @strawberry.field(description="What it is called.")
    def name(self) -> str:
        """Resolved, not read from an attribute."""
        return f"item {self.id}"


@strawberry.type
class ItemConnection:
    """A page of items."""

    nodes: list[Item]


@strawberry.type
class Query:
    """What is asked."""

    @strawberry.field(description="A constant.")
    def hello(self) -> str:
        """One field."""
        return "world"

    @strawberry.field(description="As many items as are asked for.")
    def items(self, first: int = 10) -> ItemConnection:
        """A list of objects."""
        return ItemConnection(nodes=[Item(id=number) for number in range(first)])


class Connection(asyncio.Protocol):
    """Asks again as soon as it is answered."""

    def __init__(self, request: bytes) -> None:
        """Send `request` over and over."""
        self.answers = 0
        self._request = request
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._stopped = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue] - a stream transport
        self._ask()

    def _ask(self) -> None:
        assert self._transport is not None
        if not self._stopped:
            self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole."""
        buffer = self._buffer + data
        head, separator, body = buffer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]) if separator else 0
        if not separator or len(body) < length:
            self._buffer = buffer
            return
        assert head.startswith(b"HTTP/1.1 200"), buffer
        assert b'"data":{' in body.replace(b" ", b""), body
        assert b'"errors"' not in body, body
        self.answers += 1
        self._buffer = b""
        self._ask()

    def stop(self) -> None:
        """End."""
        self._stopped = True
        assert self._transport is not None
        self._transport.abort()


async def load(port: int, process: psutil.Process, query: str) -> float:
    """Answers a second of the server's CPU time."""
    body = json.dumps({"query": query, "variables": {"n": 20}} if "$n" in query else {"query": query}).encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    loop = asyncio.get_running_loop()
    pairs = [
        await loop.create_connection(lambda: Connection(head.encode() + body), "127.0.0.1", port)
        for _ in range(CONNECTIONS)
    ]
    began = process.cpu_times()
    await asyncio.sleep(SECONDS)
    answers = sum(connection.answers for _, connection in pairs)
    ended = process.cpu_times()
    for _, connection in pairs:
        connection.stop()
    return answers / (ended.user + ended.system - began.user - began.system)


async def measure(servers: dict[str, tuple[int, psutil.Process]]) -> dict[str, dict[str, float]]:
    """Answers a second of CPU time of each contender for each query."""
    rates: dict[str, dict[str, list[float]]] = {what: {name: [] for name in servers} for what in QUERIES}
    for number in range(ROUNDS + 1):
        for what, query in QUERIES.items():
            for name, (port, process) in servers.items():
                rate = await load(port, process, query)
                if number:  # the first round warms up
                    rates[what][name].append(rate)
    return {what: {name: statistics.median(some) for name, some in by.items()} for what, by in rates.items()}


def run() -> Report:
    """Start the contenders, measure them, and give the table."""
    report = Report("A known query over HTTP")
    with ExitStack() as stack:
        valkey = stack.enter_context(ValkeyServer())
        servers: dict[str, tuple[int, psutil.Process]] = {}
        for name in (OURS, STOCK, CACHED):
            arguments = [sys.executable, "-m", "bench.endpoint", name, valkey.url]
            # Stock Strawberry logs a trace for every connection that a client closes.
            process = stack.enter_context(
                subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            )
            stack.callback(process.terminate)
            assert process.stdout is not None
            servers[name] = int(process.stdout.readline()), psutil.Process(process.pid)
        rates = uvloop.run(measure(servers))
    for what, by in rates.items():
        report.add(f"{what}: {OURS}", by[OURS], "requests/CPU s")
        for peer, aim in ((STOCK, "≥ 3×"), (CACHED, "≥ 1×")):
            report.add(
                f"{what}: {peer}", by[peer], "requests/CPU s", peer="ours : it", ratio=by[OURS] / by[peer], aim=aim
            )
    report.notes.append(
        f"One uvicorn process each, {CONNECTIONS} connections, the median of {ROUNDS} rounds of {SECONDS:g} s. "
        "The peers have no limiter, no bounds and no error masking."
    )
    return report


async def serve(name: str, url: str) -> None:
    """Be one of the contenders until terminated."""
    port = free_port()
    async with open_client(url) as client:
        app: ASGIApp
        if name == OURS:
            nobody = Anonymous()
            admission = Admission(Limiter(client), budget=nobody.budget, anonymous=1_000_000_000, prefix="bench")
            app = GraphQLEndpoint(
                strawberry.Schema(Query, extensions=[lambda: RateLimit(admission)]),
                authenticator=nobody,
                admission=admission,
                context=lambda caller, _connection, _response: caller,
            )
        else:
            schema = strawberry.Schema(Query, extensions=[ParserCache, ValidationCache] if name == CACHED else [])
            router: GraphQLRouter[Any, Any] = GraphQLRouter(schema)
            app = FastAPI()
            app.include_router(router, prefix="/graphql")
        config = uvicorn.Config(app, port=port, lifespan="off", log_level="warning", access_log=False, ws="none")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        print(port, flush=True)
        await serving


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], sys.argv[2]))
