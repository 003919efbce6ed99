"""Connections are bounded, from one address and in all, WebSockets included."""

from __future__ import annotations

import asyncio
import resource
from typing import TYPE_CHECKING

from websockets.asyncio.client import connect

from graph.server import bound_connections, http_express
from graph.server import crowd as crowd_module
from graph.server.crowd import Crowd
from graph.server.http_express import HttpProtocol
from harness.waiting import HANG, until, within
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


async def test_the_last_places_are_for_health_checks_and_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a crowd of silent connections a health check and a user get through; others are told, and the silent end."""
    monkeypatch.setattr(http_express, "KEPT_SECONDS", HANG)
    here = Crowd(32, per_address=100)
    monkeypatch.setattr(http_express, "crowd", lambda: here)
    async with serving(app, http=HttpProtocol) as port:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(28)]
        await until(lambda: here._all == 28)
        plain = b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
        for sent, status in (
            (b"GET /healthz HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", b"200"),
            (plain + b"Authorization: Bearer x\r\n\r\n", b"200"),
            (plain + b"Cookie: session=x\r\n\r\n", b"200"),
            (plain + b"\r\n", b"503"),
            (b"", b""),
        ):
            if not sent:
                monkeypatch.setattr(http_express, "KEPT_SECONDS", 0.3)
            async with within("an answer"):
                reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
                writer.write(sent)
                answer = await reader.read() if sent else await _read(reader)
                writer.close()
            assert answer[9:12] == status
            assert (b"TOO_MANY_CONNECTIONS" in answer) == (status == b"503")
        assert here._all == 28
        for _, one in silent:
            one.close()
        await until(lambda: not here._all)
        assert not here._kept
        assert (await asked(port, "127.0.0.1")).endswith(b"ok")


async def _read(reader: asyncio.StreamReader) -> bytes:
    """What is sent until the end, be it a reset."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


def test_one_address_cannot_take_the_last_places() -> None:
    """Even with credentials it has a few of them."""
    here = Crowd(80, per_address=100, kept=10)
    for _ in range(71):
        assert here.enter("192.0.2.1", proxy=False) is not None
    assert here.is_crowded
    assert [here.keep("192.0.2.1") for _ in range(9)] == [True] * 8 + [False]
    assert here.keep("192.0.2.2")
    here.give_back("192.0.2.1")
    assert here.keep("192.0.2.1")


def test_the_bound_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never more than there are descriptors, which are raised as far as they go."""
    monkeypatch.setattr(crowd_module, "_crowd", [])
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard - 1, hard))
    most = bound_connections()._total
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    assert bound_connections(300, 7)._total == min(300, most)
    assert crowd_module.crowd()._per_address == 7
    assert bound_connections(most + 1)._total == most
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
