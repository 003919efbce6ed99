"""An endpoint that recognises requests, as under `graph.server.http_express`, but over plain ASGI."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.http import EXCHANGE
from graph.endpoint.kept import Sight

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import Message, Receive, Scope, Send

    from graph.endpoint.kept import Leftover, RawHeaders
    from graph.endpoint.observe import OperationSpan


class Wired:
    """A request on its way: first the connection that it came over, then its exchange."""

    def __init__(self, sight: Sight | None, headers: RawHeaders = []) -> None:  # noqa: B006 - nobody changes it
        self.sight = sight
        self.client: tuple[str, int] | None = None
        self.app_state: dict[str, Any] = {}
        self._headers = headers
        self._task: asyncio.Task[object] | None = None
        self.left: Leftover | None = None
        self.span: OperationSpan | None = None
        self.outcome: asyncio.Future[tuple[int, bytes, bytes] | None] = asyncio.get_running_loop().create_future()

    def answer(self, status: int, head: bytes, body: bytes) -> bool:
        self.outcome.set_result((status, head, body))
        return True

    def hand_on(self, left: Leftover | None) -> bool:
        self.left = left
        self.outcome.set_result(None)
        return True

    def start(self, work: Coroutine[object, object, None]) -> None:
        self._task = asyncio.create_task(work)

    def header_reader(self) -> Callable[[], RawHeaders]:
        return lambda: self._headers

    def conclude(self, status: int, head: bytes, body: bytes, *, last: bool = False) -> None:
        self.outcome.set_result((status, head, body))

    def abort(self) -> None:
        self.outcome.cancel()

    def attend(self, left: Callable[[], None] | None) -> bool:
        return True


class ExchangingEndpoint(GraphQLEndpoint[Any]):
    """Gives a request an exchange unless the server did; counts the answers that came by express."""

    expressed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or EXCHANGE in scope:
            await super().__call__(scope, receive, send)
            return
        messages: list[Message] = []
        while not messages or messages[-1].get("more_body"):
            messages.append(await receive())
        body = b"".join(message.get("body", b"") for message in messages)
        lines = b"".join(b"%b: %b\r\n" % line for line in scope["headers"])
        line = b"%b %b?%b HTTP/1.1" % (scope["method"].encode(), scope["path"].encode(), scope["query_string"])
        parts = self.express.split(b"%b\r\n%b\r\n%b" % (line, lines, body)) if self.express is not None else None
        wired = Wired(Sight(scope["client"][0], parts) if parts is not None else None, scope["headers"])
        if self.express is not None and wired.sight is not None and self.express.take(wired.sight, wired):
            ready = await wired.outcome
            if ready is not None:
                self.expressed += 1
                await self._send_ready(send, *ready)
                return
        wired.span = wired.sight.span if wired.sight is not None else None
        scope[EXCHANGE] = wired

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        await super().__call__(scope, again, send)

    @staticmethod
    async def _send_ready(send: Send, status: int, head: bytes, body: bytes) -> None:
        headers = [tuple(line.split(b": ", 1)) for line in head.split(b"\r\n")[:-1]]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
