"""A server's loop accepts all that wait, serves them by the same protocol, and stops when it is told."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, cast

import pytest

from graph.server import loop as loops
from harness.waiting import within
from tests.support.engines.certificates import certificate, needs_openssl

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from pathlib import Path


class Echo(asyncio.Protocol):
    """Says what it hears, and in which turn of the loop it began."""

    made: list[int]
    turn = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note when."""
        self.transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it
        type(self).made.append(type(self).turn)

    def data_received(self, data: bytes) -> None:
        """Say it again."""
        self.transport.write(data)


@pytest.fixture
def echo() -> type[Echo]:
    """A protocol that has seen nothing."""
    return type("Own", (Echo,), {"made": [], "turn": 0})


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A socket that listens."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as made:
        yield made


def run(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run it on the loop of a server."""
    with asyncio.Runner(loop_factory=loops.Loop) as runner:
        runner.run(work())


def connect(listener: socket.socket, number: int) -> list[socket.socket]:
    """So many clients that wait to be accepted."""
    clients = [socket.create_connection(listener.getsockname()) for _ in range(number)]
    for client in clients:
        client.settimeout(0)
    return clients


def test_a_crowd_is_accepted_in_a_few_turns(listener: socket.socket, echo: type[Echo]) -> None:
    """However long each takes; uvloop's own loop takes one a turn."""

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(echo, sock=listener)
        clients = connect(listener, 90)
        async with within("all to be accepted"):
            while len(echo.made) < 90:
                echo.turn += 1
                await asyncio.sleep(0)
        for client in clients:
            await asyncio.get_running_loop().sock_sendall(client, b"hello")
        for client in clients:
            assert await asyncio.get_running_loop().sock_recv(client, 9) == b"hello"
            client.close()
        server.close()
        await server.wait_closed()

    run(main)
    assert echo.made[-1] - echo.made[0] <= 90 / loops.MOST + 4


def test_nobody_is_accepted_after_the_end(listener: socket.socket, echo: type[Echo]) -> None:
    """As when a server stops: who comes then is refused, and who was there goes on."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(echo, sock=listener)
        (client,) = connect(listener, 1)
        await loop.sock_sendall(client, b"a")
        assert await loop.sock_recv(client, 9) == b"a"
        address = listener.getsockname()
        server.close()
        server.close()
        listener.close()
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address)
        await loop.sock_sendall(client, b"b")
        assert await loop.sock_recv(client, 9) == b"b"
        client.close()

    run(main)


@needs_openssl
def test_tls_is_spoken_with_each_and_a_bad_handshake_is_its_own(
    listener: socket.socket, echo: type[Echo], tmp_path: Path
) -> None:
    """A client that speaks something else ends its own connection."""
    own = certificate(tmp_path, "localhost")
    context, trusting = own.served(), ssl.create_default_context(cafile=str(own.cert))

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(echo, sock=listener, ssl=context)
        host, port = listener.getsockname()
        wrong = connect(listener, 5)
        for client in wrong:
            await asyncio.get_running_loop().sock_sendall(client, b"GET / HTTP/1.1\r\n\r\n")

        async def talk() -> bytes:
            reader, writer = await asyncio.open_connection(host, port, ssl=trusting)
            writer.write(b"hello")
            said = await reader.readexactly(5)
            writer.close()
            return said

        async with within("all to be served"):
            assert await asyncio.gather(*(talk() for _ in range(20))) == [b"hello"] * 20
        for client in wrong:
            client.close()
        server.close()

    run(main)
