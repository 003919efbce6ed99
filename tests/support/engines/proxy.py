"""A proxy between a client and a server that counts the traffic and breaks it on purpose.

It runs in a thread of its own, so that it goes on when the event loop of a test is busy, and its tasks are not the
test's.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from harness.folders import socket_folder
from harness.valkey import free_port

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import TracebackType

    _Treatment = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Chaos:
    """How often (from 0 to 1, a chunk of bytes each) which fault happens."""

    cut_request: float = 0.0  # the connection is lost before the commands, or some of them, reach the server
    cut_reply: float = 0.0  # the commands run, and the connection is lost before any reply
    truncate: float = 0.0  # the connection is lost in the middle of the replies
    delay: float = 0.0  # the replies come some milliseconds later
    fragment: float = 0.0  # the replies come in small pieces
    seed: int = 0


class FaultProxy:
    """Forwards to the unix socket `target`; `url` leads through it. With `tls` it is a TLS terminator on TCP."""

    def __init__(self, target: Path, *, tls: ssl.SSLContext | None = None) -> None:
        self.target = target
        self.tls = tls
        self.folder = socket_folder("px")
        self.port = free_port()
        self.url = f"rediss://127.0.0.1:{self.port}" if tls else f"unix://{self.folder / 's'}"
        self.chaos = Chaos()
        self.requests = 0
        self.replies = 0
        self.connections = 0
        self.faults = 0
        self.hold = threading.Event()  # while set, replies are kept back
        self.blocked = threading.Event()  # while set, new connections are ended at once
        self._random = random.Random(0)
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def unleash(self, chaos: Chaos) -> None:
        """Break things from now on as `chaos` says."""
        self._random = random.Random(chaos.seed)
        self.chaos = chaos

    def cut(self) -> None:
        """Lose every connection now; new ones are accepted."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        if self.tls is not None:
            server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self.tls)
        else:
            server = await asyncio.start_unix_server(self._accept, self.folder / "s")
        self._ready.set()
        await self._stop.wait()
        server.close()
        self._cut()
        await asyncio.sleep(0)  # what was being accepted has a task now
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.CancelledError):  # cancelled: the proxy stops
            if self.blocked.is_set():
                raise ConnectionRefusedError
            far_reader, far_writer = await asyncio.open_unix_connection(self.target)
            self._writers |= {writer, far_writer}
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, far_writer, self._request))
                    group.create_task(self._pump(far_reader, writer, self._reply))
            except* (OSError, EOFError):
                pass
            finally:
                self._writers -= {writer, far_writer}
                far_writer.transport.abort()
        writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, treat: _Treatment) -> None:
        while data := await reader.read(1 << 18):
            await treat(data, writer)
        raise EOFError

    async def _request(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self.requests += 1
        if self._happens(self.chaos.cut_request):
            writer.write(data[: self._random.randrange(len(data))])
            raise EOFError
        writer.write(data)
        await writer.drain()

    async def _reply(self, data: bytes, writer: asyncio.StreamWriter) -> None:
        self.replies += 1
        while self.hold.is_set():
            await asyncio.sleep(0.005)
        if self._happens(self.chaos.cut_reply):
            raise EOFError
        if self._happens(self.chaos.delay):
            await asyncio.sleep(self._random.uniform(0, 0.01))
        if self._happens(self.chaos.truncate):
            writer.write(data[: self._random.randrange(len(data))])
            await writer.drain()
            raise EOFError
        if self._happens(self.chaos.fragment):
            step = max(1, len(data) // 5)
            for start in range(0, len(data), step):
                writer.write(data[start : start + step])
                await asyncio.sleep(0)
        else:
            writer.write(data)
        await writer.drain()

    def _happens(self, likelihood: float) -> bool:
        happens = self._random.random() < likelihood
        self.faults += happens
        return happens

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        shutil.rmtree(self.folder, ignore_errors=True)
