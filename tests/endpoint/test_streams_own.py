"""Subscriptions not declared as shared: each has its caller, its connection and all hooks, and shares nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator  # noqa: TC003 - Strawberry reads annotations at run time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from starlette.requests import HTTPConnection
from strawberry.extensions import SchemaExtension
from strawberry.types import Info  # noqa: TC002 - the same

from graph.endpoint.declare import live
from graph.endpoint.document import OperationRequest, Operations
from graph.endpoint.execution import Engine, EventExecutor
from graph.endpoint.identity import Caller
from graph.endpoint.subscriptions import Streams
from harness.waiting import until
from tests.support.apps.live import Notes
from tests.support.apps.small import make_admission

if TYPE_CHECKING:
    from graph.patterns.client import Client

REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="none")
PLACE = HTTPConnection(
    {"type": "websocket", "path": "/", "query_string": b"", "headers": [(b"x-tenant", b"acme")], "subprotocols": []}
)


class Recorder(SchemaExtension):
    """Notes its hooks, and adds to every result."""

    seen: list[str]

    async def on_operation(self) -> AsyncIterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
        self.seen = self.execution_context.context["seen"]
        self.seen.append("operation")
        yield
        await asyncio.sleep(0)
        self.seen.append("operation over")

    def on_execute(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        self.seen.append("execute")
        yield
        self.seen.append("execute over")

    def on_stream_result(self, result: Any) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        self.seen.append(f"result {result.data}")
        yield

    def get_results(self) -> dict[str, Any]:
        return {"traced": len(self.seen)}


@strawberry.type
class Query:
    """What can be read."""

    hello: str = "world"


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def whoami(self, info: Info, times: int = 1) -> AsyncGenerator[str]:
        context = info.context
        for n in range(times):
            context["steps"] = context.get("steps", 0) + 1
            tenant = context["connection"].headers.get("x-tenant")
            yield f"{context['caller'].user} {tenant} {REQUEST_ID.get()} {context['steps']} {n}"

    @strawberry.subscription(metadata=live(shared=True))
    async def said_to_be_shared(self, info: Info) -> AsyncGenerator[str]:
        yield str(info.context["caller"].user)

    @strawberry.subscription
    async def refused(self) -> AsyncGenerator[str]:
        raise ValueError("secret")
        yield ""

    @strawberry.subscription
    async def waits(self, info: Info) -> AsyncGenerator[str]:
        try:
            await asyncio.Event().wait()
            yield ""
        finally:
            info.context["seen"].append("source closed")


class App:
    """The schema behind streams whose context is a dict, as many applications have it."""

    def __init__(self, client: Client) -> None:
        self.seen: list[str] = []
        schema = strawberry.Schema(
            Query, subscription=Subscription, extensions=[Recorder], execution_context_class=EventExecutor
        )
        core = schema._schema
        engine = Engine(schema, operations=Operations(core), admission=make_admission(client), context=self.context)
        self.streams = Streams(engine)

    def context(self, caller: Caller, connection: HTTPConnection, response: object) -> dict[str, Any]:
        return {"caller": caller, "connection": connection, "response": response, "seen": self.seen}

    async def follow(self, query: str, user: str | None) -> Notes:
        sink = Notes()
        request = OperationRequest(query, None, None, None)
        sink.close = await self.streams.run(request, Caller("here", user=user, token=user), PLACE, sink)
        return sink


@pytest.fixture
async def app(client: Client) -> AsyncIterator[App]:
    """Streams that are closed after the test."""
    app = App(client)
    yield app
    await app.streams.close()
    assert app.streams.groups == 0


async def test_it_has_its_caller_its_connection_and_its_context(app: App) -> None:
    """The source reads who asks, the headers of the socket, a context variable, and what it put into its context."""
    REQUEST_ID.set("7")
    ada, bob = [await app.follow("subscription { whoami(times: 2) }", user) for user in ("ada", "bob")]
    for sink, name in ((ada, "ada"), (bob, "bob")):
        await sink.end()
        assert sink.values("whoami") == [f"{name} acme 7 1 0", f"{name} acme 7 2 1"]
        assert sink.ended == "complete"


async def test_hooks_are_around_it_and_around_each_result(app: App) -> None:
    """Hooks run in the order in which Strawberry runs them, and what an extension tells is in each result."""
    sink = await app.follow("subscription { whoami }", "ada")
    await sink.end()
    await until(lambda: app.streams.groups == 0)
    result = "result {'whoami': 'ada acme none 1 0'}"
    assert app.seen == ["operation", "execute", "execute over", result, "operation over"]
    assert '"extensions":{"traced":3}' in sink.payloads[0]


async def test_what_cannot_be_checked_is_not_shared(app: App) -> None:
    """A field is declared to be shared, but a dict cannot tell who read the caller: everybody gets an own one."""
    ada, bob = [await app.follow("subscription { saidToBeShared }", user) for user in ("ada", "bob")]
    for sink, name in ((ada, "ada"), (bob, "bob")):
        await sink.end()
        assert sink.values("saidToBeShared") == [name]


async def test_leaving_closes_the_source_and_the_hooks(app: App) -> None:
    """A client that goes away ends its source; the hooks around it are left in order, awaiting what they await."""
    sink = await app.follow("subscription { waits }", "ada")
    await until(lambda: "execute over" in app.seen)
    assert sink.close is not None
    sink.close()
    sink.close()
    await until(lambda: app.streams.groups == 0)
    assert app.seen[-1] == "source closed"
    assert sink.ended is None


async def test_a_source_that_breaks_tells_a_masked_error(app: App, caplog: pytest.LogCaptureFixture) -> None:
    """The client learns an id, the log the reason."""
    sink = await app.follow("subscription { refused }", "ada")
    await sink.end()
    assert sink.code == "INTERNAL_SERVER_ERROR"
    assert "secret" not in (sink.ended or "")
    assert "secret" in caplog.text
