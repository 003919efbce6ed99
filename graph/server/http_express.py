"""uvicorn's HTTP protocol, with a way for the endpoint to answer at once (`graph.endpoint.kept.express`).

A request that came in one piece, on a connection with nothing else under way, is first shown to `Express`, which looks
at its bytes. If it takes the request, nothing is parsed and no task is started: the answer is written as soon as Redis
has replied. uvicorn serves every other request, with the bounds of `graph.server.http_bounds`: parsing,
keep-alive, pipelining, flow control, shutdown. It also serves a request that `Express` hands on, from its first byte.

While a request is with `Express`, what follows it on the connection waits unread, and a server that stops waits for
its answer.
"""

from __future__ import annotations

import contextvars
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from graph.endpoint.http import EXCHANGE
from graph.endpoint.kept import EXPRESS, Sight
from graph.server.crowd import KEPT_SECONDS, crowd, trusted
from graph.server.http_bounds import HttpConnection, cancelled
from graph.server.malformed import Malformed
from graph.server.websocket import WebSocketConnection

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from graph.endpoint.kept import Express, Leftover, RawHeaders
    from graph.endpoint.observe import OperationSpan

_CHECKS = (b"healthz", b"readyz")
_CREDENTIALS = (b"authorization", b"cookie")
_SOON = 0.05
"""Seconds by which a timer may fire early and still count as due: its clock is coarse."""


class UvicornExchange:
    """An exchange that uvicorn is serving."""

    __slots__ = ("_connection", "_cycle", "left", "sight", "span")

    def __init__(self, cycle: RequestResponseCycle, connection: HttpConnection) -> None:
        """Represent the `cycle` of `connection`."""
        self._cycle = ref(cycle)  # whose scope leads here
        self._connection = connection
        self.sight: Sight | None = None
        self.left: Leftover | None = None
        self.span: OperationSpan | None = None

    def attend(self, left: Callable[[], None] | None) -> bool:
        """Call `left` when the connection is lost; False if it is lost already."""
        cycle = self._cycle()
        self._connection.attended = None if left is None or cycle is None else (cycle, left)
        if not self._connection.transport.is_closing():
            return True
        if cycle is not None:
            cycle.disconnected = not cycle.response_complete  # uvicorn hears of it a moment later
        return False


