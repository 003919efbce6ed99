"""Subscriptions over one HTTP response: the frames of SSE and multipart, resuming, refusals, ends."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from graph.endpoint.document import Operations, Prepared
from graph.patterns.broker import Broker
from harness.waiting import HANG, until, within
from tests.support.apps.live import LiveApp
from tests.support.apps.serving import serving
from tests.support.clients.streamed import Body

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from graph.patterns.client import Client

FOLLOW = "subscription { news { text gap } }"
SSE = {"accept": "text/event-stream"}
EVENTS = 250
"""More of 100 kB than the sockets' buffers and the queue hold."""
MIXED = {"accept": 'multipart/mixed;boundary="graphql";subscriptionSpec=1.0,application/json'}


class Site:
    """A served endpoint and a client of it."""

    def __init__(self, app: LiveApp, http: httpx.AsyncClient) -> None:
        self.app = app
        self.http = http

    @asynccontextmanager
    async def follow(self, query: str, headers: dict[str, str], **variables: Any) -> AsyncGenerator[Body]:
        """Send a subscription and read its response."""
        body = {"query": query, "variables": variables}
        async with self.http.stream("POST", "/graphql", json=body, headers=headers) as response:
            yield Body(response)


@pytest.fixture
async def site(client: Client) -> AsyncIterator[Site]:
    """The live app behind a real server."""
    async with Broker(client) as broker:
        app = LiveApp(client, broker, anonymous=20)
        async with serving(app.endpoint) as port:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG) as http:
                yield Site(app, http)
            await app.streams.close()


async def test_sse_frames(site: Site) -> None:
    """Results are `next` events with the cursor as id, lines end in LF, and a quiet line is kept open by comments."""
    async with site.follow(FOLLOW, SSE) as body:
        assert body.response.status_code == 200
        assert body.response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert body.response.headers["cache-control"] == "no-cache, no-transform"
        assert body.response.headers["ratelimit"]
        await until(lambda: site.app.sources == 1)
        cursors = await site.app.publish("a")
        text = json.dumps({"data": {"news": {"text": "a", "gap": False}}}, separators=(",", ":"))
        await body.until(f"event: next\nid: {cursors[0]}\ndata: {text}\n\n".encode())
        await body.until(b"}\n\n:\n\n")
        assert b"\r" not in body.raw


async def test_sse_resumes_after_the_last_event_id(site: Site) -> None:
    """The header an EventSource sends resumes the stream, whether or not the document passes a cursor."""
    cursors = await site.app.publish("a", "b", "c")
    documents = [
        "subscription { news { text } }",
        "subscription Named { news { text } }",
        "subscription Named($x: Boolean!) { news { text @include(if: $x) } }",
        'subscription { news(after: "a.b.1-1") { text } }',
        "subscription($after: String) { news(after: $after) { text } }",
        "subscription { ...F } fragment F on Subscription { other: news { text } }",
    ]
    for document in documents:
        async with site.follow(document, SSE | {"last-event-id": cursors[0]}, x=True, after="a.b.1-1") as body:
            await body.until(b'"text":"c"')
            assert b'"text":"b"' in body.raw
            assert b'"text":"a"' not in body.raw
            assert b"errors" not in body.raw


