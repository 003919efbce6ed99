"""A small schema of subscriptions over a broker, and sinks that note what they are handed, for the tests of streams."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator  # noqa: TC003 - Strawberry reads annotations at run time
from typing import TYPE_CHECKING, Any

import strawberry
from starlette.requests import HTTPConnection
from strawberry.extensions import FieldExtension
from strawberry.types import Info

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.admission import RateLimit
from graph.endpoint.declare import live
from graph.endpoint.document import OperationRequest
from graph.endpoint.execution import EventExecutor
from graph.endpoint.identity import Caller
from graph.endpoint.websocket import SocketLimits
from graph.errors import Unauthenticated
from graph.patterns.broker import Broker, Delivery, Event, Topic
from harness.waiting import until
from tests.support.apps.small import Tokens, make_admission

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client import Client

NEWS = Topic("test:news", Delivery.EVERY)
BOARD = Topic("test:board", Delivery.LATEST)
NOWHERE = HTTPConnection({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})


class WatchedTokens(Tokens):
    """Sessions that a test can end."""

    def __init__(self) -> None:
        self.watchers: list[Callable[[], None]] = []

    def watch(self, caller: Caller, on_ended: Callable[[], None]) -> Callable[[], None]:
        if not caller.signed_in:
            return lambda: None
        self.watchers.append(on_ended)
        return lambda: self.watchers.remove(on_ended)


class Gated(FieldExtension):
    """Lets a source open once the gate of the app is."""

    async def resolve_async(self, next_: Callable[..., Any], source: Any, info: Any, **kwargs: Any) -> Any:
        await info.context.app.gate.wait()
        return next_(source, info, **kwargs)


class LiveContext:
    """Notes who was asked for, as the product's context does."""

    def __init__(self, app: LiveApp, caller: Caller) -> None:
        self.app = app
        self._caller = caller
        self.viewer_touched = False

    @property
    def caller(self) -> Caller:
        self.viewer_touched = True
        return self._caller


LiveInfo = Info[LiveContext, None]


@strawberry.type
class Author:
    """Something nested."""

    name: str


@strawberry.type
class News:
    """An event of a topic on which every event counts."""

    cursor: str
    text: str
    gap: bool

    @strawberry.field
    def author(self, info: LiveInfo) -> Author:
        info.context.app.executions += 1
        return Author(name=f"author of {self.text}")

    @strawberry.field
    def mine(self, info: LiveInfo) -> str:
        return f"{info.context.caller.user}: {self.text}"

    @strawberry.field
    async def slowly(self, info: LiveInfo) -> str:
        app, user = info.context.app, info.context.caller.user
        app.waiting += 1
        await app.gate.wait()
        app.waiting -= 1
        return f"{user}: {self.text}"

    @strawberry.field
    async def later(self, info: LiveInfo) -> str:
        app = info.context.app
        app.executions += 1
        app.waiting += 1
        try:
            await app.gate.wait()
        finally:
            app.waiting -= 1
        if self.text == "breaks":
            raise LookupError("secret")
        return f"later: {self.text}"

    @strawberry.field
    def twice(self, info: LiveInfo, word: str) -> str:
        info.context.app.executions += 1
        return f"{word} {word}"

    @strawberry.field
    def bug(self) -> str:
        raise LookupError("secret")


def _news(event: Event) -> News:
    return News(cursor=event.cursor, text=str(event.data), gap=event.gap)


