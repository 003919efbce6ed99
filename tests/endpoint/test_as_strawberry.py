"""`as_strawberry`: what clients see that were written for Strawberry's own views, where ours are otherwise."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from strawberry import UNSET
from strawberry.extensions import SchemaExtension
from websockets.asyncio.client import connect

from harness.waiting import HANG, until, within
from tests.support.apps.pieces import Gates, make_pieces
from tests.support.apps.serving import serving
from tests.support.clients.streamed import Body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from starlette.requests import HTTPConnection

    from graph.endpoint.identity import Caller
    from graph.endpoint.websocket import OnConnect
    from graph.patterns.client import Client

BOOK = '{ book { id ... @defer(label: "rest") { title } } books(first: 2) @stream { id } }'
EVENTS = {"accept": "text/event-stream"}


class Traced(SchemaExtension):
    """Has results."""

    def get_results(self) -> dict[str, Any]:
        return {"traced": True}


class Site:
    """The endpoint behind a real server, and a client of it."""

    def __init__(self, gates: Gates, http: httpx.AsyncClient, port: int) -> None:
        self.gates = gates
        self.http = http
        self.port = port

    @asynccontextmanager
    async def read(self, query: str, headers: dict[str, str]) -> AsyncGenerator[Body]:
        """Send an operation, and read its response as it comes."""
        async with self.http.stream("POST", "/graphql", json={"query": query}, headers=headers) as response:
            yield Body(response)

    async def told(self, query: str, headers: dict[str, str]) -> list[dict[str, Any]]:
        """What stands in the parts, or the events, of an answer."""
        async with self.read(query, headers) as body:
            lines = (await body.rest()).decode().replace("\r\n", "\n").splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith(("{", "data: {"))]


@asynccontextmanager
async def open_site(client: Client, *, on_ws_connect: OnConnect | None = None) -> AsyncGenerator[Site]:
    """A served endpoint that answers as Strawberry's views."""
    gates = Gates()
    endpoint = make_pieces(client, gates, Traced, as_strawberry=True, on_ws_connect=on_ws_connect)
    async with endpoint, serving(endpoint) as port:
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG)
        async with http:
            yield Site(gates, http, port)


@pytest.mark.parametrize(
    ("accept", "extensions"),
    [("*/*", None), ("multipart/mixed, application/json", None), ("text/event-stream", {"traced": True})],
)
async def test_pieces_come_to_whoever_takes_them(
    client: Client, accept: str, extensions: dict[str, Any] | None
) -> None:
    """In Strawberry's format: each tells its path, lists without an index, and null where there is nothing."""
    async with open_site(client) as site:
        first, *rest = await site.told(BOOK, {"accept": accept})
        paths = {one["id"]: (one["path"], one.get("label")) for one in first["pending"]}
        assert sorted(paths.values()) == [(["book"], "rest"), (["books"], None)]
        assert first["data"] == {"book": {"id": 1}, "books": []}
        assert (first["extensions"], first["hasNext"]) == (extensions, True)
        patches = [one for piece in rest for one in piece.get("incremental", ())]
        assert all((one["path"], one["label"]) == paths[one["id"]] for one in patches)
        assert [item for one in patches for item in one.get("items", ())] == [{"id": 0}, {"id": 1}]
        assert [one["data"] for one in patches if "data" in one] == [{"title": "Bread"}]
        assert [piece["extensions"] for piece in rest] == [None] * len(rest)
        assert {one["id"] for piece in rest for one in piece.get("completed", ())} == {*paths}


async def test_who_says_otherwise_gets_it(client: Client) -> None:
    """A format that a client names, and JSON where nothing else is named."""
    async with open_site(client) as site:
        first, *_ = await site.told(BOOK, {"accept": "multipart/mixed;incrementalSpec=v0.2"})
        assert first["extensions"] == {"traced": True}
        first, *rest = await site.told(BOOK, {"accept": "multipart/mixed;deferSpec=20220824"})
        assert "pending" not in first
        assert all("id" not in one for piece in rest for one in piece.get("incremental", ()))
        (whole,) = await site.told(BOOK, {"accept": "application/json"})
        assert whole["data"] == {"book": {"id": 1, "title": "Bread"}, "books": [{"id": 0}, {"id": 1}]}


async def test_events_begin_before_their_operation_does(client: Client) -> None:
    """So nothing that resolvers set is in the head of the response."""
    async with open_site(client) as site, site.read('{ book(cookie: "yes") { review } }', EVENTS) as body:
        assert body.response.status_code == 200
        assert "set-cookie" not in body.response.headers
        assert await body.until(b":\n\n") == b":\n\n"
        site.gates.open.set()
        raw = await body.rest()
        assert b'data: {"data":{"book":{"review":"Bread is good"}},"extensions":{"traced":true}}\n\n' in raw
        assert raw.endswith(b"event: complete\ndata: \n\n")


async def test_a_client_that_leaves_them_ends_a_query_and_no_mutation(client: Client) -> None:
    """As with any other answer."""
    async with open_site(client) as site:
        async with site.read('mutation { rename(title: "Soup") { title } }', EVENTS):
            await until(lambda: "renaming" in site.gates.seen)
        async with site.read("{ book { review } }", EVENTS):
            await until(site.gates.reached.is_set)  # events begin before their operation does
        await until(lambda: "cancelled" in site.gates.seen)  # so the server has seen the first one leave, too
        site.gates.open.set()
        await until(lambda: "renamed" in site.gates.seen)


@pytest.mark.parametrize(
    ("told", "acknowledged"),
    [(None, {"payload": None}), (UNSET, {}), ({"a": 1}, {"payload": {"a": 1}})],
)
async def test_none_is_a_null_payload_of_the_acknowledgement(
    client: Client, told: Any, acknowledged: dict[str, Any]
) -> None:
    """And Strawberry's `UNSET` none."""

    def on_ws_connect(_caller: Caller, _connection: HTTPConnection, _payload: Mapping[str, Any]) -> Any:
        return told

    async with open_site(client, on_ws_connect=on_ws_connect) as site:
        url = f"ws://127.0.0.1:{site.port}/graphql"
        async with connect(url, subprotocols=["graphql-transport-ws"]) as socket, within("the answer"):  # pyright: ignore[reportArgumentType] - a plain str will do
            await socket.send('{"type":"connection_init"}')
            assert json.loads(await socket.recv()) == {"type": "connection_ack", **acknowledged}
