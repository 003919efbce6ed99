"""`on_stream_result`: what extensions see, and may change, over transports that stream: as under Strawberry."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator  # noqa: TC003 - Strawberry reads annotations at run time
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from graphql import GraphQLError
from strawberry.extensions import SchemaExtension
from strawberry.fastapi import GraphQLRouter
from strawberry.schema.config import StrawberryConfig
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from websockets.asyncio.client import connect

from graph.library import FastGraphQL
from harness.waiting import HANG, within
from tests.support.apps.serving import serving

PROTOCOLS = (GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL)
SEEN: list[str] = []


class Watcher(SchemaExtension):
    """Notes what it sees, and changes it."""

    def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
        yield
        SEEN.append("over")

    def on_stream_result(self, result: Any) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        SEEN.append(f"{type(result).__name__} {result.data} {result.extensions}")
        if result.errors:
            result.errors = [GraphQLError("changed")]
        elif result.data:
            result.data = dict.fromkeys(result.data, "changed")
        yield

    def get_results(self) -> dict[str, Any]:
        return {"traced": True}


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    def hello(self) -> str:
        return "world"

    @strawberry.field
    def fails(self) -> str:
        raise GraphQLError("as expected")


@strawberry.type
class Mutation:
    """What can be changed."""

    @strawberry.mutation
    def change(self) -> str:
        return "done"


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def count(self, to: int) -> AsyncGenerator[int]:
        yield to


@cache
def schema() -> strawberry.Schema:
    """With the extensions; made once."""
    config = StrawberryConfig(enable_experimental_incremental_execution=True)
    return strawberry.Schema(Query, Mutation, Subscription, extensions=[Watcher], config=config)


@cache
def site() -> FastAPI:
    """An app with both routers, made once."""
    app = FastAPI()
    app.include_router(FastGraphQL(schema()), prefix="/ours")
    app.include_router(FastGraphQL(schema(), as_strawberry=True), prefix="/same")
    app.include_router(GraphQLRouter(schema(), subscription_protocols=PROTOCOLS), prefix="/strawberry")
    return app


@asynccontextmanager
async def open_site() -> AsyncGenerator[int]:
    """The port of that app."""
    async with serving(site()) as port:
        yield port


async def by_events(port: int, path: str, query: str) -> list[dict[str, Any]]:
    """The results in a stream of server-sent events."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG) as http:
        answer = await http.post(path, json={"query": query}, headers={"accept": "text/event-stream"})
    return [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]


async def by_socket(port: int, path: str, query: str) -> list[dict[str, Any]]:
    """The results over a WebSocket."""
    url = f"ws://127.0.0.1:{port}{path}"
    results: list[dict[str, Any]] = []
    async with connect(url, subprotocols=["graphql-transport-ws"]) as socket, within("the end"):  # pyright: ignore[reportArgumentType] - a plain str will do
        await socket.send('{"type":"connection_init"}')
        await socket.send(json.dumps({"id": "a", "type": "subscribe", "payload": {"query": query}}))
        async for message in socket:
            told = json.loads(message)
            if told["type"] == "next":
                results.append(told["payload"])
            elif told["type"] == "error":
                results.append({"data": None, "errors": told["payload"], "extensions": {"traced": True}})
            if told["type"] in {"complete", "error"}:
                break
    return results


def shown(results: list[dict[str, Any]]) -> list[Any]:
    """What is the same in an answer of ours and of Strawberry's."""
    return [
        (one.get("data"), [error["message"] for error in one.get("errors", ())], one.get("extensions"))
        for one in results
    ]


CHANGED: list[Any] = [({"hello": "changed"}, [], {"traced": True})]
MADE: list[Any] = [({"change": "changed"}, [], {"traced": True})]
FAILED: list[Any] = [(None, ["changed"], {"traced": True})]


@pytest.mark.parametrize("ask", [by_events, by_socket])
@pytest.mark.parametrize(
    ("query", "results", "kind"),
    [
        ("{ hello }", CHANGED, "ExecutionResult {'hello': 'world'}"),
        ("mutation { change }", MADE, "ExecutionResult {'change': 'done'}"),
        ("{ hello ... @defer(if: false) { __typename } }", None, None),
        ("{ fails }", FAILED, "ExecutionResult None"),
        ("{ nothing }", FAILED, "PreExecutionError None"),
        ('subscription { count(to: "b") }', FAILED, "PreExecutionError None"),
    ],
)
async def test_the_one_result_of_an_operation_is_seen_and_may_be_changed(
    ask: Any, query: str, results: Any, kind: str | None
) -> None:
    """A query, a mutation and what is refused have one, within `on_operation`, with what extensions add to it."""
    async with open_site() as port:
        told: list[Any] = []
        for path in ("/ours", "/same", "/strawberry"):
            SEEN.clear()
            got = shown(await ask(port, path, query))
            told.append((got, [one for one in SEEN if one != "over"]))
            assert path == "/strawberry" or SEEN[-1] == "over"
    assert told[0] == told[1] == told[2]
    assert results is None or told[0] == (results, [f"{kind} {{'traced': True}}"])


async def test_an_ordinary_answer_is_no_stream() -> None:
    """Nothing is called, as under Strawberry."""
    async with open_site() as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG) as http:
        for path in ("/ours", "/strawberry"):
            SEEN.clear()
            answer = await http.post(path, json={"query": "{ hello }"}, headers={"accept": "application/json"})
            assert answer.json() == {"data": {"hello": "world"}, "extensions": {"traced": True}}
            assert SEEN == ["over"]
