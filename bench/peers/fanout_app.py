"""The schema of the fan-out benchmark, behind this project's endpoint, behind stock Strawberry, and as ready strings.

``POST /publish?events=N`` has the server publish that many events, each its own way; every event carries a number.
``MODE`` chooses the server: ours, stock or bare. With ``?key=`` in the subscription each client can have its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncGenerator  # noqa: TC003 - Strawberry reads annotations at run time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import redis.asyncio
import strawberry
from strawberry.asgi import GraphQL

from bench.peers.connections import serve
from graph.endpoint import GraphQLEndpoint
from graph.endpoint.admission import Admission
from graph.endpoint.declare import live
from graph.endpoint.execution import EventExecutor
from graph.endpoint.identity import Anonymous
from graph.patterns.broker import Broker, Event, Topic
from graph.patterns.client import open_client
from graph.patterns.limiter import Limiter

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

TOPIC = Topic("news")
READY = '{"id":"1","type":"next","payload":{"data":{"news":{"number":%d,"title":"%s","author":{"name":"Ann"}}}}}'
TITLE = "x" * 60


@strawberry.type
class Author:
    """Somebody."""

    name: str


@strawberry.type
class News:
    """An event."""

    number: int
    title: str
    author: Author


def news(data: dict[str, Any]) -> News:
    """Read what was published."""
    return News(number=data["number"], title=data["title"], author=Author(name=data["author"]["name"]))


def _news(event: Event) -> News:
    return news(event.data)


def event(number: int) -> dict[str, Any]:
    """What is published."""
    return {"number": number, "title": TITLE, "author": {"name": "Ann"}}


@strawberry.type
class Query:
    """Nothing."""

    ok: bool = True


class Context:
    """Says that no resolver reads who asks, so that identical subscriptions are shared."""

    viewer_touched = False


BROKER: list[Broker] = []
QUEUES: set[asyncio.Queue[bytes]] = set()


@strawberry.type
class OurSubscription:
    """Over the broker."""

    @strawberry.subscription(metadata=live(shared=True, once=True))
    async def news(self, key: str = "") -> AsyncGenerator[News]:  # noqa: ARG002 - makes subscriptions differ
        """Every event."""
        async with BROKER[0].subscribe(TOPIC, patient=True) as events:
            async for one in events:
                yield one.once(_news)


@strawberry.type
class StockSubscription:
    """Over one Redis listener and a queue for each subscriber."""

    @strawberry.subscription
    async def news(self, key: str = "") -> AsyncGenerator[News]:  # noqa: ARG002 - the same
        """Every event."""
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        QUEUES.add(queue)
        try:
            while True:
                yield news(json.loads(await queue.get()))
        finally:
            QUEUES.discard(queue)


class Server:
    """Sends /graphql to `graphql` and /publish to `publish`."""

    def __init__(self, graphql: ASGIApp, publish: Any, lifespan: Any) -> None:
        self._graphql = graphql
        self._publish = publish
        self._lifespan = lifespan
        self._number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await receive()
            async with self._lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"] == "/publish":
            count = int(parse_qs(scope["query_string"].decode())["events"][0])
            first, self._number = self._number + 1, self._number + count
            await asyncio.gather(*(self._publish(number) for number in range(first, first + count)))
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._graphql(scope, receive, send)


def ours() -> Server:
    """This project."""
    holder: list[ASGIApp] = []

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        async with open_client(os.environ["REDIS_URL"]) as client, Broker(client) as broker:
            BROKER.append(broker)
            schema = strawberry.Schema(Query, subscription=OurSubscription, execution_context_class=EventExecutor)
            authenticator = Anonymous()
            admission = Admission(Limiter(client), budget=authenticator.budget, anonymous=1_000_000_000)
            endpoint = GraphQLEndpoint(
                schema,
                authenticator=authenticator,
                admission=admission,
                context=lambda _caller, _connection, _response: Context(),
            )
            async with endpoint:
                holder.append(endpoint)
                yield

    async def graphql(scope: Scope, receive: Receive, send: Send) -> None:
        await holder[0](scope, receive, send)

    async def publish(number: int) -> None:
        await BROKER[0].publish(TOPIC, event(number))

    return Server(graphql, publish, lifespan)


def stock() -> Server:
    """Strawberry as its documentation has it, with the usual way to share one Redis listener."""
    connection: Any = redis.asyncio.Redis(unix_socket_path=os.environ["REDIS"])

    async def listen() -> None:
        async with connection.pubsub() as pubsub:
            await pubsub.subscribe("stock:news")
            async for message in pubsub.listen():
                if message["type"] == "message":
                    for queue in QUEUES:
                        queue.put_nowait(message["data"])

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        task = asyncio.create_task(listen())
        yield
        task.cancel()

    async def publish(number: int) -> None:
        await connection.publish("stock:news", json.dumps(event(number)))

    schema = strawberry.Schema(Query, subscription=StockSubscription)
    return Server(GraphQL(schema), publish, lifespan)


def bare() -> Server:
    """The ceiling: a ready string, sent by the same loop over all sockets, without Redis or GraphQL."""
    sockets: dict[int, Send] = {}

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        yield

    async def graphql(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            return
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
        try:
            while (message := await receive())["type"] == "websocket.receive":
                if '"connection_init"' in message["text"]:
                    await send({"type": "websocket.send", "text": '{"type":"connection_ack"}'})
                elif '"subscribe"' in message["text"]:
                    sockets[id(scope)] = send
        finally:
            sockets.pop(id(scope), None)

    async def publish(number: int) -> None:
        text = READY % (number, TITLE)
        for send in tuple(sockets.values()):
            await send({"type": "websocket.send", "text": text})

    return Server(graphql, publish, lifespan)


def app() -> Server:
    """The server that ``MODE`` names."""
    return {"ours": ours, "stock": stock, "bare": bare}[os.environ["MODE"]]()


if __name__ == "__main__":  # with the connections of ``graph serve``
    serve(app(), int(sys.argv[1]))