@strawberry.type
class Board:
    """A state, whose reading may take a while."""

    seen: strawberry.Private[int]

    @strawberry.field
    async def value(self, info: LiveInfo) -> int:
        await asyncio.sleep(info.context.app.lag * random.random())
        return self.seen


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    def hello(self) -> str:
        return "world"


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription(metadata=live(shared=True, cursor="after"))
    async def news(self, info: LiveInfo, after: str | None = None) -> AsyncGenerator[News]:
        app = info.context.app
        async with app.broker.subscribe(NEWS, after) as events:
            app.sources += 1
            try:
                async for event in events:
                    yield News(cursor=event.cursor, text=str(event.data), gap=event.gap)
            finally:
                app.sources -= 1

    @strawberry.subscription(metadata=live(shared=True, cursor="after"))
    async def turning(self, info: LiveInfo, after: str | None = None) -> AsyncGenerator[News]:
        async with info.context.app.broker.subscribe(NEWS, after) as events:
            info.context.app.sources += 1
            async for event in events:
                yield News(cursor=event.cursor, text=str(event.data), gap=event.gap)
                if "turn" in str(event.data):
                    assert info.context.caller is not None

    @strawberry.subscription(metadata=live(shared=True, cursor="after"))
    async def ending(self, info: LiveInfo, after: str | None = None) -> AsyncGenerator[News]:
        """Events until "end", or "half" for those who do not resume; those who do get each once the gate is open."""
        app = info.context.app
        async with app.broker.subscribe(NEWS, after) as events:
            app.sources += 1
            async for event in events:
                if after is not None:
                    await app.gate.wait()
                if event.data == "end" or (event.data == "half" and after is None):
                    raise LookupError("secret")
                yield News(cursor=event.cursor, text=str(event.data), gap=event.gap)

    @strawberry.subscription(metadata=live(shared=True, once=True))
    async def about(self, info: LiveInfo, word: str) -> AsyncGenerator[News]:
        """Events that begin with `word`."""
        app = info.context.app
        async with app.broker.subscribe(NEWS) as events:
            app.sources += 1
            async for event in events:
                if event.data.startswith(word):
                    yield event.once(_news)

    @strawberry.subscription(metadata=live(shared=True, state_first=True, latest=True))
    async def board(self, info: LiveInfo) -> AsyncGenerator[Board]:
        app = info.context.app
        async with app.broker.subscribe(BOARD) as events:
            app.states += 1
            yield Board(seen=app.value)
            async for _ in events:
                yield Board(seen=app.value)

    @strawberry.subscription(metadata=live(shared=True))
    async def private(self, info: LiveInfo) -> AsyncGenerator[str]:
        user = info.context.caller.user
        if user is None:
            raise Unauthenticated("Sign in first")
        async with info.context.app.broker.subscribe(NEWS) as events:
            info.context.app.sources += 1
            async for event in events:
                yield f"{user}: {event.data}"

    @strawberry.subscription(metadata=live(shared=True))
    async def quiet(self, info: LiveInfo) -> AsyncGenerator[str]:
        user = info.context.caller.user
        async with info.context.app.broker.subscribe(NEWS) as events:
            info.context.app.sources += 1
            try:
                async for event in events:
                    yield f"{user}: {event.data}"
            finally:
                info.context.app.sources -= 1

    @strawberry.subscription(metadata=live(shared=True), extensions=[Gated()])
    async def gated(self) -> AsyncGenerator[int]:
        yield 1

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int]:
        yield 1
        raise LookupError("secret")

    @strawberry.subscription
    async def slow(self, info: LiveInfo) -> AsyncGenerator[int]:
        yield 1
        await asyncio.sleep(60)


class Notes:
    """A `Sink` that notes what it is handed."""

    def __init__(self) -> None:
        self.payloads: list[str] = []
        self.cursors: list[str | None] = []
        self.ended: str | None = None
        self.close: Callable[[], None] | None = None
        self.busy = False

    def next(self, payload: str, cursor: str | None = None) -> None:
        assert self.ended is None
        self.payloads.append(payload)
        self.cursors.append(cursor)

    def latest(self, payload: str, cursor: str | None = None) -> None:
        self.next(payload, cursor)

    async def drained(self) -> None:
        """Wait for nothing: what is handed over is noted."""

    def error(self, errors: str, extensions: str = "") -> None:
        assert self.ended is None
        self.ended = errors

    def complete(self) -> None:
        assert self.ended is None
        self.ended = "complete"

    @property
    def code(self) -> str:
        """The code of the error that ended it."""
        assert self.ended is not None
        return str(json.loads(self.ended)[0]["extensions"]["code"])

    def values(self, *path: str | int) -> list[Any]:
        """What the results say at `path`."""
        found: list[Any] = []
        for payload in self.payloads:
            value = json.loads(payload)["data"]
            for name in path:
                value = value[name]
            found.append(value)
        return found

    async def until(self, count: int) -> None:
        """Wait for `count` results."""
        await until(lambda: len(self.payloads) >= count)

    async def end(self) -> None:
        """Wait for the end."""
        await until(lambda: self.ended is not None)


class LiveApp:
    """The schema, its streams, and what its resolvers did."""

    def __init__(self, client: Client, broker: Broker, **limits: Any) -> None:
        admission = make_admission(client, **limits)
        self.broker = broker
        self.lag = 0.0
        self.executions = self.sources = self.states = self.value = self.waiting = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.schema = strawberry.Schema(
            Query,
            subscription=Subscription,
            extensions=[lambda: RateLimit(admission)],
            execution_context_class=EventExecutor,
        )
        self.authenticator = WatchedTokens()
        self.endpoint = GraphQLEndpoint(
            self.schema,
            authenticator=self.authenticator,
            admission=admission,
            context=lambda caller, _connection, _response: LiveContext(self, caller),
            sockets=SocketLimits(queue=20),
            keep_alive=0.05,
        )
        self.streams = self.endpoint.streams

    async def follow(
        self, query: str, sink: Notes | None = None, user: str | None = None, address: str = "here", **variables: Any
    ) -> Notes:
        """Run `query` for `user` into a sink of its own."""
        sink = sink or Notes()
        request = OperationRequest(query, variables or None, None, None)
        sink.close = await self.streams.run(request, Caller(address, user=user, token=user), NOWHERE, sink)
        return sink

    async def publish(self, *texts: str) -> list[str]:
        """Publish news; give their cursors."""
        return [str(await self.broker.publish(NEWS, text)) for text in texts]

    async def change(self, value: int) -> None:
        """Change the state."""
        self.value = value
        await self.broker.publish(BOARD, value)
