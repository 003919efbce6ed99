"""Malformed, oversized, nested, fragmented, slow and truncated frames and messages against a real ``graph serve``.

Each ends its own socket with the right close code, or is answered by an ``error`` with a code, within a second and 50
MB; the server answers afterwards, and its log has neither a traceback nor an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import struct
from itertools import count
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest

from harness.serving import Serving
from harness.waiting import until, within
from tests.support.engines.stocked import stocked

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MASK = b"\x00\x00\x00\x00"  # a mask that changes nothing
BODY = 100_000
KEY = "Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA=="


def frame(
    data: bytes | str, kind: int = TEXT, *, last: bool = True, masked: bool = True, said: int | None = None
) -> bytes:
    """A frame (RFC 6455, 5.2); its head says `said` bytes follow."""
    data = data.encode() if isinstance(data, str) else data
    size = len(data) if said is None else said
    mask = 0x80 if masked else 0
    if size < 126:
        length = bytes([mask | size])
    elif size < 65_536:
        length = bytes([mask | 126]) + struct.pack("!H", size)
    else:
        length = bytes([mask | 127]) + struct.pack("!Q", size)
    return bytes([(0x80 if last else 0) | kind]) + length + (MASK if masked else b"") + data


def ask(query: str, key: str = "1", **payload: Any) -> bytes:
    """A subscribe message."""
    return frame(json.dumps({"id": key, "type": "subscribe", "payload": {"query": query, **payload}}))


def split(text: str, parts: int, then: bytes = b"") -> bytes:
    """A message in `parts` fragments with `then` between them."""
    step = max(1, len(text) // parts)
    pieces = [text[at : at + step] for at in range(0, len(text), step)]
    pieces += [""] * (parts - len(pieces))
    frames = [frame(piece, TEXT if n == 0 else 0, last=n == len(pieces) - 1) for n, piece in enumerate(pieces)]
    return then.join(frames)


class Case(NamedTuple):
    """Bytes after the acknowledgement, and what comes of them: a close code, or the code of an error message."""

    name: str
    raw: bytes
    outcome: int | str


HELLO = "{categories{name}}"
PINGS = frame('{"type":"ping"}')

FRAMES = [
    Case("text that is no UTF-8", frame(b"\xff\xfe"), 1007),
    Case("an overlong slash", frame(b'{"type":"\xc0\xaf"}'), 1007),
    Case("a lone surrogate in UTF-8", frame(b'{"type":"\xed\xa0\x80"}'), 1007),
    Case("a character cut in two over the end", frame("{€".encode()[:-1]), 1007),
    Case("a frame without a mask", frame("{}", masked=False), 1002),
    Case("a reserved bit", bytes([0xC1]) + frame("{}")[1:], 1002),
    Case("an unknown opcode", frame("", 3), 1002),
    Case("an unknown control opcode", frame("", 11), 1002),
    Case("a ping of 126 bytes", frame("x" * 126, PING), 1002),
    Case("a ping in fragments", frame("x", PING, last=False), 1002),
    Case("a continuation of nothing", frame("x", 0), 1002),
    Case("a message within a message", frame("{", last=False) + frame("{}"), 1002),
    Case("a close of one byte", frame("x", CLOSE), 1002),
    Case("a close with a code of nobody's", frame(struct.pack("!H", 1005), CLOSE), 1002),
    Case("a close whose reason is no UTF-8", frame(struct.pack("!H", 1000) + b"\xff", CLOSE), 1007),
    Case("a length of 2^63", bytes([0x81, 0xFF]) + struct.pack("!Q", 1 << 63) + MASK, 1009),
    Case("a length of 2^63-1", frame("", said=(1 << 63) - 1), 1009),
    Case("a frame above the limit, said and not sent", frame("", said=BODY + 1), 1009),
    Case("a message of 15 MB", frame(" " * 15_000_000), 1009),
    Case("a message above the limit in two fragments", split(" " * (BODY + 2), 2), 1009),
    Case("few characters of many bytes", frame('{"type":"ping","payload":{"x":"' + "🔑" * 26_000 + '"}}'), 1009),
    Case("3,000 empty fragments", split("{", 3000), 1009),
    Case("100,000 empty fragments", split("{", 100_000), 1009),
    Case("HTTP in place of frames", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10, 1002),
    Case("TLS in place of frames", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500, 1002),
    Case("binary JSON", frame('{"type":"ping"}', BINARY), 4400),
]  # fmt: skip

MESSAGES = [
    Case("nothing", frame(""), 4400),
    Case("NUL bytes", frame(b"\x00" * 5000), 4400),
    Case("a byte order mark", frame("\ufeff" + '{"type":"ping"}'), 4400),
    Case("JSON that is too deep", frame('{"type":"ping","payload":{"a":' + "[" * 63 + "]" * 63 + "}}"), 4400),
    Case("truncated JSON", frame('{"type":"subsc'), 4400),
    Case("two messages in one", frame('{"type":"ping"}{"type":"ping"}'), 4400),
    Case("NaN", frame('{"type":"ping","payload":{"n":NaN}}'), 4400),
    Case("a batch", frame('[{"type":"ping"}]'), 4400),
    Case("brackets 99,999 deep", frame("[" * 99_999), 4400),
    Case("objects 10,000 deep", frame('{"a":' * 10_000 + "1" + "}" * 10_000), 4400),
    Case("a type of 90 kB", frame('{"type":"' + "x" * 90_000 + '"}'), 4400),
    Case("20,000 members", frame("{" + ",".join(f'"{n}":1' for n in range(9000)) + "}"), 4400),
    Case("a message of the server's", frame('{"type":"connection_ack"}'), 4400),
    Case("a legacy message", frame('{"type":"start","id":"1","payload":{"query":"{a}"}}'), 4400),
    Case("a second init", frame('{"type":"connection_init"}'), 4429),
    Case("an id in use", ask("subscription{productChanged{cursor}}") * 2, 4409),
]

PAGE = "query($n:Int){products(first:$n){totalCount}}"
PAGES = (
    "{" + " ".join(f"a{n}:products(first:100){{nodes{{sku name stock category{{id name}}}}}}" for n in range(15)) + "}"
)
HASH = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}
NOBODYS = frame(json.dumps({"id": "1", "type": "subscribe", "payload": HASH}))
LEVELS = "{__schema{types" + "{fields{type" * 6 + "{name}" + "}}" * 6 + "}}"
OPERATIONS = [
    Case("no GraphQL", ask("hello"), "GRAPHQL_PARSE_FAILED"),
    Case("an empty document", ask(""), "GRAPHQL_PARSE_FAILED"),
    Case("an unknown field", ask("{nothing}"), "GRAPHQL_VALIDATION_FAILED"),
    Case("a lone surrogate, escaped", ask('{leaderboard(slug:"\\uD800"){name}}'), "GRAPHQL_PARSE_FAILED"),
    Case("a fragment of itself", ask("{...A} fragment A on Query{...A}"), "GRAPHQL_VALIDATION_FAILED"),
    Case("20,000 braces", ask("{" * 20_000), "GRAPHQL_PARSE_FAILED"),
    Case("20,000 tokens", ask("{" + "a " * 20_000 + "}"), "TOO_MANY_TOKENS"),
    Case("pages of pages", ask(PAGES), "TOO_COMPLEX"),
    Case("12 levels of introspection", ask(LEVELS), "GRAPHQL_VALIDATION_FAILED"),
    Case("300 aliases", ask("{" + " ".join(f"a{n}:categories{{name}}" for n in range(100)) + "}"), "TOO_MANY_ALIASES"),
    Case("a page of a billion", ask("{products(first:1000000000){totalCount}}"), "BAD_USER_INPUT"),
    Case("a variable of a wrong type", ask(PAGE, variables={"n": "x"}), "BAD_USER_INPUT"),
    Case("an integer of 16 digits", ask(PAGE, variables={"n": 10**15}), "BAD_USER_INPUT"),
    Case("an unknown operation", ask("query A{categories{name}}", operationName="B"), "OPERATION_RESOLUTION_FAILURE"),
    Case("a hash of nobody's", NOBODYS, "PERSISTED_QUERY_NOT_FOUND"),
    Case("a subscription to a wrong cursor", ask('subscription{productChanged(after:"x"){cursor}}'), "BAD_USER_INPUT"),
    Case("a private subscription", ask('subscription{jobProgress(id:"x"){id}}'), "UNAUTHENTICATED"),
]  # fmt: skip

CASES = [*FRAMES, *MESSAGES, *OPERATIONS]


class Server(NamedTuple):
    """The server under attack."""

    port: int
    pid: int
    log: Path

    def worked(self) -> float:
        """Seconds that the server's thread has had a core."""
        return int(Path(f"/proc/{self.pid}/task/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def memory(self) -> int:
        """Bytes of memory that the process has."""
        found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    def connections(self) -> int:
        """Descriptors that the process has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of its own that lets an address run many operations."""
    folder = tmp_path_factory.mktemp("abuse")
    with Serving(stocked(folder), GRAPH_RATE_LIMIT_ANONYMOUS="10000000", GRAPH_JOBS_BESIDE="false") as process:
        process.ready()
        yield Server(process.port, process.process.pid, process.log)
        told = process.log.read_text()
        assert "Traceback" not in told
        assert '"level":"error"' not in told
        assert '"level":"warning"' not in told


class Raw:
    """A socket that speaks in frames."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak through a connection whose handshake is done."""
        self.reader = reader
        self.writer = writer

    def say(self, raw: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(raw)

    async def hear(self) -> tuple[int, bytes]:
        """The kind and the content of the next frame."""
        async with within("the next frame"):
            kind, size = await self.reader.readexactly(2)
            if size == 126:
                size = struct.unpack("!H", await self.reader.readexactly(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", await self.reader.readexactly(8))[0]
            return kind & 15, await self.reader.readexactly(size)

    async def outcome(self) -> int | str:
        """The code of the first error message, or of the close."""
        while True:
            kind, data = await self.hear()
            if kind == CLOSE:
                return struct.unpack("!H", data[:2])[0] if data else 1005
            message: dict[str, Any] = json.loads(data)
            if message["type"] == "error":
                return str(message["payload"][0]["extensions"]["code"])
            if errors := message["payload"].get("errors"):
                return str(errors[0]["extensions"]["code"])


@contextlib.asynccontextmanager
async def opened(server: Server, *, greeted: bool = True) -> AsyncGenerator[Raw]:
    """A socket, acknowledged unless told otherwise; it is cut off at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        head = ["GET /graphql HTTP/1.1", "Host: t", "Upgrade: websocket", "Connection: Upgrade", KEY]
        head += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: graphql-transport-ws", "", ""]
        writer.write("\r\n".join(head).encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        raw = Raw(reader, writer)
        if greeted:
            raw.say(frame('{"type":"connection_init"}'))
            assert await raw.hear() == (TEXT, b'{"type":"connection_ack"}')
        yield raw
    finally:
        writer.transport.abort()


async def answers(server: Server) -> None:
    """An operation on a new socket is answered."""
    async with opened(server) as raw:
        raw.say(ask(HELLO))
        kind, data = await raw.hear()
        assert (kind, json.loads(data)["type"]) == (TEXT, "next")


async def test_no_frame_and_no_message_makes_the_server_fail(server: Server) -> None:
    """Each abuse ends its own socket with its code, or is refused, with little work and memory; the next is served.

    Little work is at most what some hundreds of sockets with a small query take, measured a moment before.
    """
    assert len({case.name for case in CASES}) == len(CASES) >= 50
    await answers(server)
    began = server.worked()
    for _ in range(20):
        await answers(server)
    small = (server.worked() - began) / 20
    before = server.memory()
    most = ("", 0.0)
    for case in CASES:
        began = server.worked()
        async with opened(server) as raw:
            raw.say(case.raw)
            assert await raw.outcome() == case.outcome, case.name
        most = max(most, (case.name, (server.worked() - began) / small), key=lambda one: one[1])
        assert server.memory() - before < 50_000_000, case.name
        await answers(server)
    assert most[1] < 300, most


@pytest.mark.parametrize("cut", [b"", b"\x81", b"\x81\xfe\x00", frame("{")[:-1], split('{"type":"ping"}', 3)[:12]])
async def test_a_client_that_hangs_up_within_a_frame_is_no_error(server: Server, cut: bytes) -> None:
    """Connections cut anywhere in a frame leave the server as it was."""
    for greeted in (True, False):
        async with opened(server, greeted=greeted) as raw:
            raw.say(cut)
            await raw.writer.drain()
    await answers(server)


async def test_parts_of_messages_and_pings_between_them_are_put_together(server: Server) -> None:
    """A legal message in 900 fragments with pings between them is answered like any other."""
    async with opened(server) as raw:
        raw.say(
            split(f'{{"id":"1","type":"subscribe","payload":{{"query":"{HELLO}"}}}}' + " " * 900, 900, frame("x", PING))
        )
        kinds = [(await raw.hear())[0] for _ in range(10)]
        assert kinds == [PONG] * 10
        while (await raw.hear())[0] != TEXT:
            pass


async def flood(server: Server, raw: Raw, make: Callable[[], bytes], seconds: float) -> int:
    """Send what `make` makes as fast as the server takes it, read nothing, and give the server's peak of memory."""
    cast("asyncio.Transport", raw.writer.transport).pause_reading()
    until, peak = monotonic() + seconds, 0
    while monotonic() < until and not raw.writer.is_closing():
        raw.say(make())
        with contextlib.suppress(TimeoutError, ConnectionError):
            await asyncio.wait_for(raw.writer.drain(), 0.1)
        peak = max(peak, server.memory())
    await answers(server)
    return max(peak, server.memory())


_numbers = count()
FLOODS: dict[str, Callable[[], bytes]] = {
    "pings of the protocol": lambda: frame("x" * 125, PING) * 20_000,
    "pings of GraphQL": lambda: PINGS * 20_000,
    "refused operations": lambda: b"".join(ask("{nothing}", str(next(_numbers))) for _ in range(20_000)),
    "small queries": lambda: b"".join(ask(HELLO, str(next(_numbers))) for _ in range(5000)),
    "empty fragments": lambda: frame("", last=False) + frame("", 0, last=False) * 20_000,
}


@pytest.mark.parametrize("kind", FLOODS)
async def test_a_client_that_asks_without_reading_is_not_read_either(
    server: Server, kind: str, scaled: Callable[[int, int], int]
) -> None:
    """A flood whose answers nobody reads takes bounded memory, and others are served meanwhile."""
    await answers(server)
    before = server.memory()
    async with opened(server) as raw:
        peak = await flood(server, raw, FLOODS[kind], scaled(10, 4) / 10)
    assert peak - before < 20_000_000


async def test_a_flood_of_subscriptions_begun_and_ended_leaves_nothing(server: Server) -> None:
    """Thousands of subscribe and complete on one socket: all are gone, and the socket still answers."""
    before = server.memory()
    pair = [
        ask("subscription{productChanged{cursor}}", f"s{n}") + frame(json.dumps({"id": f"s{n}", "type": "complete"}))
        for n in range(3000)
    ]
    async with opened(server) as raw:
        raw.say(b"".join(pair) + ask(HELLO, "last"))
        while b'"last"' not in (heard := (await raw.hear())[1]):
            assert b"error" not in heard
    assert server.memory() - before < 50_000_000


async def test_200_sockets_that_say_nothing_cost_little_and_go(server: Server) -> None:
    """Sockets without connection_init hold up nobody, and leave no descriptor when they are cut off."""
    before, descriptors = server.memory(), server.connections()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(200):
            await stack.enter_async_context(opened(server, greeted=False))
        await answers(server)
        assert server.memory() - before < 50_000_000
    await until(lambda: server.connections() <= descriptors + 5)


HANDSHAKES = {
    "no key": ["Sec-WebSocket-Version: 13"],
    "a key of the wrong size": ["Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"],
    "two keys": [KEY, KEY, "Sec-WebSocket-Version: 13"],
    "an old version": [KEY, "Sec-WebSocket-Version: 8"],
    "no version": [KEY],
}


@pytest.mark.parametrize("kind", HANDSHAKES)
async def test_a_broken_handshake_is_refused(server: Server, kind: str) -> None:
    """A handshake that is not RFC 6455's gets a 4xx and no socket."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = ["GET /graphql HTTP/1.1", "Host: t", "Upgrade: websocket", "Connection: Upgrade", *HANDSHAKES[kind], "", ""]
    writer.write("\r\n".join(head).encode())
    async with within("the refusal of the handshake"):
        assert (await reader.readline())[:10] == b"HTTP/1.1 4"
    writer.transport.abort()
    await answers(server)
