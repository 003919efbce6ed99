"""A mail server that keeps what it gets: as much of SMTP (RFC 5321) as a client needs to hand over a message."""

from __future__ import annotations

import asyncio
import email
import email.policy
import ssl
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from email.message import EmailMessage


class Mailbox:
    """Listens on a free port of 127.0.0.1; the first `refusals` messages are refused for now.

    With `tls` it offers STARTTLS. What it was told before that is `plain`, after it `protected`.
    """

    def __init__(self, refusals: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.plain: list[bytes] = []
        self.protected: list[bytes] = []
        self._tls = tls
        self.messages: asyncio.Queue[EmailMessage] = asyncio.Queue()
        self.refused = 0
        self._refusals = refusals
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it listens."""
        assert self._server is not None
        return f"smtp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mailbox\r\n")
        heard, offers = self.plain, b"250-STARTTLS\r\n" if self._tls else b""
        while line := (await reader.readline()).strip():
            verb = line[:4].upper()
            heard.append(verb)
            if verb == b"EHLO":
                writer.write(b"250-mailbox\r\n" + offers + b"250 AUTH PLAIN\r\n")
            elif verb == b"STAR" and self._tls is not None:
                writer.write(b"220 go on\r\n")
                await writer.drain()
                try:
                    await writer.start_tls(self._tls)
                except (OSError, ssl.SSLError):  # the client does not trust it
                    return
                heard, offers = self.protected, b""
            elif verb == b"AUTH":
                writer.write(b"235 welcome\r\n")
            elif verb == b"MAIL" and self.refused < self._refusals:
                self.refused += 1
                writer.write(b"451 not now\r\n")
            elif verb == b"DATA":
                writer.write(b"354 go on\r\n")
                text = await reader.readuntil(b"\r\n.\r\n")
                found = email.message_from_bytes(text[:-3], policy=email.policy.default)
                self.messages.put_nowait(found)
                writer.write(b"250 kept\r\n")
            else:
                writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 mailbox\r\n")
            if verb == b"QUIT":
                break
        writer.close()
