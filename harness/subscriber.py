"""A client of graphql-transport-ws for tests of subscriptions."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from harness.waiting import HANG, within

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PROTOCOL = Subprotocol("graphql-transport-ws")


async def hear(connection: ClientConnection) -> dict[str, Any]:
    """The next message; the server's question whether somebody is still there is answered, not returned."""
    while (message := json.loads(await connection.recv()))["type"] == "ping":
        await connection.send('{"type":"pong"}')
    return message


class Following:
    """One operation: what it was sent."""

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] | None = None
        self.complete = False
        self._news = asyncio.Event()

    def take(self, message: dict[str, Any]) -> None:
        """Note a message."""
        match message["type"]:
            case "next":
                self.results.append(message["payload"])
            case "error":
                self.errors = message["payload"]
            case _:
                self.complete = True
        self._news.set()

    def values(self, name: str) -> list[Any]:
        """The root field of each result."""
        for result in self.results:
            assert "errors" not in result, result
        return [result["data"][name] for result in self.results]

    async def until(self, count: int, seconds: float = HANG) -> None:
        """Wait for `count` results."""
        async with within(f"{count} results", seconds):
            while len(self.results) < count and self.errors is None:
                self._news.clear()
                await self._news.wait()
        assert len(self.results) >= count, self.errors

    async def refused(self) -> str:
        """Wait for the error that ends it; give its code."""
        async with within("the error that ends it"):
            while self.errors is None:
                self._news.clear()
                await self._news.wait()
        return str(self.errors[0]["extensions"]["code"])


class Subscriber:
    """One socket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.close_code: int | None = None
        self._operations: dict[str, Following] = {}
        self._reading = asyncio.create_task(self._read())

    @property
    def gone(self) -> bool:
        """Whether the socket is closed."""
        return self._reading.done()

    async def follow(self, query: str, **variables: Any) -> Following:
        """Start an operation."""
        return await self.start(Following(), query, **variables)

    async def start(self, following: Following, query: str, **variables: Any) -> Following:
        """Start an operation whose answers `following` takes."""
        key = str(len(self._operations) + 1)
        self._operations[key] = following
        payload = {"query": query, "variables": variables}
        await self.connection.send(json.dumps({"id": key, "type": "subscribe", "payload": payload}))
        return following

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while True:
                message = await hear(self.connection)
                if "id" in message:
                    self._operations[message["id"]].take(message)
        self.close_code = self.connection.close_code

    async def closed(self, seconds: float = HANG) -> int | None:
        """Wait until the server closes the socket; give the code."""
        async with within("the server to close the socket", seconds):
            await asyncio.shield(self._reading)
        return self.close_code

    async def aclose(self) -> None:
        """Close the socket."""
        await self.connection.close()
        await self._reading


@contextlib.asynccontextmanager
async def subscriber(port: int, token: str | None = None) -> AsyncGenerator[Subscriber]:
    """A socket to 127.0.0.1, signed in with `token`."""
    url = f"ws://127.0.0.1:{port}/graphql"
    async with connect(url, subprotocols=[PROTOCOL], compression=None) as connection:
        init: dict[str, Any] = {"type": "connection_init"}
        if token is not None:
            init["payload"] = {"authorization": f"Bearer {token}"}
        await connection.send(json.dumps(init))
        assert (await hear(connection))["type"] == "connection_ack"
        opened = Subscriber(connection)
        try:
            yield opened
        finally:
            await opened.aclose()
