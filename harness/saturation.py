"""A server with all hands full, and how it treats everybody else meanwhile.

The load comes from a process of its own: many connections, each asking again as soon as it is answered. Meanwhile
``/healthz`` is asked over new connections, as a balancer does, and a WebSocket follows changes that are made through
another server process on the same data.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import selectors
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.serving import Serving
from harness.subscriber import subscriber
from harness.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.sharedctypes import Synchronized
    from pathlib import Path

    from harness.subscriber import Following

ENOUGH = 5
"""Health checks and events that are seen at least, however long they take."""
SETTINGS = {
    "GRAPH_RATE_LIMIT_ANONYMOUS": "100000000",
    "GRAPH_RATE_LIMIT_AUTHENTICATED": "100000000",
    "GRAPH_ACCOUNTS_ATTEMPTS": "10000000",
    "GRAPH_ACCOUNTS_ATTEMPTS_PER_ADDRESS": "10000000",
    "GRAPH_ACCESS_LOG": "false",
    "GRAPH_JOBS_BESIDE": "false",
}
"""Of a server that lets itself be saturated from one address."""


def post(document: str, *headers: str, **variables: object) -> bytes:
    """The bytes of a POST of one operation."""
    body = json.dumps({"query": document, "variables": variables}).encode()
    lines = ["POST /graphql HTTP/1.1", "Host: t", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


class _Line:
    """One connection: what it has read of the answer under way."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def answered(self) -> bool:
        """Take what has come; whether the answer is whole."""
        data = self.socket.recv(1 << 18)
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not data or (found and not head.startswith(b"HTTP/1.1 200")) or b'"errors"' in body:
            raise RuntimeError(self._read[:1000])
        if not found or len(body) < int(head.lower().partition(b"content-length:")[2].partition(b"\r")[0]):
            return False
        self._read = b""
        return True


def _load(
    port: int, requests: Sequence[bytes], connections: int, control: Connection[int, int], told: Synchronized[int]
) -> None:
    answered = asked = 0
    lines = [_Line(port) for _ in range(connections)]
    with selectors.DefaultSelector() as ready:
        ready.register(control, selectors.EVENT_READ)
        for one in lines:
            ready.register(one.socket, selectors.EVENT_READ, one)
            one.socket.sendall(requests[asked % len(requests)])
            asked += 1
        control.send(0)
        while True:
            for key, _ in ready.select():
                one: _Line | None = key.data
                if one is None:
                    control.send(answered)
                    return
                if one.answered():
                    told.value = answered = answered + 1
                    one.socket.sendall(requests[asked % len(requests)])
                    asked += 1


class Saturation:
    """What the load has come to; `seconds` once its block has ended."""

    def __init__(self, told: Synchronized[int]) -> None:
        self._told = told
        self.seconds = 0.0

    @property
    def answered(self) -> int:
        """How many requests have been answered."""
        return self._told.value

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


@contextmanager
def saturated(port: int, requests: Sequence[bytes], connections: int) -> Generator[Saturation]:
    """Send `requests` in turn over `connections` connections for the length of the block; each must be answered 200."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    told: Any = context.Value("Q", 0)
    process = context.Process(target=_load, args=(port, requests, connections, theirs, told))
    process.start()
    theirs.close()
    result = Saturation(told)
    try:
        ours.recv()  # every connection has asked
        began = time.monotonic()
        yield result
        ours.send(0)  # any message says stop
        ours.recv()
        result.seconds = time.monotonic() - began
    finally:
        process.join(5)
        process.kill()
        process.join()


# --- the others ---

_PAGE = "{ nodes { id sku name stock price { amount currency } category { name } } }"
_WARM = [post(f"{{ products(first: 20) {_PAGE} }}")]
"""Answered from memory."""
_READ = f"query ($first: Int) {{ products(first: $first) {_PAGE} rateLimit {{ remaining }} }}"
_EXECUTED = [post(_READ, first=count) for count in range(5, 25)]
"""Executed each time, because a caller's budget is in the answer."""
_EMAIL, _WORD = "load@example.org", "a password for the load"
_LOGINS = [post(f'mutation {{ login(input: {{email: "{_EMAIL}", password: "{_WORD}"}}) {{ __typename }} }}')]
"""A password to check, each."""


