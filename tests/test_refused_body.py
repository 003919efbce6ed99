"""An answer given before the body is there reaches a client that is still sending; HTTP/1.0 gets no chunks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import orjson
import pytest

from graph.server import http_bounds
from graph.server.http_express import HttpProtocol
from harness.waiting import within
from tests.support.apps.serving import serving
from tests.support.apps.small import make_endpoint
from tests.support.clients.raw_http import Connection, post

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from graph.patterns.client import Client

LENGTH = 50_000_000
HEAD = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"


@pytest.fixture
async def port(client: Client) -> AsyncIterator[int]:
    """The endpoint on the server's own protocol."""
    async with serving(make_endpoint(client), http=HttpProtocol) as opened:
        yield opened


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_of_50_mb_is_a_413_and_no_reset(port: int, *, chunked: bool) -> None:
    """A client that sends all of its body before it looks for an answer finds it."""
    piece = b"x" * 1_000_000
    async with Connection(port) as connection:
        length = b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"Content-Length: %d\r\n\r\n" % LENGTH
        connection.writer.write(HEAD + length)
        for _ in range(LENGTH // len(piece)):
            connection.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            await connection.writer.drain()
        answer = await connection.read()
        assert answer.status == 413
        assert answer.headers[b"connection"] == b"close"
        assert orjson.loads(answer.body)["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"
        assert await connection.end() == b""


async def test_the_rest_is_not_read_for_ever(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that goes on sending, or stays silent, is cut off in the end."""
    monkeypatch.setattr(http_bounds, "LINGER_SECONDS", 0.3)
    monkeypatch.setattr(http_bounds, "DRAIN_SECONDS", 1.0)

    async def send_on(connection: Connection) -> None:
        while True:
            connection.writer.write(b"x" * 10_000)
            await connection.writer.drain()
            await asyncio.sleep(0.02)

    async with Connection(port) as silent, Connection(port) as talking:
        for connection in (silent, talking):
            connection.writer.write(HEAD + b"Content-Length: %d\r\n\r\n{" % LENGTH)
            assert (await connection.read()).status == 413
        async with within("both connections to be cut"):
            with pytest.raises(ConnectionError):
                await send_on(talking)
            with pytest.raises(ConnectionError):
                await send_on(silent)


async def test_a_body_that_is_not_read_leaves_the_connection_usable(port: int) -> None:
    """415 does not end the connection: the body is passed over, and the next request answered."""
    async with Connection(port) as connection:
        body = b"x" * 1_000_000
        connection.writer.write(
            b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        connection.writer.write(body + post(b'{"query": "{hello}"}'))
        assert (await connection.read()).status == 415
        assert (await connection.read()).body == b'{"data":{"hello":"world"}}'


async def counting(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers in pieces, without saying how many."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for piece in (b"one,", b"", b"two,", b"three"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def test_http_1_0_gets_no_chunks() -> None:
    """The end of an answer of unknown length is the end of the connection; HTTP/1.1 gets chunks."""
    async with serving(counting, http=HttpProtocol) as port:
        async with Connection(port) as connection:
            connection.writer.write(b"GET / HTTP/1.0\r\n\r\n")
            head, _, body = (await connection.end()).partition(b"\r\n\r\n")
            assert b"transfer-encoding" not in head.lower()
            assert body == b"one,two,three"
        async with Connection(port) as connection:
            connection.writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            head, _, body = (await connection.end()).partition(b"\r\n\r\n")
            assert b"transfer-encoding: chunked" in head.lower()
            assert body.startswith(b"4\r\none,\r\n")


async def test_http_1_0_gets_the_answers_that_have_a_length(port: int) -> None:
    """With its length, and in full."""
    async with Connection(port) as connection:
        connection.writer.write(post(b'{"query": "{hello}"}', version=b"1.0"))
        answer = await connection.read()
        assert answer.body == b'{"data":{"hello":"world"}}'
        assert await connection.end() == b""
