"""uvicorn's HTTP connections, held to bounds that uvicorn leaves open to whoever connects.

A head (request line and headers) must be there in `HEAD_SECONDS` and fit into `HEAD_BYTES`. What is no HTTP is
refused as `malformed` has it, after the answers to all good requests before it; then the connection is closed in a way
that lets the peer read them. An offer to speak something else than WebSocket (``Upgrade: h2c``, which Java's own client
makes with each first request) is not taken up, and the request that bore it is served with its body.

An answer that ends the connection before the request's body is there, as 413 does, is followed by a staged close (RFC
9112, 9.6): a close at once would be a reset, which takes the answer away from a client that is still sending. The rest
of the body is read and forgotten, for at most `DRAIN_SECONDS`. HTTP/1.0 knows no chunks: an answer of unknown length
ends with the connection.

A peer that takes nothing for `STALL_SECONDS`, or that does not let its connection be closed, is cut off without an
answer. `graph.server.websocket` does the same for WebSockets.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from graph.server.malformed import Malformed

if TYPE_CHECKING:
    import asyncio
    from asyncio import TimerHandle
    from collections.abc import Callable

    from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

HEAD_SECONDS = 10.0
HEAD_BYTES = 65_536
STALL_SECONDS = 60.0
CLOSE_SECONDS = 15.0
"""Seconds a closing connection gets to take what was sent to it: more than uvicorn waits for the peer's close."""
LINGER_SECONDS = 2.0
"""Seconds that a peer gets to read the answers, or to go on sending, before its connection is cut: see `_tell`."""
DRAIN_SECONDS = 30.0
"""Seconds that a peer may go on sending a body that was refused."""

