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
import re
import selectors
import socket
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.serving import Serving
from harness.subscriber import subscriber

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Sequence
    from multiprocessing.connection import Connection

    from harness.subscriber import Following

WARM_UP = 1.0
"""Seconds in which every connection is accepted, every document read and the caches filled for the first time."""
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


def _load(port: int, requests: Sequence[bytes], connections: int, control: Connection[int, int]) -> None:
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
                    answered += 1
                    one.socket.sendall(requests[asked % len(requests)])
                    asked += 1


class Saturation:
    """What the load came to, once its block has ended."""

    answered = 0
    seconds = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


@contextmanager
def saturated(port: int, requests: Sequence[bytes], connections: int) -> Generator[Saturation]:
    """Send `requests` in turn over `connections` connections for the length of the block; each must be answered 200."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_load, args=(port, requests, connections, theirs))
    process.start()
    theirs.close()
    result = Saturation()
    try:
        ours.recv()  # every connection has asked
        began = time.monotonic()
        yield result
        ours.send(0)  # any message says stop
        result.answered, result.seconds = ours.recv(), time.monotonic() - began
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
    """What to ask, and over how many connections."""

    requests: list[bytes]
    connections: int


LOADS = {
    "the warm catalog page": Load(_WARM, 256),
    "executed queries": Load(_EXECUTED, 256),
    "logins": Load(_LOGINS, 32),
}

_REGISTER = f"""mutation {{
  register(input: {{email: "{_EMAIL}", password: "{_WORD}", displayName: "Load"}}) {{ __typename }}
}}"""
_SIGN_IN = """mutation ($email: String!, $password: String!) {
  login(input: {email: $email, password: $password}) { ... on AuthPayload { token } }
}"""
_FIRST = "{ products(first: 1) { nodes { id } } }"
_REPRICE = """mutation ($id: ID!, $amount: Decimal!) {
  updateProduct(input: {id: $id, price: {amount: $amount}}) { __typename ... on UserError { message } }
}"""
_FOLLOW = "subscription { productChanged { gap product { price { amount } } } }"
_FIRST_ADMIN = re.compile(r"sign in as (\S+) with the password (\S+)")


@dataclass(slots=True)
class Seen:
    """What the others saw: seconds until ``/healthz`` answered, and from each change's request until its event.

    `work` is how long the server's own thread had a core while ``/healthz`` waited: what is left of `health` on a
    machine with nothing else to do. `each` is how long it had one for each answer to the load.
    """

    health: list[float] = field(default_factory=list[float])
    work: list[float] = field(default_factory=list[float])
    events: list[float] = field(default_factory=list[float])
    load: Saturation = field(default_factory=Saturation)
    each: float = 0.0


@contextmanager
def shop(folder: Path) -> Generator[tuple[Serving, Serving, str]]:
    """A server to saturate, another on the same data to make changes through, and an admin's token."""
    with Serving(folder, **SETTINGS) as busy, Serving(folder, **SETTINGS) as other:
        busy.ready()
        other.ready()
        busy.query(_REGISTER)
        email, password = _FIRST_ADMIN.findall(busy.log.read_text())[0]
        yield busy, other, busy.query(_SIGN_IN, email=email, password=password)["data"]["login"]["token"]


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
            before = _worked(busy.process.pid)
            with saturated(busy.port, *load) as seen.load:
                await asyncio.sleep(WARM_UP)
                until = time.monotonic() + seconds
                await asyncio.gather(
                    _repeat(until, 0.05, seen.health, lambda: _health(busy, seen.work)),
                    _repeat(until, 0.2, seen.events, lambda: _event(publish, following)),
                )
            seen.each = (_worked(busy.process.pid) - before) / seen.load.answered
        finally:
            await publish.aclose()
        assert not any(event["gap"] for event in following.values("productChanged"))
        assert len(following.results) == len(seen.events) + 1
    return seen


async def _repeat(until: float, pause: float, taken: list[float], what: Callable[[], Any]) -> None:
    while time.monotonic() < until:
        began = time.perf_counter()
        await what()
        taken.append(time.perf_counter() - began)
        await asyncio.sleep(pause)


def _worked(process: int) -> float:
    """Seconds that the first thread of a process has had a core (Linux)."""
    return int(Path(f"/proc/{process}/task/{process}/schedstat").read_text().split()[0]) / 1e9


async def _health(server: Serving, work: list[float]) -> None:
    before = _worked(server.process.pid)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200")
    work.append(_worked(server.process.pid) - before)
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