class Load(NamedTuple):
    """What to ask, over how many connections, and how many answers are had before anybody looks.

    A password is checked by a process that leaves the processor to all others: on a busy machine one may take seconds.
    """

    requests: list[bytes]
    connections: int
    warm: int


LOADS = {
    "the warm catalog page": Load(_WARM, 256, 768),
    "executed queries": Load(_EXECUTED, 256, 768),
    "logins": Load(_LOGINS, 32, 1),
}

_REGISTER = f"""mutation {{
  register(input: {{email: "{_EMAIL}", password: "{_WORD}", displayName: "Load"}}) {{ __typename }}
}}"""
_FIRST = "{ products(first: 1) { nodes { id } } }"
_REPRICE = """mutation ($id: ID!, $amount: Decimal!) {
  updateProduct(input: {id: $id, price: {amount: $amount}}) { __typename ... on UserError { message } }
}"""
_FOLLOW = "subscription { productChanged { gap product { price { amount } } } }"


@dataclass(slots=True)
class Seen:
    """What the others saw: seconds until ``/healthz`` answered, and from each change's request until its event.

    `before` is how many answers the load got while ``/healthz`` waited.
    """

    health: list[float] = field(default_factory=list[float])
    before: list[int] = field(default_factory=list[int])
    events: list[float] = field(default_factory=list[float])
    rate: float = 0.0


@contextmanager
def shop(folder: Path) -> Generator[tuple[Serving, Serving, str]]:
    """A server to saturate, another on the same data to make changes through, and an admin's token."""
    with Serving(folder, **SETTINGS) as busy, Serving(folder, **SETTINGS) as other:
        busy.ready()
        other.ready()
        busy.query(_REGISTER)
        *_, token = busy.admin()
        yield busy, other, token


async def watch(busy: Serving, other: Serving, token: str, load: Load, seconds: float) -> Seen:
    """Saturate `busy` with `load` for so long, once it is warm, and see."""
    seen = Seen()
    async with subscriber(busy.port) as socket:
        following = await socket.follow(_FOLLOW)
        product = busy.query(_FIRST)["data"]["products"]["nodes"][0]["id"]
        publish = _publisher(other.port, token, product)
        try:
            await anext(publish)
            await following.until(1)
            with saturated(busy.port, load.requests, load.connections) as running:
                await until(lambda: running.answered >= load.warm)
                end = time.monotonic() + seconds
                await asyncio.gather(
                    _repeat(end, 0.05, seen.health, lambda: _health(busy, running, seen.before)),
                    _repeat(end, 0.2, seen.events, lambda: _event(publish, following)),
                )
            seen.rate = running.rate
        finally:
            await publish.aclose()
        assert not any(event["gap"] for event in following.values("productChanged"))
        assert len(following.results) == len(seen.events) + 1
    return seen


async def _repeat(end: float, pause: float, taken: list[float], what: Callable[[], Any]) -> None:
    while time.monotonic() < end or len(taken) < ENOUGH:
        began = time.perf_counter()
        await what()
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(pause)


async def _health(server: Serving, load: Saturation, before: list[int]) -> None:
    already = load.answered
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    before.append(load.answered - already)
    writer.close()


async def _event(publish: AsyncGenerator[None], following: Following) -> None:
    count = len(following.results)
    await anext(publish)
    await following.until(count + 1, 60)


async def _publisher(port: int, token: str, product: str) -> AsyncGenerator[None]:
    """Each turn asks the server on `port` for a change, and does not wait for it to be acknowledged."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    reading = asyncio.create_task(_drained(reader))
    try:
        for number in itertools.count(1):
            amount = f"{number % 900 + 1}.{number % 90 + 10}"
            writer.write(post(_REPRICE, f"Authorization: Bearer {token}", id=product, amount=amount))
            yield
    finally:
        writer.close()
        await reading


async def _drained(reader: asyncio.StreamReader) -> None:
    said = await reader.read()
    assert b"errors" not in said, said
    assert b"UserError" not in said, said