_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class HttpConnection(HttpToolsProtocol):
    """An HTTP connection whose heads are short and prompt, and whose peer reads."""

    _head: TimerHandle | None = None
    _stall: TimerHandle | None = None
    _in_head = False
    _in_body = False
    _size: int | None = None
    _declined: int | None = None
    _malformed: Malformed | None = None
    _told = False
    _drained_until: float | None = None
    attended: tuple[RequestResponseCycle, Callable[[], None]] | None = None
    """The request under way, and what to call when its client goes."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Await a head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Read on; give up on a head that is too long."""
        if self._malformed is not None:
            return  # what follows is nothing that could be read
        if self._drained_until is not None:
            self._linger()
            return
        super().data_received(data)
        if self._declined is not None:
            offset, self._declined = self._declined, None
            self._read_plainly(data[offset:])
            return
        if self._in_head and self._malformed is None:
            # What came before the head in its first piece is not the head's.
            self._size = 0 if self._size is None else self._size + len(data)
            if self._size > HEAD_BYTES and not self.transport.is_closing():
                self._refuse(Malformed.HEAD)
        if self._head is None and self._is_waiting():
            self._await_head()

    def _is_waiting(self) -> bool:
        """Whether nothing but the peer's next head can be what happens next, and uvicorn does not time it."""
        if self._malformed is not None or self.transport.is_closing():
            return False
        if cast("Any", self.transport).get_protocol() is not self:
            return False  # a WebSocket by now
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
        if self.parser.should_upgrade() and not self._should_upgrade():
            return  # the parser would skip the body: see `_read_plainly`
        self._in_head = False
        self._head = cancelled(self._head)
        super().on_headers_complete()
        self._in_body = True
        if self.parser.should_upgrade():  # to a WebSocket: there is no exchange
            return
        cycle: Any = self.cycle
        cycle.transport = _Staged(self)
        if self.scope["http_version"] == "1.0":
            _without_chunks(cycle)

    def on_message_complete(self) -> None:
        """The body is there, too."""
        if self.parser.should_upgrade() and not self._should_upgrade():
            return
        self._in_body = False
        super().on_message_complete()

    # --- WebSockets ---

    def handle_websocket_upgrade(self) -> None:
        """Become a WebSocket, once every request before that has its answer."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            self._upgrade()
        else:
            self.flow.pause_reading()
            cycle.on_response = self._upgrade_in_turn

    def _upgrade_in_turn(self) -> None:
        self.on_response_complete()
        if not self.transport.is_closing():
            self._unset_keepalive_if_required()
            self._upgrade()

    def _upgrade(self) -> None:
        super().handle_websocket_upgrade()
        self.upgraded(cast("Any", self.transport).get_protocol())

    def upgraded(self, successor: asyncio.BaseProtocol) -> None:
        """The connection goes on with `successor`."""

    # --- offers that are not taken up ---

    def _unsupported_upgrade_warning(self) -> None:
        """The parser stopped after a head that asks for another protocol: remember where."""
        self._declined = cast("httptools.HttpParserUpgrade", sys.exception()).args[0]

    def _read_plainly(self, rest: bytes) -> None:
        """Read the head once more, without the offer; `rest` came after it."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":  # it is nothing but such an offer
            self._refuse(Malformed.HTTP)
            return
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                options = [one for one in value.split(b",") if one.strip().lower() not in _OFFERS]
                lines += [b"connection:" + b",".join(options)] if options else []
            elif name not in _OFFERS:
                lines.append(b"%b:%b" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.data_received(b"\r\n".join([*lines, b"", b""]) + rest)

    # --- what is no HTTP ---

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - as uvicorn calls it
        """The parser does not understand what came."""
        self._refuse(Malformed.HTTP)

    def _refuse(self, why: Malformed) -> None:
        """Answer `why` once every request before the bad one has its answer, and end the connection."""
        self._malformed = why
        self._head = cancelled(self._head)
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            self._tell(answer=not self._in_body)  # the answer to this one is out
        elif not self._in_body:
            cycle.on_response = self._tell_next
        elif self.pipeline:  # the body of a request that waits for its turn
            cycle.disconnected = True
            self.pipeline[0] = (cycle, self._tell_in_turn)
        else:  # the body of the request under way: its application hears that the client is gone
            cycle.disconnected = True
            cycle.message_event.set()
            self._tell(answer=not cycle.response_started)

    def _tell_next(self) -> None:
        self.on_response_complete()
        self._tell()

    async def _tell_in_turn(self, _scope: Scope, _receive: ASGIReceiveCallable, _send: ASGISendCallable) -> None:
        self._tell()

    def _tell(self, *, answer: bool = True) -> None:
        """Refuse, say that nothing more will come, and wait a moment for the peer to say the same."""
        if self.transport.is_closing():
            return
        assert self._malformed is not None
        self._told = True
        self._unset_keepalive_if_required()
        if answer:
            self.transport.write(self._malformed.response(self.server_state.default_headers))
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.flow.resume_reading()
            self._head = self.loop.call_later(LINGER_SECONDS, self.transport.abort)
        else:  # TLS
            self.transport.close()

    # --- ending ---

    def end(self) -> None:
        """End after an answer: at once if the request has been read, else in stages."""
        if not self._in_body or self.transport.is_closing():
            self.transport.close()
            return
        self._drained_until = self.loop.time() + DRAIN_SECONDS
        if self.transport.can_write_eof():  # over TLS the length of the answer must do
            self.transport.write_eof()
        self._linger()

    def _linger(self) -> None:
        """Wait for more to forget, until the peer has gone or is silent."""
        assert self._drained_until is not None
        self._head = cancelled(self._head)
        left = self._drained_until - self.loop.time()
        if left > 0:
            self._head = self.loop.call_later(min(left, LINGER_SECONDS), self.transport.abort)
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Rest, or go on with the next request; after the last answer there is neither."""
        if self._drained_until is None:
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """The server stops."""
        if self._told or self._drained_until is not None:
            self.transport.close()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """The peer takes nothing."""
        super().pause_writing()
        self._stall = self._stall or self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The peer takes something again."""
        self._stall = cancelled(self._stall)
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """End an idle connection, whether or not its peer takes the last answer."""
        if not self.transport.is_closing():
            self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
        super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind."""
        self._head = cancelled(self._head)
        self._stall = cancelled(self._stall)
        super().connection_lost(exc)
        if self.attended is not None:
            cycle, left = self.attended
            cycle.disconnected = not cycle.response_complete  # uvicorn tells it only to the last one in the pipeline
            left()


class _Staged:
    """The transport as an exchange sees it: it is not closed under a client that is still sending."""

    __slots__ = ("_connection", "is_closing", "write")

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        self._connection.end()


def _without_chunks(cycle: Any) -> None:
    """Have `cycle` send the body as it is; it closes the connection at the end anyway."""
    send = cycle.send
    cycle.chunked_encoding = False

    async def as_it_is(message: Any) -> None:
        if message["type"] == "http.response.body":
            cycle.expected_content_length = len(message.get("body", b""))  # uvicorn would hold it against a header
        await send(message)

    cycle.send = as_it_is


def cancelled(timer: TimerHandle | None) -> None:
    """Cancel `timer`; what takes its place."""
    if timer is not None:
        timer.cancel()
