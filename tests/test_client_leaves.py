"""Clients that go away, whenever and in the middle of whatever, are no errors: neither in the log nor in the counts."""

from __future__ import annotations

import contextlib
import json
import secrets
import socket
import struct
import time
from typing import TYPE_CHECKING

import pytest

from harness.serving import Serving
from harness.waiting import HANG, eventually
from tests.support.engines.stocked import stocked

if TYPE_CHECKING:
    from collections.abc import Iterator

BODY = json.dumps({"query": "{ products(first: 3) { nodes { name } } }"}).encode()
LOGIN = b'{"query":"mutation { login(input: {email: \\"a@b.example\\", password: \\"x\\"}) { __typename } }"}'
FOLLOW = b'{"query":"subscription { productChanged { kind } }"}'
EXPECT, EVENTS, MIXED = b"Expect: 100-continue\r\n", b"Accept: text/event-stream\r\n", b"Accept: multipart/mixed\r\n"


def get(path: bytes, more: bytes = b"") -> bytes:
    """A request without a body."""
    return b"GET %b HTTP/1.1\r\nHost: t\r\n%b\r\n" % (path, more)


def post(body: bytes, more: bytes = b"", size: int | None = None) -> bytes:
    """A request with a body of `size` bytes, of which `body` is sent."""
    head = b"POST /graphql HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
    return head + more + b"Content-Length: %d\r\n\r\n" % (len(body) if size is None else size) + body


CHUNKED = b"POST /graphql HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n"
SOCKET = get(
    b"/graphql",
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n",
)
SENT = {
    "health checks ahead": get(b"/healthz") * 10,
    "queries ahead": post(BODY) * 10,
    "mutations ahead": post(LOGIN) * 5,
    "batches ahead": post(b"[" + b",".join([BODY] * 10) + b"]") * 3,
    "all sorts ahead": get(b"/healthz") + post(BODY) + get(b"/metrics") + get(b"/graphql", b"Accept: text/html\r\n"),
    "metrics ahead": get(b"/metrics") * 5,
    "a body that was announced": post(b"", EXPECT, 50),
    "announced after others": get(b"/healthz") * 3 + post(b"", EXPECT, 50),
    "announced and sent": post(BODY, EXPECT) * 5,
    "announced in chunks": CHUNKED + EXPECT + b"\r\n",
    "half a body": post(BODY[:9], size=len(BODY)),
    "half a chunk": CHUNKED + b"\r\n5\r\nhel",
    "events": post(FOLLOW, EVENTS) * 2 + get(b"/healthz"),
    "parts": post(BODY, MIXED) * 3,
    "a socket": get(b"/healthz") * 3 + SOCKET,
    "a socket, and half a frame": SOCKET + b"\x81",
    "no HTTP behind queries": post(BODY) * 5 + b"garbage\r\n\r\n",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """The server as people run it."""
    settings = {"GRAPH_RATE_LIMIT_ANONYMOUS": "1000000", "GRAPH_JOBS_BESIDE": "false", "GRAPH_LOG": "json"}
    with Serving(stocked(tmp_path_factory.mktemp("leaves")), **settings) as started:
        yield started.ready()


@pytest.mark.parametrize("sent", SENT.values(), ids=SENT)
def test_a_client_that_goes_away_is_no_error(server: Serving, sent: bytes) -> None:
    """It sends all or part of that and resets the connection, at once or a moment later."""
    before = server.log.stat().st_size
    for cut in (1.0, 1.0, 1.0, 1.0, 0.7, 0.9):
        for wait in (0.0, 0.001, 0.004):
            client = socket.create_connection(("127.0.0.1", server.port), HANG)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with contextlib.suppress(OSError):
                client.sendall(sent[: int(cut * len(sent))])
                time.sleep(wait)  # sent, perhaps begun: whichever, it must be no error
            client.close()
    last = secrets.token_hex(8)
    assert server.query(f"query Last{last} {{ __typename }}") == {"data": {"__typename": "Query"}}
    eventually(lambda: last.encode() in server.log.read_bytes())  # whose line comes after all others
    new = server.log.read_bytes()[before:].decode()
    lines = [json.loads(line) for line in new.splitlines() if line.startswith("{")]
    assert [line for line in lines if line["level"] not in ("info", "debug")] == []
    assert [line for line in lines if line.get("status", 0) >= 500] == []
    assert [line for line in new.splitlines() if not line.startswith("{")] == []
