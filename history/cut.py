"""What lies between one server and an engine, to be cut: refused, swallowed, or deaf for messages alone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from harness.valkey import free_port

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Way = Literal["refused", "swallowed", "deaf"]


class _Line:
    """One connection through it."""

    def __init__(self, writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]) -> None:
        self.writers = writers
        self.listening = False
        self.lossy = False

    def abort(self) -> None:
        for writer in self.writers:
            writer.transport.abort()


class Link:
    """Forwards a port of its own to a unix socket or to a port, in a thread of its own, until it is cut."""

    def __init__(self, target: Path | int) -> None:
        """Lead to `target`; it need not be there yet."""
        self.port = free_port()
        self._target = target
        self._way: Way | None = None
        self._lines: set[_Line] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def cut(self, way: Way) -> None:
        """From now on connections end at once, or nothing gets through, or no message of a channel does."""
        self._loop.call_soon_threadsafe(self._cut, way)

    def heal(self) -> None:
        """Let everything through; a connection that lost something ends."""
        self._loop.call_soon_threadsafe(self._cut, None)

    def _cut(self, way: Way | None) -> None:
        self._way = way
        for line in self._lines:
            if way == "refused" or (way is None and line.lossy):
                line.abort()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self._ready.set()
        await self._stop.wait()
        server.close()
        for line in self._lines:
            line.abort()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):  # cancelled: it stops
            if self._way == "refused":
                raise ConnectionRefusedError
            if isinstance(self._target, Path):
                far_reader, far_writer = await asyncio.open_unix_connection(self._target)
            else:
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            line = _Line((writer, far_writer))
            self._lines.add(line)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pump(reader, far_writer, line, self._ask))
                    group.create_task(self._pump(far_reader, writer, line, self._answer))
            except* (OSError, EOFError):
                pass
            finally:
                self._lines.discard(line)
                far_writer.transport.abort()
        writer.transport.abort()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        line: _Line,
        passes: Callable[[bytes, _Line], Awaitable[bool]],
    ) -> None:
        while data := await reader.read(1 << 16):
            if await passes(data, line):
                writer.write(data)
                await writer.drain()
            else:
                line.lossy = True
        raise EOFError

    async def _ask(self, data: bytes, line: _Line) -> bool:
        line.listening = line.listening or b"SUBSCRIBE" in data
        return self._way != "swallowed"

    async def _answer(self, data: bytes, line: _Line) -> bool:
        # The reply to the listener's own PING gets through: only so does the server go on believing that it listens.
        return self._way != "swallowed" and not (self._way == "deaf" and line.listening and b"message" in data)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
