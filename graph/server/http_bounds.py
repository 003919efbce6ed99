"""uvicorn's HTTP connections, with bounds that uvicorn itself does not set.

A head (request line and headers) must arrive within `HEAD_SECONDS`, fit into `HEAD_BYTES` and name one host. Input that
is not HTTP is refused with an answer from `malformed`, after the answers to all good requests before it; then the
connection is closed in a way that lets the peer read them.

An offer to switch to a protocol other than WebSocket (``Upgrade: h2c``,
which Java's own client sends with each first request) is ignored, and its request is served with its body.

An answer that ends the connection before the whole body has arrived, such as 413, is followed by a staged close (RFC
9112, 9.6): an immediate close would be a reset, and a client that is still sending would lose the answer. The rest
of the body is read and discarded, for at most `DRAIN_SECONDS`. HTTP/1.0 has no chunks, so an answer of unknown length
ends with the connection.

A peer that reads nothing for `STALL_SECONDS`, or that prevents its connection from closing, is disconnected without
an answer. `graph.server.websocket` does the same for WebSockets.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from graph.server.malformed import Malformed, names_one_host

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
"""Seconds that a peer gets to read what was sent before a close: longer than uvicorn waits for the peer's close."""
LINGER_SECONDS = 2.0
"""Seconds that a peer gets to read the answers, or to go on sending, before its connection is cut: see `_tell`."""
DRAIN_SECONDS = 30.0
"""Seconds that a peer may go on sending a body that was refused."""

_OFFERS = frozenset({b"upgrade", b"http2-settings"})


