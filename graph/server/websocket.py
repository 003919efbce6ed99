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

import struct
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

    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

SLICE = 4096
FRAGMENTS = 1000
_JOINED = 1 << 16  # bytes of a text from which a second write is cheaper than copying it
# The head of a frame that is a whole text message and not masked (RFC 6455, 5.2): its length has 7, 16 or 64 bits.
_HEADS = [bytes((0x81, size)) for size in range(126)]
_HEAD_16 = struct.Struct("!BBH").pack
_HEAD_64 = struct.Struct("!BBQ").pack


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket connection with bounds on what it reads and buffers."""

    # All that `write_text` looks at, side by side: uvicorn's own attributes are in a dictionary of two kilobytes, which
    # has left the processor's caches when the next event comes to thousands of sockets.
    __slots__ = ("_open", "_out")

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
        # Frames are written as they are, so that there is no function where an extension would change them.
        if self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS and not self.conn.extensions:
            self._told = cast("dict[str, Any]", self.scope)
            self._told[WRITE_TEXT] = self.write_text

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the HTTP connection, whose whole head comes next."""
        super().connection_made(transport)
        self._out = self.transport
        self._open = False
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
            self._look()
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
        if not self._open:
            return False
        data = text.encode()
        size = len(data)
        if size < _JOINED:
            self._out.write((_HEADS[size] if size < len(_HEADS) else _HEAD_16(0x81, 126, size)) + data)
        else:
            self._out.write(_HEAD_64(0x81, 127, size))  # asyncio's writelines() of 3.12.0 to 3.13.1 never pauses
            self._out.write(data)
        return True

    def _look(self) -> None:
        """Note whether `write_text` may write, after each step that can change it."""
        closing = self.disconnected or self.close_sent or self.conn.state is not OPEN
        self._open = self._writing and not closing

    async def send(self, message: ASGISendEvent) -> None:
        """Send `message`, with which the socket may open or close."""
        await super().send(message)
        self._look()

    def pause_writing(self) -> None:
        """Stop reading from a peer that does not read, and start the stall timer."""
        super().pause_writing()
        self._writing = self._open = False
        self.transport.pause_reading()
        self._stall = self._stall or self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the stall timer: the peer reads again."""
        super().resume_writing()
        self._writing = True
        self._look()
        self._stall = cancelled(self._stall)
        if self._held and self._turn is None:
            self._turn = self.loop.call_soon(self._next)
        self._read_on()

    # --- ending ---

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """Close the socket: the application has finished with it."""
        super().on_task_complete(task)
        self._end_soon()

    def shutdown(self) -> None:
        """Close the socket: the server stops."""
        super().shutdown()
        self._look()

    def keepalive_timeout(self) -> None:
        """Close the connection: the peer did not answer a ping."""
        super().keepalive_timeout()
        self._look()
        self._end_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel every timer and release what the connection held."""
        super().connection_lost(exc)
        self._look()
        if self._told is not None:
            del self._told[WRITE_TEXT]  # it refers to this connection
        self.ended()
        self._held = b""
        self._stall = cancelled(self._stall)
        self._doom = cancelled(self._doom)

    def _end_soon(self) -> None:
        if self._doom is None and not self.disconnected:
            self._doom = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
