"""An endpoint whose requests come with an exchange, as `graph.http_protocol` gives one, but over plain ASGI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.endpoint.express import EXCHANGE
from graph.endpoint.http import GraphQLEndpoint

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send


class Exchanged:
    """An exchange that remembers its answer."""

    def __init__(self, body: bytes | None) -> None:
        self.body = body
        self.answered: tuple[bytes, bytes] | None = None

    def whole_body(self) -> bytes | None:
        return self.body

    def answer(self, head: bytes, body: bytes) -> bool:
        assert self.answered is None
        self.answered = head, body
        return True


class ExchangingEndpoint(GraphQLEndpoint[Any]):
    """Gives a request an exchange unless the server did; counts the answers that came that way."""

    expressed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or EXCHANGE in scope:
            await super().__call__(scope, receive, send)
            return
        messages: list[Message] = []
        while not messages or messages[-1].get("more_body"):
            messages.append(await receive())
        exchange = scope[EXCHANGE] = Exchanged(b"".join(message.get("body", b"") for message in messages))

        async def again() -> Message:
            return messages.pop(0) if messages else await receive()

        await super().__call__(scope, again, send)
        if exchange.answered is not None:
            self.expressed += 1
            head, body = exchange.answered
            lines = [line.split(b": ", 1) for line in head.split(b"\r\n")[:-1]]
            headers = [(name, value) for name, value in lines]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})
