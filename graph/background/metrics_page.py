"""What one process counts, for Prometheus: ``GET /metrics`` on a port of its own.

It serves the worker, which answers no other requests. ``/healthz`` answers 200 while the process does; any other
address is 404. A connection is closed after its answer; one that sends nothing, or too much, is closed after `PATIENCE`
seconds or `LONGEST` bytes, and more than `MOST` at a time are not answered.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING

from graph.endpoint.observe import exposition

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator

PATIENCE = 5.0
"""Seconds that a request may take to arrive, and its answer to leave."""
LONGEST = 16_384
"""Bytes of a request's head."""
MOST = 16
"""Connections that are answered at a time."""


@asynccontextmanager
async def metrics_page(listener: socket.socket) -> AsyncGenerator[None]:
    """Answer connections to `listener` during the block."""
    open_now: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        try:
            if len(open_now) < MOST:
                open_now.add(task)
                async with asyncio.timeout(PATIENCE):
                    writer.write(_answer(await reader.readuntil(b"\r\n\r\n")))
                    writer.close()
                    await writer.wait_closed()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            pass  # whoever it is gets no answer
        finally:
            open_now.discard(task)
            writer.transport.abort()  # nothing, if all has left

    server = await asyncio.start_server(connected, sock=listener, limit=LONGEST)
    async with server:
        yield
        server.close()
        for task in list(open_now):
            task.cancel()


def _answer(head: bytes) -> bytes:
    """The whole answer to a request with this head."""
    line, *fields = head.decode("latin-1").split("\r\n")
    method, path, *_ = *line.split(" "), ""
    status, kind, body = HTTPStatus.OK, "text/plain; charset=utf-8", b"ok\n"
    if method not in {"GET", "HEAD"}:
        status, body = HTTPStatus.METHOD_NOT_ALLOWED, b"Ask with GET.\n"
    elif path.partition("?")[0] == "/metrics":
        accept = [value for name, _, value in (field.partition(":") for field in fields) if name.lower() == "accept"]
        body, kind = exposition(",".join(accept))
    elif path != "/healthz":
        status, body = HTTPStatus.NOT_FOUND, b"There is /metrics, and /healthz.\n"
    told = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
    told += "Allow: GET, HEAD\r\n" * (status is HTTPStatus.METHOD_NOT_ALLOWED)
    return f"{told}Connection: close\r\n\r\n".encode("latin-1") + (b"" if method == "HEAD" else body)