async def test_what_is_spliced_in_to_resume_is_prepared_in_pieces(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No document that a header makes anew is prepared at one go."""
    cursors = await site.app.publish("a", "b")
    at_once: list[str] = []
    prepare = Operations.prepare

    def noted(self: Operations, text: str) -> Prepared:
        at_once.append(text)
        return prepare(self, text)

    monkeypatch.setattr(Operations, "prepare", noted)
    document = "subscription { news { " + "text " * 900 + "} }"
    async with site.follow(document, SSE | {"last-event-id": cursors[0]}) as body:
        await body.until(b'"text":"b"')
        assert b'"text":"a"' not in body.raw
    assert at_once == []


async def test_sse_answers_a_query_and_ends(site: Site) -> None:
    """One result, then `complete`."""
    async with site.follow("{ hello }", SSE) as body:
        assert await body.rest() == b':\n\nevent: next\ndata: {"data":{"hello":"world"}}\n\nevent: complete\ndata: \n\n'


async def test_who_takes_json_as_well_gets_what_is_better(site: Site) -> None:
    """A query comes in events unless JSON is as good and GraphQL's own is named; a batch in JSON in any case."""
    either = {"accept": "application/json, text/event-stream"}
    urql = {"accept": f"application/graphql-response+json, {either['accept']}, multipart/mixed"}
    body = {"query": "{ hello }"}
    answer = await site.http.post("/graphql", json=body, headers=either)
    assert answer.text == ':\n\nevent: next\ndata: {"data":{"hello":"world"}}\n\nevent: complete\ndata: \n\n'
    refused = await site.http.post("/graphql", json={"query": "{"}, headers=either)
    assert refused.text.endswith("event: complete\ndata: \n\n")
    assert (await site.http.post("/graphql", json=body, headers=urql)).json() == {"data": {"hello": "world"}}
    assert (await site.http.post("/graphql", json=[body], headers=either)).json() == [{"data": {"hello": "world"}}]


@pytest.mark.parametrize("document", ["subscription { nothing }", "{ nothing }", "{"])
async def test_a_refused_document_is_told_in_the_stream(site: Site, document: str) -> None:
    """An EventSource sees nothing of a response that is not 200, so the errors come as an event."""
    async with site.follow(document, SSE) as body:
        assert body.response.status_code == 200
        assert body.response.headers["content-type"].startswith("text/event-stream")
        raw = await body.rest()
    assert raw.startswith(b':\n\nevent: next\ndata: {"errors":[')
    assert raw.endswith(b"event: complete\ndata: \n\n")


async def test_a_refusal_by_status_is_an_ordinary_answer(site: Site) -> None:
    """A caller above the limit gets 429 with Retry-After, not a stream."""
    for _ in range(20):
        async with site.follow("{ hello }", SSE) as body:
            await body.rest()
    async with site.follow(FOLLOW, SSE) as body:
        assert body.response.status_code == 429
        assert int(body.response.headers["retry-after"]) > 0
        assert json.loads(await body.rest())["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_a_refusal_outside_of_a_stream_is_told_in_full(site: Site) -> None:
    """For a client that takes nothing but multipart it is an answer in JSON, with all errors and their places."""
    async with site.follow("{ nothing nowhere }", {"accept": "multipart/mixed"}) as body:
        assert (body.response.status_code, body.response.headers["content-type"][:16]) == (400, "application/json")
        errors = json.loads(await body.rest())["errors"]
    assert [error["locations"] for error in errors] == [[{"line": 1, "column": 3}], [{"line": 1, "column": 11}]]


@pytest.mark.parametrize("headers", [SSE, MIXED])
async def test_a_broken_source_ends_the_response(site: Site, headers: dict[str, str]) -> None:
    """The error is in the stream, masked, and the response ends."""
    async with site.follow("subscription { breaks }", headers) as body:
        raw = await body.rest()
    assert b'{"data":{"breaks":1}}' in raw
    assert raw.count(b"INTERNAL_SERVER_ERROR") == 1
    assert b"secret" not in raw
    assert raw.endswith((b"event: complete\ndata: \n\n", b"--graphql--\r\n"))


async def test_multipart_frames(site: Site) -> None:
    """A part is followed by the next delimiter at once, a quiet line by empty objects."""
    async with site.follow(FOLLOW, MIXED) as body:
        assert body.response.headers["content-type"] == "multipart/mixed; boundary=graphql; subscriptionSpec=1.0"
        await body.until(b"\r\n--graphql")
        await until(lambda: site.app.sources == 1)
        await site.app.publish("a")
        part = b'\r\nContent-Type: application/json\r\n\r\n{"payload":{"data":{"news":{"text":"a","gap":false}}}}'
        await body.until(part + b"\r\n--graphql")
        await body.until(b"--graphql\r\nContent-Type: application/json\r\n\r\n{}\r\n--graphql")


async def test_the_end_of_the_session_ends_the_response(site: Site) -> None:
    """Signing out says so in the stream and ends it; an anonymous stream goes on."""
    async with site.follow(FOLLOW, SSE) as other, site.follow(FOLLOW, SSE | {"authorization": "Bearer ada"}) as body:
        await until(lambda: site.app.sources == 1 and len(site.app.authenticator.watchers) == 1)
        site.app.authenticator.watchers[0]()
        assert b"UNAUTHENTICATED" in await body.rest()
        await until(lambda: not site.app.authenticator.watchers)
        await site.app.publish("a")
        await other.until(b'"text":"a"')


async def test_a_client_that_goes_away_leaves_nothing(site: Site) -> None:
    """Group and source end with the connection."""
    async with site.follow(FOLLOW, SSE):
        await until(lambda: site.app.sources == 1)
    await until(lambda: site.app.sources == 0 and site.app.streams.groups == 0)


async def test_a_client_that_does_not_read_is_cut_off_and_can_resume(client: Client) -> None:
    """It gets SLOW_CONSUMER with the last cursor it was sent; the others are not kept waiting."""
    async with Broker(client) as broker:
        app = LiveApp(client, broker)
        async with serving(app.endpoint) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 16)
            payload = json.dumps({"query": FOLLOW}).encode()
            head = f"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: {len(payload)}\r\n"
            writer.write(
                f"{head}Content-Type: application/json\r\nAccept: text/event-stream\r\n\r\n".encode() + payload
            )
            await until(lambda: app.sources == 1)
            quick = await app.follow(FOLLOW)
            for _ in range(EVENTS):
                await app.publish("x" * 100_000)
            await quick.until(EVENTS)
            raw = await drain(reader)
            writer.close()
            error = json.loads(raw[raw.rindex(b"data: {") :].split(b"\n")[0].removeprefix(b"data: "))
            cursor = error["errors"][0]["extensions"]["cursor"]
            assert error["errors"][0]["extensions"]["code"] == "SLOW_CONSUMER"
            last_id = [line for line in raw.split(b"\n") if line.startswith(b"id: ")][-1]
            assert cursor.encode() == last_id.removeprefix(b"id: ")
        await app.streams.close()


async def test_as_many_results_wait_as_for_a_socket(client: Client) -> None:
    """The `queue` of the limits of each WebSocket is that of a long response, too."""
    async with Broker(client) as broker:
        app = LiveApp(client, broker)
        assert app.endpoint._http._streaming is not None
        assert app.endpoint._http._streaming._queue == 20


async def drain(reader: asyncio.StreamReader) -> bytes:
    """Read to the end of the response."""
    raw = b""
    async with within("event: complete"):
        while b"event: complete" not in raw:
            raw += await reader.read(1 << 20)
    return raw


async def test_an_event_source_follows_by_get_and_resumes(site: Site) -> None:
    """As a browser's EventSource asks: by GET, with nothing but Accept; on the next try with Last-Event-ID."""
    native = {"accept": "text/event-stream", "sec-fetch-site": "same-origin", "cache-control": "no-cache"}
    asking = {"query": FOLLOW}
    async with site.http.stream("GET", "/graphql", params=asking, headers=native) as response:
        body = Body(response)
        await body.until(b":\n\n")
        await until(lambda: site.app.sources == 1)
        await site.app.publish("one")
        await body.until(b"one")
    cursor = re.search(rb"id: (\S+)", body.raw)
    assert cursor is not None
    await site.app.publish("two")
    again = native | {"last-event-id": cursor[1].decode()}
    async with site.http.stream("GET", "/graphql", params=asking, headers=again) as response:
        raw = await Body(response).until(b"two")
    assert b"one" not in raw
    foreign = {"accept": "text/event-stream", "sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    refused = await site.http.get("/graphql", params=asking, headers=foreign)
    assert refused.status_code == 403
