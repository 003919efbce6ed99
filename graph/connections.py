"""uvicorn's connections, held to bounds that uvicorn leaves open to whoever connects.

HTTP: a head (request line and headers) must be there in `HEAD_SECONDS` and fit into `HEAD_BYTES`.

WebSocket: a peer that sends and does not read is not read either, so pings cannot pile up pongs in memory; what one
read brings is handled `SLICE` bytes at a time, so thousands of tiny frames do not hold up the other connections; a
message has at most `FRAGMENTS` parts; text that is no UTF-8 closes the socket with 1007 and is no error of ours.

Both: a peer that takes nothing for `STALL_SECONDS`, or that does not let its connection be closed, is cut off. Nothing
here answers anybody: whoever is cut off broke HTTP or WebSocket, or is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle

    from uvicorn._types import ASGIReceiveEvent
    from websockets.frames import Frame

HEAD_SECONDS = 10.0
HEAD_BYTES = 65_536
STALL_SECONDS = 60.0
CLOSE_SECONDS = 15.0
"""Seconds a closing connection gets to take what was sent to it: more than uvicorn waits for the peer's close."""
SLICE = 4096
FRAGMENTS = 1000


class HttpConnection(HttpToolsProtocol):
    """An HTTP connection whose heads are short and prompt, and whose peer reads."""

    _head: TimerHandle | None = None
    _stall: TimerHandle | None = None
    _in_head = False
    _in_body = False
    _size: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Await a head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on; give up on a head that is too long."""
        super().data_received(data)
        if self._in_head:
            # What came before the head in its first piece is not the head's.
            self._size = 0 if self._size is None else self._size + len(data)
            if self._size > HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")
        if self._head is None and self._is_waiting():
            self._await_head()

    def _is_waiting(self) -> bool:
        """Whether nothing but the peer's next head can be what happens next, and uvicorn does not time it."""
        if self.transport.is_closing() or cast("Any", self.transport).get_protocol() is not self:
            return False  # refused, or a WebSocket by now
        cycle: Any = self.cycle
        answered = cycle is None or cycle.response_complete
        return self._in_head or (not self._in_body and answered and self.timeout_keep_alive_task is None)

    def _await_head(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._in_head, self._size = True, None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._in_head, self._in_body = False, True
        self._head = _cancelled(self._head)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is there, too."""
        self._in_body = False
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The peer takes nothing."""
        super().pause_writing()
        self._stall = self._stall or self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The peer takes something again."""
        self._stall = _cancelled(self._stall)
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection, whether or not its peer takes the last answer."""
        if not self.transport.is_closing():
            self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
        super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        self._head = _cancelled(self._head)
        self._stall = _cancelled(self._stall)
        super().connection_lost(exc)


class WebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket connection with a bounded appetite."""

    _held = b""
    _writing = True
    _stall: TimerHandle | None = None
    _doom: TimerHandle | None = None
    _turn: asyncio.Handle | None = None

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
            else:
                self._read_on()

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
        self._stall = _cancelled(self._stall)
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
        self._held = b""
        self._stall = _cancelled(self._stall)
        self._doom = _cancelled(self._doom)

    def _end_soon(self) -> None:
        if self._doom is None and not self.disconnected:
            self._doom = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)


def _cancelled(timer: TimerHandle | None) -> None:
    """Cancel `timer`; what takes its place."""
    if timer is not None:
        timer.cancel()
