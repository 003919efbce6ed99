"""uvicorn's WebSocket connections, with bounds that uvicorn itself does not set.

We stop reading from a peer that sends but does not read, so pings cannot pile up pongs in memory. Each read is
handled `SLICE` bytes at a time, so thousands of tiny frames do not delay the other connections. A message has at most
`FRAGMENTS` parts. Text that is not UTF-8 closes the socket with 1007 and is not logged as an error of ours. A failed
handshake is refused with an answer from `malformed`.

An application that has a text for thousands of sockets can send it by a function (`WRITE_TEXT` in its scope) that makes
the frame in one step; uvicorn's own `send` is a coroutine that goes through seven layers of the library.

A peer that reads nothing for `STALL_SECONDS`, or that prevents its connection from closing, is disconnected without
an answer.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.http11 import Response
from websockets.protocol import OPEN

from graph.endpoint.websocket import WRITE_TEXT
from graph.server.http_bounds import CLOSE_SECONDS, STALL_SECONDS, cancelled
from graph.server.malformed import HANDSHAKES, Malformed

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle
    from collections.abc import Callable

    from uvicorn._types import ASGIReceiveEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

SLICE = 4096
FRAGMENTS = 1000
_TEXT = b"\x81"  # a whole text message (RFC 6455, 5.2)
_JOINED = 1 << 16  # bytes of a frame up to which copying it is cheaper than a list of two parts


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket connection with bounds on what it reads and buffers."""

    ended: Callable[[], None] = staticmethod(lambda: None)
    """Called when the connection is lost."""
    _told: dict[str, Any] | None = None
    _held = b""
    _writing = True
    _stall: TimerHandle | None = None
    _doom: TimerHandle | None = None
    _turn: asyncio.Handle | None = None

    # --- the handshake ---

    def handle_connect(self, event: Request) -> None:
        """Start the application; its scope says how to write without waiting."""
        super().handle_connect(event)
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
            self._told = cast("dict[str, Any]", self.scope)
            self._told[WRITE_TEXT] = self.write_text

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the HTTP connection, whose whole head comes next."""
        super().connection_made(transport)
        cast("Any", self.conn).reject = self._rejection

    def _rejection(self, status: int, _text: str) -> Response:
        """The response that refuses the handshake, in place of the library's plain text."""
        why = HANDSHAKES.get(int(status), Malformed.HANDSHAKE)
        why.count()
        code, phrase = int(status), HTTPStatus(status).phrase
        lines = [(name.decode(), value.decode()) for name, value in (*self.default_headers, *why.headers)]
        return Response(code, phrase, Headers(lines), why.body)

    def _end_handshake(self) -> None:
        """Refuse a head that one parser accepts and the other does not; uvicorn would wait for more of it."""
        refused = b"".join(self.conn.data_to_send())
        self.transport.write(refused or Malformed.HANDSHAKE.response(self.default_headers))
        self.transport.close()

    # --- reading ---

    def data_received(self, data: bytes) -> None:
        """Handle one slice now, and each further slice in its own turn of the event loop."""
        self._held += data
        if self._turn is None:
            self._next()
        if self._held:
            self.transport.pause_reading()

    def _next(self) -> None:
        self._turn = None
        if self.disconnected or self.transport.is_closing():
            self._held = b""
        elif self._writing:
            data, self._held = self._held[:SLICE], self._held[SLICE:]
            super().data_received(data)
            if self._held:
                self._turn = self.loop.call_soon(self._next)
            elif self.handshake_initiated:
                self._read_on()
            else:
                self._end_handshake()

    def _read_on(self) -> None:
        if self._writing and not self._held and not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next message; more is read from the socket once all messages have been taken."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._read_on()
        return message

    def handle_cont(self, event: Frame) -> None:
        """Add a part to the message being received."""
        if len(self.frames) >= FRAGMENTS:
            self._refuse(1009, "Too many fragments")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Pass a whole message to the application; text must be UTF-8 (RFC 6455, 8.1)."""
        if self.curr_msg_data_type == "text":
            text = b"".join(self.frames)
            try:
                text.decode()
            except UnicodeDecodeError:
                self._refuse(1007, "Text is UTF-8")
                return
            self.frames = [text]
        super().send_receive_event_to_app()

    def _refuse(self, code: int, reason: str) -> None:
        self.frames = []
        if not self.close_sent:
            self.conn.send_close(code, reason)
            self.handle_parser_exception()
            self._end_soon()

    # --- writing ---

    def write_text(self, text: str) -> bool:
        """Send a whole text message; False where only `send` can: the peer is slow, or the socket is not open."""
        conn = self.conn
        if not self._writing or self.disconnected or self.close_sent or conn.state is not OPEN or conn.extensions:
            return False
        data = text.encode()
        head = _TEXT + _length(len(data))
        if len(data) > _JOINED:
            self.transport.writelines((head, data))
        else:
            self.transport.write(head + data)
        return True

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read, and start the stall timer."""
        super().pause_writing()
        self._writing = False
        self.transport.pause_reading()
        self._stall = self._stall or self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the stall timer: the peer reads again."""
        super().resume_writing()
        self._writing = True
        self._stall = cancelled(self._stall)
        if self._held and self._turn is None:
            self._turn = self.loop.call_soon(self._next)
        self._read_on()

    # --- ending ---

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Close the socket: the application has finished with it."""
        super().on_task_complete(task)
        self._end_soon()

    def keepalive_timeout(self) -> None:
        """Close the connection: the peer did not answer a ping."""
        super().keepalive_timeout()
        self._end_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel every timer and release what the connection held."""
        super().connection_lost(exc)
        if self._told is not None:
            del self._told[WRITE_TEXT]  # it refers to this connection
        self.ended()
        self._held = b""
        self._stall = cancelled(self._stall)
        self._doom = cancelled(self._doom)

    def _end_soon(self) -> None:
        if self._doom is None and not self.disconnected:
            self._doom = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)


def _length(size: int) -> bytes:
    """The length of the payload of a frame that is not masked (RFC 6455, 5.2)."""
    if size <= 125:  # noqa: PLR2004 - as the RFC has it
        return bytes((size,))
    return b"\x7e" + size.to_bytes(2, "big") if size < 1 << 16 else b"\x7f" + size.to_bytes(8, "big")
