"""uvloop's event loop, but a server of it accepts all connections that wait at once.

libuv, which uvloop runs on, accepts a single connection in a turn of the loop. Under load a turn takes milliseconds, so
a thousand clients that connect again, as after a deployment or when a proxy has restarted, would wait for seconds
before anybody reads what they ask. Beside the loop's own server `_Accepting` takes what else waits, up to `MOST` a
turn, so that other processes with the same socket get their share.

What it accepts is served by the same protocol, over TLS where the server's own is. Failure: where no more descriptors
are to be had it leaves the rest to the loop's server; a handshake that fails ends its connection and nothing else.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import uvloop

from graph.patterns.tasks import Tasks

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

MOST = 64
"""Connections that are accepted in one turn of the loop."""


class Loop(uvloop.Loop):
    """The event loop of a server process."""

    async def create_server(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """As uvloop's; a listening socket that is given as `sock` is emptied in each turn."""
        server = await super().create_server(protocol_factory, *args, **options)
        listener = options.get("sock")
        if listener is None:
            return server
        return _EmptiedServer(server, _Accepting(self, listener, protocol_factory, options.get("ssl")))


class _EmptiedServer:
    """A server of uvloop's, and what accepts beside it."""

    def __init__(self, server: Any, beside: _Accepting) -> None:
        self._server = server
        self._beside = beside

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def close(self) -> None:
        """Accept no more."""
        self._beside.close()
        self._server.close()


class _Accepting:
    """Takes what waits at one listening socket."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        listener: socket.socket,
        protocol: Callable[[], asyncio.BaseProtocol],
        context: ssl.SSLContext | None,
    ) -> None:
        self._loop = loop
        self._protocol = protocol
        self._context = context
        self._tasks = Tasks()
        self._socket = listener.dup()  # the loop lets nobody else read what its server listens to
        self._socket.settimeout(0)
        loop.add_reader(self._socket.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(MOST):
            try:
                connection, _ = self._socket.accept()
            except OSError:  # another has taken it, it has left, or there are no descriptors
                return
            connection.settimeout(0)
            self._tasks.spawn(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection, ssl=self._context)
        except (OSError, asyncio.CancelledError):
            connection.close()

    def close(self) -> None:
        """Accept no more; what was accepted is served."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
