"""uvicorn's HTTP protocol, with a way for the endpoint to answer at once (`graph.endpoint.express.Exchange`).

Everything is uvicorn's own, with the bounds of `graph.connections`: parsing, keep-alive, pipelining, flow control,
shutdown. Only an answer that is ready as bytes goes to the transport in one piece, instead of as two ASGI messages
whose headers are checked one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from graph.connections import HttpConnection
from graph.endpoint.express import EXCHANGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_OK = STATUS_LINE[200]


class UvicornExchange:
    """An exchange under way in uvicorn."""

    __slots__ = ("_connection", "_cycle")

    def __init__(self, cycle: RequestResponseCycle, connection: HttpConnection) -> None:
        """Speak for `cycle` of `connection`."""
        self._cycle = cycle
        self._connection = connection

    def whole_body(self) -> bytes | None:
        """The body, if it has come completely; it is not taken away."""
        cycle = self._cycle
        return None if cycle.more_body else bytes(cycle.body)

    def answer(self, head: bytes, body: bytes) -> bool:
        """Send the answer, as `RequestResponseCycle.send` would; False where that has more to do than to write."""
        cycle = self._cycle
        if cycle.flow.write_paused or cycle.disconnected or not cycle.keep_alive or cycle.response_started:
            return False
        if cycle.access_log:
            return False
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        lines = [_OK]
        for name, value in cycle.default_headers:
            lines += (name, b": ", value, b"\r\n")
        lines += (head, b"\r\n", body)
        cycle.transport.write(b"".join(lines))
        cycle.message_event.set()
        cycle.on_response()
        return True

    def attend(self, left: Callable[[], None] | None) -> bool:
        """Call `left` when the connection is lost; False if it is."""
        self._connection.attended = None if left is None else (self._cycle, left)
        return not self._connection.transport.is_closing()


class HttpProtocol(HttpConnection):
    """Gives each request's scope its exchange."""

    def on_headers_complete(self) -> None:
        """Begin a request: uvicorn has made its cycle, and its task has not run yet."""
        super().on_headers_complete()
        self.scope[EXCHANGE] = UvicornExchange(self.cycle, self)  # pyright: ignore[reportGeneralTypeIssues] - an ASGI extension
