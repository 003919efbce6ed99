"""Live queries over every transport, from a served endpoint: frames, methods, refusals and ends."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator  # noqa: TC003 - Strawberry reads annotations at run time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import orjson
import pytest
import strawberry
import websockets

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.declare import cached, live
from graph.endpoint.identity import Anonymous
from graph.endpoint.kept import KeptAnswers
from graph.endpoint.websocket import SUBPROTOCOL, SocketLimits
from graph.patterns.cache import ByteCache, Cache
from harness.subscriber import hear
from harness.waiting import HANG, until, within
from tests.support.apps.answers import AnswersApp
from tests.support.apps.serving import serving
from tests.support.apps.small import make_admission
from tests.support.clients.streamed import Body
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.client import Client

THING = 'query @live(throttle: 0) { thing(key: "a") { version } }'
SSE = {"accept": "text/event-stream"}
MIXED = {"accept": "multipart/mixed;subscriptionSpec=1.0, application/json"}


class Site:
    """A served endpoint and a client of it."""

    def __init__(self, app: AnswersApp, http: httpx.AsyncClient, port: int) -> None:
        self.app = app
        self.http = http
        self.port = port

    async def write(self) -> None:
        """Change the thing."""
        async with self.app.cache.invalidating("a"):
            self.app.truth.versions["a"] += 1

    @asynccontextmanager
    async def stream(self, method: str, headers: dict[str, str]) -> AsyncGenerator[Body]:
        """Follow the thing by one response."""
        sent: dict[str, Any] = {"json": {"query": THING}} if method == "POST" else {"params": {"query": THING}}
        async with self.http.stream(method, "/graphql", headers=headers, **sent) as response:
            yield Body(response)


@pytest.fixture
async def site(client: Client) -> AsyncIterator[Site]:
    """One process behind a real server."""
    truth = Truth()
    truth.versions["a"] = 1
    app = AnswersApp(client, truth, sockets=SocketLimits())
    async with serving(app.endpoint) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG) as http:
            yield Site(app, http, port)
        await app.close()


def shown(version: int) -> str:
    """The answer at `version`."""
    return f'{{"data":{{"thing":{{"version":{version}}}}}}}'


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_server_sent_events(site: Site, method: str) -> None:
    """Each answer is a `next` event, by GET too, as an EventSource asks; the query ends with the connection."""
    live = site.app.endpoint.live
    assert live is not None
    async with site.stream(method, SSE) as body:
        assert body.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        for version in range(1, 4):
            await body.until(f"event: next\ndata: {shown(version)}\n\n".encode())
            await site.write()
    await until(lambda: len(live) == 0)


async def test_an_event_source_that_comes_again(site: Site) -> None:
    """Whatever `Last-Event-ID` it sends: the answer as it stands, then each change; of two operations the named one."""
    two = 'query One @live { thing(key: "a") { key } } query Two @live(throttle: 0) { thing(key: "a") { version } }'
    params, headers = {"query": two, "operationName": "Two"}, {**SSE, "last-event-id": "7-1"}
    for version in (1, 2):
        async with site.http.stream("GET", "/graphql", params=params, headers=headers) as response:
            body = Body(response)
            await body.until(f"event: next\ndata: {shown(version)}\n\n".encode())
            await site.write()
            await body.until(shown(version + 1).encode())


async def test_a_client_that_accepts_both_gets_the_stream(site: Site) -> None:
    """As a subscription does; also when the same request has been answered as a whole before."""
    both = {"accept": "application/graphql-response+json, application/json, text/event-stream"}
    for _ in range(3):
        answer = await site.http.post("/graphql", json={"query": THING}, headers={"accept": "application/json"})
        assert answer.text == shown(1)
    async with site.stream("POST", both) as body:
        await body.until(shown(1).encode())
        await site.write()
        await body.until(shown(2).encode())


async def test_live_queries_in_a_batch_are_answered_once(site: Site) -> None:
    """A batch has one answer: each of its queries is answered as it stands, and nothing goes on."""
    live = site.app.endpoint.live
    assert live is not None
    for headers in ({"accept": "application/json"}, {"accept": "application/json, text/event-stream"}):
        answer = await site.http.post("/graphql", json=[{"query": THING}] * 2, headers=headers)
        assert answer.json() == [json.loads(shown(1))] * 2
    assert len(live) == 0


async def test_multipart(site: Site) -> None:
    """Each answer is a part."""
    async with site.stream("POST", MIXED) as body:
        assert body.response.headers["content-type"].startswith("multipart/mixed")
        for version in range(1, 4):
            await body.until(f'{{"payload":{shown(version)}}}\r\n--graphql'.encode())
            await site.write()


async def test_websocket(site: Site) -> None:
    """Each answer is a `next` message; `complete` ends it; a refusal leaves the socket open."""
    live = site.app.endpoint.live
    assert live is not None
    url = f"ws://127.0.0.1:{site.port}/graphql"
    async with websockets.connect(url, subprotocols=[websockets.Subprotocol(SUBPROTOCOL)]) as socket, within("answers"):

        async def say(**message: Any) -> None:
            await socket.send(orjson.dumps(message).decode())

        await say(type="connection_init")
        assert (await hear(socket))["type"] == "connection_ack"
        await say(type="subscribe", id="no", payload={"query": "query @live { plain }"})
        assert (await hear(socket))["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
        await say(type="subscribe", id="1", payload={"query": THING})
        for version in range(1, 4):
            message = await hear(socket)
            assert message == {"id": "1", "type": "next", "payload": json.loads(shown(version))}
            await site.write()
        await say(type="complete", id="1")
        await until(lambda: len(live) == 0)


async def test_refusals_over_http(site: Site) -> None:
    """What cannot be live is refused before the stream begins, or told in it; over plain HTTP it is an error."""
    query = {"query": "query @live { plain }"}
    told = await site.http.post("/graphql", json=query, headers=SSE)
    assert b"cannot be live" in told.content
    assert told.content.endswith(b"event: complete\ndata: \n\n")
    plain = await site.http.post("/graphql", json=query, headers={"accept": "application/json"})
    assert plain.json()["errors"][0]["message"] == "The field 'Query.plain' cannot be live: it has no cache policy."


async def test_a_query_of_the_name_of_a_subscription(client: Client) -> None:
    """`Last-Event-ID` resumes the subscription; the live query of that name is answered as it stands."""
    cache = Cache(client, beta=0)

    @strawberry.type
    class Query:
        @strawberry.field(metadata=cached(60))
        async def news(self, after: str | None = None) -> str:
            async def load() -> str:
                return "news"

            return f"{await cache.get('news', load, tags=['news'], ttl=60)} after {after}"

    @strawberry.type
    class Subscription:
        @strawberry.subscription(metadata=live(cursor="after"))
        async def news(self, after: str | None = None) -> AsyncGenerator[str]:
            yield f"event after {after}"

    answers, nobody = ByteCache(client, cache.generations), Anonymous()
    endpoint = GraphQLEndpoint(
        strawberry.Schema(Query, subscription=Subscription),
        admission=make_admission(client),
        authenticator=nobody,
        context=lambda _caller, _connection, _response: None,
        kept=KeptAnswers(client, answers),
    )
    headers = {**SSE, "last-event-id": "7"}
    async with serving(endpoint) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG) as http:
        for query, told in (("query @live { news }", "news after None"), ("subscription { news }", "event after 7")):
            async with http.stream("GET", "/graphql", params={"query": query}, headers=headers) as response:
                await Body(response).until(f'data: {{"data":{{"news":"{told}"}}}}\n'.encode())
    await endpoint.close()
    await answers.close()
    await cache.close()