class HttpProtocol(HttpConnection):
    """Shows requests to the endpoint before they are parsed, and gives each scope its exchange."""

    _under_way: bytes | None = None
    """The request that is with `Express`."""
    _held = b""
    """The bytes that came after it."""
    _left: Leftover | None = None
    _stopping = False
    _place: str | None = None
    """The name of its place in `Crowd`; None while it has no place."""
    _kept = False
    """Whether that is one of the last places."""
    _rested = 0.0
    _sight: Sight | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        simple = self.limit_concurrency is None and not self.access_log
        self._express: Express | None = self.app_state.get(EXPRESS) if simple else None
        self._peer = ""
        self._starts: dict[int, bytes] = {}
        self._lines: list[tuple[bytes, bytes]] = []
        self._counted = [0, 0]  # requests that have begun, and ended, in one piece of data
        self._cycles: list[RequestResponseCycle] = []  # those that are not answered yet

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Note the peer's address, and refuse the connection when there are too many."""
        super().connection_made(transport)
        self._peer = self.client[0] if self.client else ""
        self._context = contextvars.copy_context()
        self._place = crowd().enter(self._peer, proxy=self._peer in trusted(str(self.config.forwarded_allow_ips)))
        if self._place is not None and crowd().is_crowded:
            self._kept = crowd().keep(self._peer)
            if self._kept:
                self._head = cancelled(self._head)
                self._head = self.loop.call_later(KEPT_SECONDS, self.transport.abort)
            else:
                self._leave()
        if self._place is None:
            self._head = cancelled(self._head)
            transport.write(Malformed.CROWDED.response(self.server_state.default_headers))
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up the connection's place in the crowd, and tell every request on it that its client has left."""
        self._leave()
        for cycle in self._cycles:  # uvicorn tells only the one that came last, and the others would write on
            cycle.disconnected = not cycle.response_complete
            cycle.message_event.set()
        super().connection_lost(exc)
        if self._under_way is not None:  # it is executed nevertheless, and a server that stops waits for it
            self.connections.add(self)

    def _forget(self) -> None:
        """The request that is under way needs no answer any more."""
        self._under_way = None
        self.connections.discard(self)

    def _leave(self) -> None:
        if self._kept:
            crowd().give_back(self._peer)
            self._kept = False
        if self._place is not None:
            crowd().leave(self._place)
            self._place = None

    def upgraded(self, successor: asyncio.BaseProtocol) -> None:
        """Pass the place in the crowd on to the WebSocket."""
        if isinstance(successor, WebSocketConnection):
            successor.ended = self._leave

    # --- requests that are recognised ---

    def data_received(self, data: bytes) -> None:
        """Give `Express` a whole request that it recognises; else parse it."""
        if self._under_way is not None:
            self._held += data
            self.flow.pause_reading()
        elif self._kept or self._express is None or not self._is_idle() or (parts := self._express.split(data)) is None:
            super().data_received(data)
        else:
            self._under_way = data
            self._sight = Sight(self._peer, parts)
            if not self._express.take(self._sight, self):
                self._under_way = None
                self._read(data)
            elif self._head is not None:
                self._head = cancelled(self._head)

    def _is_idle(self) -> bool:
        """Whether the next byte begins a request, and nothing else is going on."""
        cycle: Any = self.cycle
        return (
            not self._in_head
            and not self._in_body
            and self._malformed is None
            and (cycle is None or cycle.response_complete)
            and not self.flow.write_paused
            and not self.transport.is_closing()
        )

    def _read(self, data: bytes) -> None:
        """Give uvicorn `data`, which came on an idle connection."""
        self._counted = [0, 0]
        super().data_received(data)
        if self._counted == [1, 1] and self._malformed is None:
            cycle: Any = self.cycle
            if cycle is not None and cycle.keep_alive and not cycle.waiting_for_100_continue:
                cycle.scope[EXCHANGE].sight = self._sight

    def answer(self, status: int, head: bytes, body: bytes) -> bool:
        """Send the answer as `RequestResponseCycle.send` would; False where that would do more than write."""
        if self._stopping or self.flow.write_paused or self.transport.is_closing():
            return False
        self._write(status, head, body)
        return True

    def conclude(self, status: int, head: bytes, body: bytes, *, last: bool = False) -> None:
        """Send the answer to what was executed, even while the server stops or the client reads slowly."""
        if self.transport.is_closing():
            self._forget()
        elif last:
            self._held = b""
            self._write(status, head, body)
            self.transport.close()
        elif self._stopping and not self._held:
            self._write(status, head + b"connection: close\r\n", body)
            self._go_on()
        else:
            self._write(status, head, body)

    def _write(self, status: int, head: bytes, body: bytes) -> None:
        lines = self.server_state.default_headers
        if lines is not self._lines:
            self._lines, self._starts = lines, {}
        start = self._starts.get(status)
        if start is None:
            start = self._starts[status] = b"".join([STATUS_LINE[status], *(b"%b: %b\r\n" % line for line in lines)])
        self.transport.write(b"".join((start, head, b"\r\n", body)))
        self.server_state.total_requests += 1
        self._under_way = None
        self._rested = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._rest(self.timeout_keep_alive)
        if self._held:
            self._go_on()

    def start(self, work: Coroutine[object, object, None]) -> None:
        """Run `work` as uvicorn runs the application for a request: it waits for both when it stops."""
        task = self.loop.create_task(work, context=self._context.copy())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def header_reader(self) -> Callable[[], RawHeaders]:
        """What reads the header lines of the request that is under way, which `Express` has found to be plain ones."""
        assert self._under_way is not None
        return partial(_headers_of, self._under_way)

    def hand_on(self, left: Leftover | None) -> bool:
        """Give uvicorn the request, and the application what was done about it; False if the client has left."""
        data = self._under_way
        if data is None or self.transport.is_closing():
            self._forget()
            return False
        self._under_way = None
        self._left = left
        self._read(data)
        self._left = None
        self._go_on()
        return True

    def abort(self) -> None:
        """Close the connection at once."""
        self._held = b""
        self._forget()
        self.transport.abort()

    def _go_on(self) -> None:
        """Read what came meanwhile; then stop if the server is stopping, after answering what was read."""
        held, self._held = self._held, b""
        if held and not self.transport.is_closing():
            self.flow.resume_reading()
            self.data_received(held)
        if self._stopping and self._under_way is None:
            super().shutdown()

    # --- timers and ends ---

    def _rest(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if it has really been idle for so long: answers by `Express` do not reset the timer."""
        self.timeout_keep_alive_task = None
        left = self._rested + self.timeout_keep_alive - self.loop.time()
        if self._under_way is None and left < _SOON:
            super().timeout_keep_alive_handler()
        else:
            self._rest(max(left, _SOON))

    def shutdown(self) -> None:
        """Close the connection because the server stops, once the request being served is answered."""
        self._stopping = True
        if self._under_way is None:
            super().shutdown()

    # --- what uvicorn reads ---

    def on_message_begin(self) -> None:
        """Note that a request has begun."""
        self._counted[0] += 1
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Give the request its exchange: uvicorn has made its cycle, and its task has not run yet."""
        if self._kept and not _must_get_through(self.url, self.headers):
            self._why = Malformed.CROWDED
            raise ValueError("this place is kept for others")  # for the parser, which refuses the request
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is before:  # it offers another protocol: it is read again, or there is no exchange
            return
        self._cycles = [cycle for cycle in self._cycles if not cycle.response_complete]
        self._cycles.append(self.cycle)
        exchange = UvicornExchange(self.cycle, self)
        exchange.left, self._left = self._left, None
        if self._sight is not None:
            exchange.span, self._sight.span = self._sight.span, None
        self.scope[EXCHANGE] = exchange  # pyright: ignore[reportGeneralTypeIssues] - an ASGI extension

    def on_message_complete(self) -> None:
        """Note that a whole request has arrived."""
        self._counted[1] += 1
        super().on_message_complete()


def _headers_of(request: bytes) -> RawHeaders:
    """The header lines of a plain `request`, as the parser gives them."""
    _, *lines = request.partition(b"\r\n\r\n")[0].split(b"\r\n")
    pairs = (line.partition(b":") for line in lines)
    return [(name.lower(), value.lstrip(b" \t")) for name, _, value in pairs]


def _must_get_through(url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request is a health check, or presents credentials."""
    return url.rpartition(b"/")[2] in _CHECKS or any(name in _CREDENTIALS for name, _ in headers)
