"""Connections are bounded, from one address and in all, WebSockets included."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect

from graph.server import http_express
from graph.server.crowd import Crowd
from graph.server.http_express import HttpProtocol
from harness.waiting import until, within
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    import pytest
    from starlette.types import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Says ok, and keeps sockets open."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
    else:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


async def asked(port: int, address: str) -> bytes:
    """The answer to a request from a local `address`."""
    async with within("an answer"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        writer.write(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer


async def test_one_address_cannot_take_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent connections and sockets of one address are refused past its share, in JSON; others are served."""
    here = Crowd(1000, per_address=5)
    monkeypatch.setattr(http_express, "crowd", lambda: here)
    async with serving(app, http=HttpProtocol) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        sockets = [await connect(f"ws://127.0.0.1:{port}/") for _ in range(2)]
        async with within("a refusal"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            refused = await reader.read()
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b'"TOO_MANY_CONNECTIONS"' in refused
        assert (await asked(port, "127.0.0.2")).endswith(b"ok")
        writer.close()
        for _, one in silent:
            one.close()
        for socket in sockets:
            await socket.close()
        await until(lambda: not here._all)
        assert (await asked(port, "127.0.0.1")).endswith(b"ok")


def test_proxies_stand_for_many_and_networks_for_one() -> None:
    """A trusted proxy has no share of its own; an IPv6 /64 is one address; the total holds for all."""
    here = Crowd(6, per_address=2)
    assert [here.enter("10.0.0.1", proxy=True) for _ in range(3)] == ["", "", ""]
    names = [here.enter(f"2001:db8::{n}", proxy=False) for n in range(3)]
    assert names == ["2001:db8::", "2001:db8::", None]
    assert here.enter("2001:db8:0:1::1", proxy=False) == "2001:db8:0:1::"
    assert here.enter("192.0.2.1", proxy=False) is None
    here.leave("")
    assert here.enter("192.0.2.1", proxy=False) == "192.0.2.1"
