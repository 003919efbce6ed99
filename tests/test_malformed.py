"""What is no HTTP, and handshakes that fail: refused like everything else, in their turn, and nothing is echoed."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

import pytest

from graph.server.http_express import HttpProtocol
from harness.serving import Serving
from harness.waiting import HANG, within
from tests.support.apps.serving import serving
from tests.support.engines.stocked import stocked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.types import Receive, Scope, Send

MARK = b"do-not-echo-me"
GOOD = b"GET /%d HTTP/1.1\r\nHost: t\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: t\r\n\r\n"
CHUNKED = b"POST /%b HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"GET /graphql HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
SOCKET = UPGRADE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

MALFORMED = {
    "no request line": MARK + b"\r\n\r\n",
    "no version": b"GET /" + MARK + b" HTTP/9.x\r\n\r\n",
    "a method that is none": b"BREW /" + MARK + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    "no target": b"GET  HTTP/1.1\r\nHost: t\r\n\r\n",
    "CONNECT": b"CONNECT " + MARK + b":443 HTTP/1.1\r\nHost: t\r\n\r\n",
    "a target of other bytes": b"GET /\xff" + MARK + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: " + MARK + b"\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: t\r\n" + MARK + b"\r\n\r\n",
    "a null in a header": b"GET / HTTP/1.1\r\nX-A: \x00" + MARK + b"\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + MARK,
    "a length that is no number": b"POST / HTTP/1.1\r\nContent-Length: " + MARK + b"\r\n\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n" + MARK,
    "a length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n" + MARK,
    "a chunk that is none": CHUNKED % b"graphql" + MARK + b"\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\nX-A: " + MARK + b"\r\n\r\n",
    "no host, a body": b"POST /graphql HTTP/1.1\r\nContent-Length: 14\r\n\r\n" + MARK,
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: t\r\nHost: " + MARK + b"\r\n\r\n",
    "the same host twice": b"GET /healthz HTTP/1.1\r\nHost: t\r\nHost: t\r\n\r\n",
    "two hosts in HTTP/1.0": b"GET /healthz HTTP/1.0\r\nHost: t\r\nHost: u\r\n\r\n",
    "a host that is none": b"GET /healthz HTTP/1.1\r\nHost: a/" + MARK + b"\r\n\r\n",
    "a socket to no host": SOCKET.replace(b"Host: t\r\n", b"") + b"\r\n",
    "another protocol at two hosts": UPGRADE.replace(b"websocket", b"h2c") + b"Host: u\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00",
    "TLS": bytes.fromhex("16030100c8010000c40303") + os.urandom(190),
    "random bytes": b"\x80\x00\xff" + os.urandom(500),
}
LONG = {
    "many headers": b"GET / HTTP/1.1\r\n" + b"X-A: do-not-echo-me\r\n" * 10_000,
    "a header without end": b"GET / HTTP/1.1\r\nX-A: " + MARK * 20_000,
    "a target without end": b"GET /" + MARK * 20_000,
}
HANDSHAKES = {
    "no key": UPGRADE + b"Sec-WebSocket-Version: 13\r\n\r\n",
    "a key that is none": UPGRADE + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + MARK + b"\r\n\r\n",
    "another version": SOCKET.replace(b"13", b"12") + b"\r\n",
    "not a GET": SOCKET.replace(b"GET", b"PUT", 1) + b"\r\n",
    "too many headers": SOCKET + b"X-A: do-not-echo-me\r\n" * 200 + b"\r\n",
    "a long header": SOCKET + b"X-A: " + MARK * 1000 + b"\r\n\r\n",
    "a long target": SOCKET.replace(b"/graphql", b"/graphql?" + MARK * 1000) + b"\r\n",
    "another path": SOCKET.replace(b"/graphql", b"/elsewhere") + b"\r\n",
}


class Answer(NamedTuple):
    """One answer, taken apart."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def code(self) -> str:
        """The code of the refusal."""
        assert self.headers[b"content-type"].startswith(b"application/json")
        return json.loads(self.body)["errors"][0]["extensions"]["code"]


def answers(raw: bytes) -> list[Answer]:
    """All answers in what a connection brought."""
    found: list[Answer] = []
    while raw:
        head, _, raw = raw.partition(b"\r\n\r\n")
        status, *lines = head.split(b"\r\n")
        headers = {name.lower(): value for name, value in (line.split(b": ", 1) for line in lines)}
        size = int(headers[b"content-length"])
        found.append(Answer(int(status.split()[1]), headers, raw[:size]))
        raw = raw[size:]
    return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """The server as people run it."""
    folder = tmp_path_factory.mktemp("malformed")
    with Serving(stocked(folder), GRAPH_JOBS_BESIDE="false", GRAPH_LOG="json") as started:
        yield started.ready()


