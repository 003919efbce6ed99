"""Live queries whose documents are named by hash or id, and whose answers have megabytes, over every transport."""

from __future__ import annotations

import hashlib
import json
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import strawberry
import websockets

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.declare import cached
from graph.endpoint.document import Persisted
from graph.endpoint.identity import Anonymous
from graph.endpoint.kept import KeptAnswers
from graph.endpoint.websocket import SUBPROTOCOL
from graph.patterns.cache import ByteCache, Cache
from harness.subscriber import hear
from harness.waiting import HANG, within
from tests.support.apps.serving import serving
from tests.support.apps.small import make_admission

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from graph.patterns.client import Client

ROWS = 5000
WAYS = ("websocket", "events by GET", "events by POST", "multipart")
LIVE = "query($rows: Int!, $patch: Boolean!) @live(throttle: 0, patch: $patch) { rows(count: $rows) { id text } }"
TRUSTED = "query @live(throttle: 0) { rows(count: 1) { id } }"


@strawberry.type
class Row:
    """A thousand characters; those of the first row change."""

    id: int
    text: str


def text(edition: int) -> str:
    """What stands in a row."""
    return f"{edition} {'x' * 998}"


class Shelf:
    """An endpoint of rows, served at `port`, and a client of it."""

    port: int
    http: httpx.AsyncClient

    def __init__(self, client: Client) -> None:
        self.cache = cache = Cache(client, beta=0)
        self.edition = 1
        self.stack = AsyncExitStack()
        shelf = self

        @strawberry.type
        class Query:
            @strawberry.field(metadata=cached(60))
            async def rows(self, count: int) -> list[Row]:
                async def load() -> int:
                    return shelf.edition

                edition = await cache.get("edition", load, tags=["edition"], ttl=60)
                return [Row(id=number, text=text(edition if number == 0 else 0)) for number in range(count)]

        self.answers, nobody = ByteCache(client, cache.generations), Anonymous()
        self.endpoint = GraphQLEndpoint(
            strawberry.Schema(Query),
            admission=make_admission(client),
            authenticator=nobody,
            context=lambda _caller, _connection, _response: Sight(),
            kept=KeptAnswers(client, self.answers),
            persisted=Persisted(client, trusted={"first": TRUSTED}),
        )

    async def write(self) -> None:
        """Make the next edition."""
        async with self.cache.invalidating("edition"):
            self.edition += 1

    async def follow(self, way: str, payload: dict[str, Any]) -> Callable[[], Any]:
        """Begin an operation; what is returned waits for the next result, or the errors that it was refused with."""
        if way == "websocket":
            url = f"ws://127.0.0.1:{self.port}/graphql"
            protocols = [websockets.Subprotocol(SUBPROTOCOL)]
            socket = await self.stack.enter_async_context(
                websockets.connect(url, subprotocols=protocols, max_size=None)
            )
            await socket.send('{"type":"connection_init"}')
            await hear(socket)
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))

            async def message() -> Any:
                return (await hear(socket))["payload"]

            return message
        events = way != "multipart"
        headers = {"accept": "text/event-stream" if events else "multipart/mixed;subscriptionSpec=1.0"}
        if way == "events by GET":
            params = {name: one if isinstance(one, str) else json.dumps(one) for name, one in payload.items()}
            request = self.http.stream("GET", "/graphql", params=params, headers=headers)
        else:
            request = self.http.stream("POST", "/graphql", json=payload, headers=headers)
        lines = (await self.stack.enter_async_context(request)).aiter_lines()

        async def line() -> Any:
            while not (found := (await anext(lines)).removeprefix("data: ")).startswith('{"'):
                pass
            result = json.loads(found)
            return result.get("payload", result)

        return line


class Sight:
    """What a resolver sees; nothing asks who is there."""

    viewer_touched = False


@pytest.fixture
async def shelf(client: Client) -> AsyncIterator[Shelf]:
    """One process behind a real server."""
    made = Shelf(client)
    async with serving(made.endpoint) as port, httpx.AsyncClient(timeout=HANG) as http, made.stack:
        made.port, made.http = port, http
        http.base_url = f"http://127.0.0.1:{port}"
        yield made
    await made.endpoint.close()
    await made.answers.close()
    await made.cache.close()


def named(document: str) -> dict[str, Any]:
    """The extensions that name the `document` by its hash."""
    return {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(document.encode()).hexdigest()}}


@pytest.mark.heavy
@pytest.mark.parametrize("patch", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_answers_of_five_megabytes(shelf: Shelf, way: str, *, patch: bool) -> None:
    """They come whole and in order; so they do where patches were asked for: comparing them would take too long."""
    async with within("three answers"):
        following = await shelf.follow(way, {"query": LIVE, "variables": {"rows": ROWS, "patch": patch}})
        for edition in range(1, 4):
            result = await following()
            rows = result["data"]["rows"]
            assert [row["id"] for row in rows] == list(range(ROWS))
            assert [row["text"] for row in rows[:2]] == [text(edition), text(0)]
            assert result.get("revision") == (1 if patch else None)
            await shelf.write()


@pytest.mark.parametrize("way", WAYS)
async def test_a_live_document_by_its_hash(shelf: Shelf, way: str) -> None:
    """Unknown at first, stored when it is sent once with its hash, then followed by the hash alone."""
    payload = {"extensions": named(LIVE), "variables": {"rows": 2, "patch": False}}
    async with within("answers"):
        refused = await (await shelf.follow(way, payload))()
        errors = refused if way == "websocket" else refused["errors"]
        assert errors[0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
        first = await shelf.follow(way, {**payload, "query": LIVE})
        assert (await first())["data"]["rows"][0]["text"][0] == "1"
        second = await shelf.follow(way, payload)
        assert (await second())["data"]["rows"][0]["text"][0] == "1"
        await shelf.write()
        for following in (first, second):
            assert (await following())["data"]["rows"][0]["text"][0] == "2"
        live = shelf.endpoint.live
        assert live is not None
        assert len(live) == 1


@pytest.mark.parametrize("way", WAYS)
async def test_a_trusted_live_document(shelf: Shelf, way: str) -> None:
    """By its id in the manifest, and by its hash."""
    async with within("answers"):
        for payload in ({"documentId": "first"}, {"extensions": named(TRUSTED)}):
            assert (await (await shelf.follow(way, payload))())["data"] == {"rows": [{"id": 0}]}
