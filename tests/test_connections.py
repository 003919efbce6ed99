"""The bounds that `graph.server.http_bounds` adds to uvicorn's HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from graph.endpoint.http import EXCHANGE
from graph.server import http_bounds as connections
from graph.server.http_express import HttpProtocol
from harness.waiting import within
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

HEAD = b"GET / HTTP/1.1\r\nHost: t\r\n"


DONE = asyncio.Event()
"""Set when an answer is off the application's hands."""


async def slow_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers after the time that a head may take."""
    await asyncio.sleep(0.6)
    size = 5_000_000 if scope["path"] == "/big" else 2
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
    await send({"type": "http.response.body", "body": b""})  # waits until the client has taken it, or is gone
    DONE.set()


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server whose patience is short."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(connections, "STALL_SECONDS", 0.4)
    async with serving(slow_app, http=HttpProtocol) as port:
        yield port


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"GET /", HEAD, b"POST / HTTP/1.1\r\nX-A: "])
async def test_a_head_that_does_not_come_is_given_up(port: int, sent: bytes) -> None:
    """A connection that says nothing, or not all of its head, is closed in time, even if a byte comes now and then."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = monotonic()
    writer.write(sent)
    async with within("the connection to be closed"):
        for _ in range(3 if sent not in {b"", b"\r\n"} else 0):
            await asyncio.sleep(0.1)
            writer.write(b"a")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    assert monotonic() - started > 0.3
    writer.close()


async def test_a_head_after_an_answer_is_timed_too(port: int) -> None:
    """A kept connection is closed when its next head stops half way, however often a new line comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"\r\n")
    async with within("the connection to be closed"):
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"xx"
        writer.write(b"\r\n")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()


async def test_an_answer_may_take_longer_than_a_head(port: int) -> None:
    """Pipelined requests on one connection are all answered, though each takes longer than a head may."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write((HEAD + b"\r\n") * 3)
    async with within("three answers"):
        for _ in range(3):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(2) == b"xx"
    writer.close()


@pytest.mark.parametrize("piece", [b"X-A: b\r\n" * 1000, b"a" * 8000])
async def test_a_head_without_end_is_refused(port: int, piece: bytes) -> None:
    """Headers, or one header, of megabytes are refused before they are held in memory."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"X-B: ")
    async with within("the refusal"):
        try:
            for _ in range(1000):
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            return
        assert (await reader.readline()).startswith(b"HTTP/1.1 431")
    writer.close()


async def test_a_client_that_does_not_take_its_answer_is_cut_off(port: int) -> None:
    """An answer of megabytes that nobody reads does not hold its connection and its memory for ever."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    writer.write(HEAD.replace(b" / ", b" /big ") + b"\r\n")
    DONE.clear()
    async with within("the answer to be cut off"):
        await DONE.wait()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(5_000_000)
    writer.close()


async def test_what_waits_behind_a_request_never_begins_once_the_client_has_left() -> None:
    """The first of three pipelined requests ends by itself; nobody would read the answers to the others."""
    begun: list[str] = []
    started, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.append(scope["path"])
        started.set()
        if scope["path"] == "/first":
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async with serving(app, http=HttpProtocol) as port, within("the first request to hear that its client has left"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"".join(b"GET /%b HTTP/1.1\r\nHost: t\r\n\r\n" % path for path in (b"first", b"second", b"third"))
        )
        await started.wait()
        writer.transport.abort()
        await left.wait()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /later HTTP/1.1\r\nHost: t\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert begun == ["/first", "/later"]


async def test_a_client_that_is_just_leaving_has_left() -> None:
    """Whoever attends after a connection has ended and before uvicorn hears of it is told so."""
    seen: list[Any] = []
    done = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        del send
        exchange = scope[EXCHANGE]
        exchange._connection.transport.abort()
        seen.append(exchange.attend(lambda: None))
        receiving: Any = receive()
        try:
            receiving.send(None)  # one step, within the same turn of the loop
        except StopIteration as message:
            seen.append(message.value)
        receiving.close()
        done.set()

    async with serving(app, http=HttpProtocol) as port, within("the request"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD + b"\r\n")
        await done.wait()
        writer.close()
    assert seen == [False, {"type": "http.disconnect"}]