def told(server: Serving, sent: bytes) -> list[Answer]:
    """What `sent` is answered, read to the end, which must be no reset."""
    with socket.create_connection(("127.0.0.1", server.port), HANG) as client:
        client.sendall(sent)
        raw = b""
        while piece := client.recv(65536):
            raw += piece
    assert MARK not in raw
    return answers(raw)


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
def test_what_is_no_http_is_refused_as_everything_else(server: Serving, sent: bytes) -> None:
    """It gets a JSON answer with a code and the end of the connection; good requests before it get their answers."""
    [refused] = told(server, sent)
    assert (refused.status, refused.code) == (400, "BAD_REQUEST")
    assert refused.headers[b"connection"] == b"close"
    assert refused.headers[b"x-content-type-options"] == b"nosniff"
    before = told(server, HEALTH * 3 + sent)
    assert [one.status for one in before] == [200, 200, 200, 400]
    assert before[-1].code == "BAD_REQUEST"


@pytest.mark.parametrize("sent", LONG.values(), ids=LONG)
def test_a_head_that_is_too_long_says_so(server: Serving, sent: bytes) -> None:
    """Its sender, who may still be sending, gets to read why it was cut short."""
    [refused] = told(server, sent)
    assert (refused.status, refused.code) == (431, "HEAD_TOO_LARGE")


@pytest.mark.parametrize("sent", HANDSHAKES.values(), ids=HANDSHAKES)
def test_a_failed_handshake_is_refused_as_everything_else(server: Serving, sent: bytes) -> None:
    """A WebSocket that cannot be opened is a JSON answer with a code and the end of the connection."""
    [refused] = told(server, sent)
    assert 400 <= refused.status < 500
    assert refused.code in {"BAD_REQUEST", "METHOD_NOT_ALLOWED", "NOT_FOUND", "HEAD_TOO_LARGE"}


def test_the_rest_of_a_body_that_is_longer_than_said_is_no_request(server: Serving) -> None:
    """A Content-Length that is too small ends the request there; what follows is refused by itself."""
    body = b'{"query": "{__typename}"}'
    head = b"POST /graphql HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    first, second = told(server, head % len(body) + body + MARK)
    assert json.loads(first.body) == {"data": {"__typename": "Query"}}
    assert (second.status, second.code) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "in pieces"])
def test_a_request_that_is_known_is_answered_first(server: Serving, *, together: bool) -> None:
    """An answer from memory, which no parser saw, comes before the refusal of what followed its request."""
    body = b'{"query": "{ products(first: 1) { nodes { sku } } }"}'
    head = b"POST /graphql HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    asked, bad = head % len(body) + body, MALFORMED["a header without a name"]
    with socket.create_connection(("127.0.0.1", server.port), HANG) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(4):
            client.sendall(asked)
            raw = client.recv(65536)
            while not raw.endswith(b"]}}}"):
                raw += client.recv(65536)
        for piece in [asked + bad] if together else [asked, bad]:
            client.sendall(piece)
        raw = b""
        while piece := client.recv(65536):
            raw += piece
    assert [one.status for one in answers(raw)] == [200, 400]


@pytest.mark.parametrize("together", [True, False], ids=["in one piece", "in pieces"])
def test_an_offer_of_another_protocol_is_passed_over(server: Serving, *, together: bool) -> None:
    """A client that would rather speak HTTP/2, as Java's does, is answered in HTTP/1.1, and so is what it asks next."""
    body = b'{"query": "{__typename}"}'
    asked = (
        b"POST /graphql HTTP/1.1\r\nHost: t\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        % len(body)
    )
    last = HEALTH.replace(b"Host", b"Connection: close\r\nHost")
    with socket.create_connection(("127.0.0.1", server.port), HANG) as client:
        pieces = [HEALTH, asked[:50], asked[50:], body, asked, body, last]
        for piece in [b"".join(pieces)] if together else pieces:
            client.sendall(piece)
            time.sleep(0 if together else 0.02)
        raw = b""
        while piece := client.recv(65536):
            raw += piece
    assert [one.body[:9] for one in answers(raw)] == [b'{"status"', b'{"data":{', b'{"data":{', b'{"status"']


