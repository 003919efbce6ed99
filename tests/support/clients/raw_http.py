"""A client of one HTTP connection that sends bytes as they are and reads answers one by one."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, NamedTuple, Self

from harness.waiting import within

if TYPE_CHECKING:
    import ssl


class Answer(NamedTuple):
    """What came back; the names of `headers` are in small letters."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def left(self) -> int:
        """Units left of the caller's limit."""
        return int(self.headers[b"x-ratelimit-remaining"])


def post(
    body: bytes, *, version: bytes = b"1.1", extra: bytes = b"", path: bytes = b"/graphql", host: bytes = b"a"
) -> bytes:
    """A POST of JSON; `extra` are further header lines, each with its end."""
    head = b"POST %b HTTP/%b\r\nHost: %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
    return head % (path, version, host, len(body), extra) + body


class Connection:
    """One connection to 127.0.0.1."""

    def __init__(self, port: int, *, tls: ssl.SSLContext | None = None) -> None:
        """Connect to `port` once entered."""
        self._port = port
        self._tls = tls

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def read(self) -> Answer:
        """The next answer."""
        async with within("the next answer"):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
            headers: dict[bytes, bytes] = {}
            for line in lines:
                name, _, value = line.partition(b": ")
                assert headers.setdefault(name.lower(), value) is value, head
            body = await self.reader.readexactly(int(headers.get(b"content-length", b"0")))
            return Answer(int(status.split()[1]), headers, body)

    async def ask(self, request: bytes, times: int = 1) -> list[Answer]:
        """Send `request` and read its answer, so many times."""
        answers: list[Answer] = []
        for _ in range(times):
            self.writer.write(request)
            answers.append(await self.read())
        return answers

    async def end(self) -> bytes:
        """What comes until the server closes the connection."""
        async with within("the connection to be closed"):
            return await self.reader.read()


async def exchange(port: int, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send `raw` on a connection of its own and read one answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        async with within("one answer"):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(0 if raw.startswith(b"HEAD") else int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, body
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
