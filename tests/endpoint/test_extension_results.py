"""What extensions add to a response (`get_results`): in which order, and that it is there over each transport."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator  # noqa: TC003 - Strawberry reads annotations at run time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from websockets.asyncio.client import connect

from graph.library import FastGraphQL
from harness.waiting import HANG, within
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

JSON = "application/json"
EVENTS = "text/event-stream"
PARTS = "multipart/mixed;subscriptionSpec=1.0"


class First(SchemaExtension):
    """Tells when it was asked, and something that the next one tells as well."""

    def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
        self.over = False
        yield
        self.over = True

    def get_results(self) -> dict[str, Any]:
        return {"over": self.over, "who": "first", "both": "first", "one": 1}


class Second(SchemaExtension):
    """Sets its results in all the ways that there are."""

    def on_execute(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        yield
        result = self.execution_context.result
        if result is not None:
            result.extensions = {"one": "of the result", "set": True}
        self.execution_context.extensions_results["who"] = "the operation"

    async def get_results(self) -> dict[str, Any]:
        return {"both": "second"}


class Guard(SchemaExtension):
    """Refuses whatever is executed."""

    def on_execute(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        raise GraphQLError("not today")
        yield

    def get_results(self) -> dict[str, Any]:
        return {"guarded": True}


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    def fails(self) -> str:
        raise GraphQLError("as expected")

    hello: str = "world"


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def breaks(self) -> AsyncGenerator[int]:
        yield 1
        raise GraphQLError("as expected")


@asynccontextmanager
async def open_site(extensions: Sequence[type[SchemaExtension]], **options: Any) -> AsyncGenerator[httpx.AsyncClient]:
    """A client of a served router with these extensions."""
    app = FastAPI()
    app.include_router(
        FastGraphQL(strawberry.Schema(Query, None, Subscription, extensions=extensions), **options), prefix="/graphql"
    )
    async with serving(app) as port:
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG)
        async with http:
            yield http


async def told(http: httpx.AsyncClient, query: str, accept: str) -> list[dict[str, Any]]:
    """The results in an answer, whatever it is framed in."""
    answer = await http.post("/graphql", json={"query": query}, headers={"accept": accept})
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{") and line != "{}"]


@pytest.mark.parametrize("accept", [JSON, EVENTS])
async def test_later_extensions_come_over_earlier_ones(accept: str) -> None:
    """Once the operation is over: over what is set on its result, and under what is set on the execution context."""
    async with open_site([First, Second]) as http:
        (answer,) = await told(http, "{ hello }", accept)
    assert answer["extensions"] == {"set": True, "one": 1, "both": "second", "who": "the operation", "over": True}


@pytest.mark.parametrize("as_strawberry", [False, True])
@pytest.mark.parametrize("query", ["{ hello }", "{ nothing }", "{", "{ fails }"])
async def test_errors_have_them_in_events_as_in_an_answer(query: str, *, as_strawberry: bool) -> None:
    """A refusal before or by a hook, and an error of a resolver."""
    async with open_site([First, Guard], as_strawberry=as_strawberry) as http:
        (answer,) = await told(http, query, JSON)
        (event,) = await told(http, query, EVENTS)
    assert answer["extensions"]["guarded"]
    assert event == answer


@pytest.mark.parametrize("accept", [EVENTS, PARTS])
async def test_a_stream_that_is_refused_or_breaks_has_them(accept: str) -> None:
    """Its last result, too."""
    async with open_site([First]) as http:
        *_, last = await told(http, "subscription { breaks }", accept)
    assert last["extensions"]["who"] == "first"
    assert last["errors"][0]["message"] == "as expected"
    assert last["extensions"]["over"] is False
    async with open_site([Guard]) as http:
        *_, last = await told(http, "subscription { breaks }", accept)
    assert last["extensions"] == {"guarded": True}
    assert last["errors"][0]["message"] == "not today"


async def test_a_websocket_has_no_place_for_them_with_an_error() -> None:
    """The protocol's ``error`` message has errors alone; its ``next`` messages have them."""
    async with open_site([First]) as http:
        url = f"ws://127.0.0.1:{http.base_url.port}/graphql"
        async with connect(url, subprotocols=["graphql-transport-ws"]) as socket, within("the end"):  # pyright: ignore[reportArgumentType] - a plain str will do
            await socket.send('{"type":"connection_init"}')
            await socket.send('{"id":"a","type":"subscribe","payload":{"query":"subscription { breaks }"}}')
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            assert json.loads(await socket.recv())["payload"]["extensions"]["who"] == "first"
            last = json.loads(await socket.recv())
    assert last["type"] == "error"
    assert [one["message"] for one in last["payload"]] == ["as expected"]