class HttpConnection(HttpToolsProtocol):
    """An HTTP connection with limits on the size and time of a head, and on how long the peer may not read."""

    _head: TimerHandle | None = None
    _stall: TimerHandle | None = None
    _in_head = False
    _in_body = False
    _size: int | None = None
    _declined: int | None = None
    _malformed: Malformed | None = None
    _why = Malformed.HTTP
    _told = False
    _drained_until: float | None = None
    attended: tuple[RequestResponseCycle, Callable[[], None]] | None = None
    """The request being served, and what to call when its client disconnects."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Wait for a head."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Parse more input, and refuse a head that is too long."""
        if self._malformed is not None:
            return  # what follows cannot be parsed
        if self._drained_until is not None:
            self._linger()
            return
        super().data_received(data)
        if self._declined is not None:
            offset, self._declined = self._declined, None
            self._read_plainly(data[offset:])
            return
        if self._in_head and self._malformed is None:
            # Bytes before the head in its first piece do not belong to it.
            self._size = 0 if self._size is None else self._size + len(data)
            if self._size > HEAD_BYTES and not self.transport.is_closing():
                self._refuse(Malformed.HEAD)
        if self._head is None and self._is_waiting():
            self._await_head()

    def _is_waiting(self) -> bool:
        """Whether the connection only waits for the peer's next head, and uvicorn has no timer running for it."""
        if self._malformed is not None or self.transport.is_closing():
            return False
        if cast("Any", self.transport).get_protocol() is not self:
            return False  # it has become a WebSocket
        cycle: Any = self.cycle
        answered = cycle is None or cycle.response_complete
        return self._in_head or (not self._in_body and answered and self.timeout_keep_alive_task is None)

    def _await_head(self) -> None:
        self._head = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._in_head, self._size = True, None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Serve the request now that its head is complete."""
        if self.parser.should_upgrade() and not self._should_upgrade():
            return  # the parser would skip the body: see `_read_plainly`
        if not names_one_host(self.headers, self.parser.get_http_version()):
            raise ValueError("it is not told which host is asked")  # for the parser, which refuses the request
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
        """Note that the body is complete, too."""
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
        """Called when the connection goes on as `successor`."""

    # --- ignored upgrade offers ---

    def _unsupported_upgrade_warning(self) -> None:
        """Remember where the parser stopped, after a head that asks for another protocol."""
        self._declined = cast("httptools.HttpParserUpgrade", sys.exception()).args[0]

    def _read_plainly(self, rest: bytes) -> None:
        """Parse the head again without the upgrade offer; `rest` is what came after it."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":  # a CONNECT is only such an offer
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

    # --- input that is not HTTP ---

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - as uvicorn calls it
        """Refuse input that the parser does not understand."""
        self._refuse(self._why)

    def _refuse(self, why: Malformed) -> None:
        """Answer `why` once every request before the bad one has its answer, and end the connection."""
        self._malformed = why
        self._head = cancelled(self._head)
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete:
            self._tell(answer=not self._in_body)  # this request has its answer already
        elif not self._in_body:
            cycle.on_response = self._tell_next
        elif self.pipeline:  # the body of a request that waits for its turn
            cycle.disconnected = True
            self.pipeline[0] = (cycle, self._tell_in_turn)
        else:  # the body of the request being served: its application hears that the client has left
            cycle.disconnected = True
            cycle.message_event.set()
            self._tell(answer=not cycle.response_started)

    def _tell_next(self) -> None:
        self.on_response_complete()
        self._tell()

    async def _tell_in_turn(self, _scope: Scope, _receive: ASGIReceiveCallable, _send: ASGISendCallable) -> None:
        self._tell()

    def _tell(self, *, answer: bool = True) -> None:
        """Refuse, close our sending side, and wait a moment for the peer to close its own."""
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
        """Close after an answer: at once if the request has been read, else in stages."""
        if not self._in_body or self.transport.is_closing():
            self.transport.close()
            return
        self._drained_until = self.loop.time() + DRAIN_SECONDS
        if self.transport.can_write_eof():  # over TLS the client must go by the length of the answer
            self.transport.write_eof()
        self._linger()

    def _linger(self) -> None:
        """Read and discard more input until the peer disconnects or stops sending."""
        assert self._drained_until is not None
        self._head = cancelled(self._head)
        left = self._drained_until - self.loop.time()
        if left > 0:
            self._head = self.loop.call_later(min(left, LINGER_SECONDS), self.transport.abort)
        else:
            self.transport.abort()

    def on_response_complete(self) -> None:
        """Wait for the next request, or continue with it; after the last answer do neither."""
        if self._drained_until is None:
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()

    def shutdown(self) -> None:
        """Close the connection because the server stops."""
        if self._told or self._drained_until is not None:
            self.transport.close()
        else:
            super().shutdown()

    def pause_writing(self) -> None:
        """Start the stall timer: the peer has stopped reading."""
        super().pause_writing()
        self._stall = self._stall or self.loop.call_later(STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Stop the stall timer: the peer reads again."""
        self._stall = cancelled(self._stall)
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, whether or not its peer reads the last answer."""
        if not self.transport.is_closing():
            self.loop.call_later(CLOSE_SECONDS, self.transport.abort)
        super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timers and tell the request being served that its client has disconnected."""
        self._head = cancelled(self._head)
        self._stall = cancelled(self._stall)
        super().connection_lost(exc)
        if self.attended is not None:
            cycle, left = self.attended
            cycle.disconnected = not cycle.response_complete  # uvicorn tells only the last one in the pipeline
            left()


class _Staged:
    """The transport as an exchange sees it: it does not close while the client is still sending."""

    __slots__ = ("_connection", "is_closing", "write")

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self.write = connection.transport.write
        self.is_closing = connection.transport.is_closing

    def close(self) -> None:
        self._connection.end()


def _without_chunks(cycle: Any) -> None:
    """Make `cycle` send the body without chunks; it closes the connection at the end anyway."""
    send = cycle.send
    cycle.chunked_encoding = False

    async def as_it_is(message: Any) -> None:
        if message["type"] == "http.response.body":
            cycle.expected_content_length = len(message.get("body", b""))  # uvicorn would compare it with a header
        await send(message)

    cycle.send = as_it_is


def cancelled(timer: TimerHandle | None) -> None:
    """Cancel `timer` and return None, to be stored in its place."""
    if timer is not None:
        timer.cancel()