def test_refusals_are_counted_and_the_next_client_is_served(server: Serving) -> None:
    """The metric of refusals counts them, and nothing of it disturbed the server."""
    told(server, MALFORMED["no request line"])
    status, _, body = server.get("/metrics")
    assert status == 200
    assert b'graph_refusals_total{code="BAD_REQUEST"}' in body
    assert server.query("{ __typename }") == {"data": {"__typename": "Query"}}
    assert "Traceback" not in server.log.read_text()


def test_no_redirect_names_the_host_that_a_client_says(server: Serving) -> None:
    """The front door leads to an address on this server, whatever Host says; nothing else leads anywhere."""
    for host in (b"evil.example", b"127.0.0.1", b"evil.example:80"):
        for path in (b"/", b"/graphql/", b"//evil.example", b"/static", b"/static/", b"/healthz/"):
            sent = b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n" % (path, host)
            [answer] = told(server, sent)
            assert answer.headers.get(b"location", b"graphql") == b"graphql"
            assert b"evil" not in b"".join(answer.headers.values()) + answer.body
    [old] = told(server, b"GET /healthz HTTP/1.0\r\n\r\n")  # HTTP/1.0 knows no Host
    assert old.status == 200


# --- in their turn ---


async def slow_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with its path, a little later; reads a body first, or answers ``/early`` before it."""
    path = scope["path"].encode()
    if scope["method"] == "POST" and path != b"/early":
        while (message := await receive()).get("more_body", False):
            pass
        if message["type"] == "http.disconnect":
            return
    await asyncio.sleep(0.1)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(path))]})
    await send({"type": "http.response.body", "body": path})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server with an application that takes its time."""
    async with serving(slow_app, http=HttpProtocol) as port:
        yield port


async def seen(port: int, *pieces: bytes) -> list[tuple[int, bytes]]:
    """The statuses and first bytes of all answers to `pieces`, sent one by one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with within("the connection to end"):
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.05 if len(pieces) > 1 else 0)
        raw = await reader.read()
    writer.close()
    return [(one.status, one.body[:2]) for one in answers(raw)]


BAD = b"no HTTP at all\r\n\r\n"
REFUSED = (400, b'{"')


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ((GOOD % 1 + BAD,), [(200, b"/1"), REFUSED]),
        ((GOOD % 1 + GOOD % 2 + GOOD % 3 + BAD,), [(200, b"/1"), (200, b"/2"), (200, b"/3"), REFUSED]),
        ((GOOD % 1 + GOOD % 2, BAD, BAD, BAD * 1000), [(200, b"/1"), (200, b"/2"), REFUSED]),
        ((CHUNKED % b"a", BAD), [REFUSED]),
        ((CHUNKED % b"a" + b"2\r\nhi\r\n", BAD), [REFUSED]),
        ((GOOD % 1 + CHUNKED % b"a" + b"2\r\nhi\r\n", BAD), [(200, b"/1"), REFUSED]),
        ((GOOD % 1 + GOOD % 2 + CHUNKED % b"a", BAD), [(200, b"/1"), (200, b"/2"), REFUSED]),
    ],
    ids=["one", "three", "pieces", "chunk", "second chunk", "queued chunk", "queued chunk after two"],
)
async def test_good_requests_first(port: int, sent: tuple[bytes, ...], expected: list[tuple[int, bytes]]) -> None:
    """What was asked before the bad bytes is answered, in order; then comes one refusal, then the end."""
    assert await seen(port, *sent) == expected


async def test_a_request_answered_before_its_body_broke_gets_no_second_answer(port: int) -> None:
    """A body that breaks after the answer to its request is the end of the connection, and no answer to anything."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with within("the connection to end"):
        writer.write(CHUNKED % b"early")
        assert (await reader.readuntil(b"/early")).startswith(b"HTTP/1.1 200")
        writer.write(BAD)
        assert await reader.read() == b""
    writer.close()


async def test_a_refused_client_that_stays_is_cut_off(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes on sending after its refusal does not keep the connection."""
    monkeypatch.setattr("graph.server.http_bounds.LINGER_SECONDS", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with within("the connection to be reset"):
        writer.write(BAD)
        assert (await reader.readuntil(b"}]}")).startswith(b"HTTP/1.1 400")
        with pytest.raises(ConnectionError):
            while True:
                writer.write(BAD)
                await writer.drain()
                await asyncio.sleep(0.01)
    writer.close()
