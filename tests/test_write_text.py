"""The function by which the server writes a whole text at once: when it does, when it does not, and in which order."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from graph.endpoint.websocket import WRITE_TEXT
from harness.waiting import until, within
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from starlette.types import Receive, Scope, Send
    from websockets.asyncio.client import ClientConnection


class Echoes:
    """An application that keeps what the server gives it of its one socket, and accepts when it is told to."""

    def __init__(self) -> None:
        self.accepts = asyncio.Event()
        self.scope: Scope = {}
        self.heard: list[Any] = []
        self.late: bool | None = None
        """Whether a text was taken at the moment at which the application heard that the socket is closed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope, self.send = scope, send
        self.write: Callable[[str], bool] = scope.get(WRITE_TEXT, _cannot)
        await receive()
        await self.accepts.wait()
        await send({"type": "websocket.accept"})
        while not self.heard or self.heard[-1]["type"] == "websocket.receive":
            self.heard.append(await receive())
        self.late = self.write("too late")


def _cannot(_text: str) -> bool:
    return False


@contextlib.asynccontextmanager
async def met() -> AsyncGenerator[tuple[Echoes, ClientConnection]]:
    """An application and its client, whose connection stands."""
    app = Echoes()
    app.accepts.set()
    async with serving(app) as port, connect(f"ws://127.0.0.1:{port}", ping_interval=None) as client:
        await client.send("hello")
        await until(lambda: bool(app.heard))
        yield app, client


async def test_nothing_is_written_before_the_socket_is_accepted() -> None:
    """Before the answer to the handshake nothing is taken; after it everything is."""
    app = Echoes()
    async with serving(app) as port:
        connecting = asyncio.create_task(connect(f"ws://127.0.0.1:{port}").__aenter__())
        await until(lambda: bool(app.scope))
        assert not app.write("too early")
        app.accepts.set()
        async with within("the handshake"):
            client = await connecting
        assert app.write("in time")
        async with within("the text"):
            assert await client.recv() == "in time"
        await client.close()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 200_000])
async def test_a_text_of_any_length_arrives_as_it_is(size: int) -> None:
    """The length of a frame has 7, 16 or 64 bits; what stands before and behind a text is another frame's."""
    async with met() as (app, client):
        assert all(app.write(text) for text in ("before", "é" * (size // 2) + "x" * (size % 2), "behind"))
        async with within("three texts"):
            heard = [await client.recv() for _ in range(3)]
        assert heard == ["before", "é" * (size // 2) + "x" * (size % 2), "behind"]


async def test_nothing_is_written_after_the_close() -> None:
    """Once the application has closed, nothing is taken, and the close frame is the last that the client hears."""
    async with met() as (app, client):
        await app.send({"type": "websocket.close", "code": 4400})
        assert not app.write("too late")
        async with within("the close"):
            with pytest.raises(ConnectionClosed):
                await client.recv()
        assert client.close_code == 4400


async def test_nothing_is_written_once_the_client_closes() -> None:
    """Nothing is taken after the client's close frame."""
    async with met() as (app, client):
        await client.close()
        await until(lambda: app.late is not None)
        assert not app.late


async def test_nothing_is_written_once_the_client_is_gone() -> None:
    """Nothing is taken when the connection is lost without a word."""
    async with met() as (app, client):
        client.transport.abort()
        await until(lambda: app.late is not None)
        assert not app.late
        assert WRITE_TEXT not in app.scope


async def test_nothing_is_written_after_a_breach_of_the_protocol() -> None:
    """A client that sends what is no frame is closed, and hears nothing after that."""
    async with met() as (app, client):
        client.transport.write(b"\xff" * 10)
        await until(lambda: app.late is not None)
        assert not app.late


async def test_nothing_is_written_when_the_server_stops() -> None:
    """Nothing is taken after the server has told the client that it stops."""
    app = Echoes()
    app.accepts.set()
    server = contextlib.AsyncExitStack()
    port = await server.enter_async_context(serving(app))
    async with server, connect(f"ws://127.0.0.1:{port}") as client:
        await client.send("hello")
        await until(lambda: bool(app.heard))
        await server.aclose()
        async with within("the close"):
            await client.wait_closed()
        assert client.close_code == 1012
        assert app.late is False


async def test_no_function_where_texts_are_compressed() -> None:
    """A connection that compresses has no such function, because it writes frames as they are."""
    app = Echoes()
    app.accepts.set()
    async with serving(app, deflate=True) as port, connect(f"ws://127.0.0.1:{port}") as client:
        await client.send("hello")
        await until(lambda: bool(app.heard))
        assert WRITE_TEXT not in app.scope
        await app.send({"type": "websocket.send", "text": "compressed"})
        async with within("the text"):
            assert await client.recv() == "compressed"


async def test_a_slow_client_is_written_to_again() -> None:
    """While the buffers of the connection are full nothing is taken; when the client has read, all goes on in order."""
    async with met() as (app, client):
        taken = 0  # the client reads a few ahead of what it is asked for
        async with within("a full buffer"):
            while app.write(f"{taken:100000}"):
                taken += 1
                assert taken < 1000
                await asyncio.sleep(0)
        assert not app.write("still full")
        async with within("all texts"):
            heard = [await client.recv() for _ in range(taken)]
        assert heard == [f"{number:100000}" for number in range(taken)]
        await until(lambda: app.write("again"))
        async with within("the next text"):
            assert await client.recv() == "again"
