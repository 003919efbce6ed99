"""uvicorn's WebSocket connections, held to bounds that uvicorn leaves open to whoever connects.

A peer that sends and does not read is not read either, so pings cannot pile up pongs in memory; what one read brings is
handled `SLICE` bytes at a time, so thousands of tiny frames do not hold up the other connections; a message has at most
`FRAGMENTS` parts; text that is no UTF-8 closes the socket with 1007 and is no error of ours. A handshake that fails is
refused as `malformed` has it.

A peer that takes nothing for `STALL_SECONDS`, or that does not let its connection be closed, is cut off without an
answer.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.datastructures import Headers
from websockets.http11 import Response

from graph.server.http_bounds import CLOSE_SECONDS, STALL_SECONDS, cancelled
from graph.server.malformed import HANDSHAKES, Malformed

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle
    from collections.abc import Callable

    from uvicorn._types import ASGIReceiveEvent
    from websockets.frames import Frame

SLICE = 4096
FRAGMENTS = 1000


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket connection with a bounded appetite."""

    ended: Callable[[], None] = staticmethod(lambda: None)
    """Called when the connection is lost."""
    _held = b""
    _writing = True
    _stall: TimerHandle | None = None
    _doom: TimerHandle | None = None
    _turn: asyncio.Handle | None = None

    # --- the handshake ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take over from the HTTP connection, whose whole head comes next."""
        super().connection_made(transport)
        cast("Any", self.conn).reject = self._rejection

    def _rejection(self, status: int, _text: str) -> Response:
        """What refuses the handshake, in place of the library's plain text."""
        why = HANDSHAKES.get(int(status), Malformed.HANDSHAKE)
        why.count()
        code, phrase = int(status), HTTPStatus(status).phrase
        lines = [(name.decode(), value.decode()) for name, value in (*self.default_headers, *why.headers)]
        return Response(code, phrase, Headers(lines), why.body)

    def _end_handshake(self) -> None:
        """Refuse a head that is HTTP to one parser and not to the other; uvicorn waits for more of it."""
        refused = b"".join(self.conn.data_to_send())
        self.transport.write(refused or Malformed.HANDSHAKE.response(self.default_headers))
        self.transport.close()

    # --- reading ---

    def data_received(self, data: bytes) -> None:
        """Handle a slice, and the others one a turn of the loop."""
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
        """The next message; more is read once all have been taken."""
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._read_on()
        return message

    def handle_cont(self, event: Frame) -> None:
        """Take a part of a message."""
        if len(self.frames) >= FRAGMENTS:
            self._refuse(1009, "Too many fragments")
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Hand on a whole message; text is UTF-8 (RFC 6455, 8.1)."""
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

    def pause_writing(self) -> None:
        """The peer takes nothing: it is not read either."""
        super().pause_writing()
        self._writing = False
        self.transport.pause_reading()
        self._stall = self._stall or self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The peer takes something again."""
        super().resume_writing()
        self._writing = True
        self._stall = cancelled(self._stall)
        if self._held and self._turn is None:
            self._turn = self.loop.call_soon(self._next)
        self._read_on()

    # --- ending ---

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """The application is done with the socket."""
        super().on_task_complete(task)
        self._end_soon()

    def keepalive_timeout(self) -> None:
        """The peer is gone."""
        super().keepalive_timeout()
        self._end_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        super().connection_lost(exc)
        self.ended()
        self._held = b""
        self._stall = cancelled(self._stall)
        self._doom = cancelled(self._doom)

    def _end_soon(self) -> None:
        if self._doom is None and not self.disconnected:
            self._doom = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
