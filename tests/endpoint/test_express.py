"""Requests seen before: the same answers as the lane's, and everything that may have changed is asked anew."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from strawberry.schema.config import StrawberryConfig

from graph.endpoint.document import OperationRequest
from graph.endpoint.http import EXCHANGE, parse_body, transport
from graph.endpoint.http.exchange import read_before
from graph.endpoint.kept import Sight, express
from graph.endpoint.kept.heads import Parts
from graph.endpoint.websocket import SocketLimits
from graph.patterns.client import open_client
from graph.patterns.client.commands import command
from harness.valkey import ValkeyServer
from harness.waiting import until
from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.apps.express import Wired
from tests.support.clients.browser import browse
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from graph.endpoint.document import Bounds
    from graph.patterns.client import Client

QUERY = '{ thing(key: "a") { version } }'


@pytest.fixture
async def app(client: Client) -> AsyncIterator[AnswersApp]:
    """An app that recognises what it has seen once."""
    truth = Truth()
    truth.versions["a"] = 1
    made = AnswersApp(client, truth, express=True, limits={"authenticated": 40, "anonymous": 30})
    yield made
    await made.close()


async def ask(app: AnswersApp, times: int = 1, query: str = QUERY, **headers: str) -> list[httpx.Response]:
    """Ask once the document is known: the lane leaves a new one to the schema."""
    app.endpoint.engine.operations.prepare(query)
    async with browse(app.endpoint, headers=headers) as http:
        return [await http.post("/graphql", json={"query": query}) for _ in range(times)]


async def test_a_request_seen_before_is_answered_in_the_same_bytes(app: AnswersApp, client: Client) -> None:
    """From the third on a request is expressed, with every header that the lane sends, in its order."""
    await client.execute("SET", KeyTokens.key("ann"), 1)
    for headers in ({}, {"authorization": "Bearer ann"}, {"accept": "application/graphql-response+json"}):
        expressed = app.endpoint.expressed
        answers = await ask(app, 8, **headers)
        assert app.endpoint.expressed >= expressed + 5
        assert len({(answer.status_code, answer.content) for answer in answers}) == 1
        lane, last = answers[2], answers[-1]
        assert list(lane.headers) == list(last.headers)
        counted = ("ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset", "age")
        assert {**lane.headers, **dict.fromkeys(counted)} == {**last.headers, **dict.fromkeys(counted)}
        left = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers]
        assert left == list(range(left[0], left[0] - 8, -1))
        assert all(f"r={number};" in answer.headers["ratelimit"] for number, answer in zip(left, answers, strict=True))
    assert app.resolved == 1


async def test_a_write_is_seen_at_once(app: AnswersApp) -> None:
    """No answer from before an acknowledged write follows it, and while a writer holds the tag it is resolved."""
    await ask(app, 5)
    for version in range(2, 5):
        async with app.cache.invalidating("a"):
            app.truth.versions["a"] = version
            (during,) = await ask(app)
            assert during.json()["data"]["thing"]["version"] == version
        answers = await ask(app, 5)
        assert [answer.json()["data"]["thing"]["version"] for answer in answers] == [version] * 5
    assert app.endpoint.expressed >= 3


async def test_a_session_that_ends_is_charged_no_more(app: AnswersApp, client: Client) -> None:
    """The request after the session's end is an anonymous one."""
    await client.execute("SET", KeyTokens.key("ann"), 1)
    answers = await ask(app, 6, authorization="Bearer ann")
    assert app.endpoint.expressed
    assert '"authenticated"' in answers[-1].headers["ratelimit"]
    await client.execute("DEL", KeyTokens.key("ann"))
    for answer in await ask(app, 3, authorization="Bearer ann"):
        assert '"anonymous"' in answer.headers["ratelimit"]


async def test_the_limit_holds_to_the_request(app: AnswersApp) -> None:
    """Of forty anonymous requests at once, thirty are answered, though all are expressed."""
    async with browse(app.endpoint) as http:
        answers = [await http.post("/graphql", json={"query": QUERY}) for _ in range(6)]
        answers += await asyncio.gather(*[http.post("/graphql", json={"query": QUERY}) for _ in range(34)])
        answers += [await http.post("/graphql", json={"query": QUERY}) for _ in range(3)]
    assert sorted(answer.status_code for answer in answers) == [200] * 30 + [429] * 13
    assert app.endpoint.expressed > 20


async def test_each_caller_has_a_route_of_its_own(app: AnswersApp, client: Client) -> None:
    """What one caller sends is never answered as another's: not the budget, not a private answer."""
    query = '{ thing(key: "a") { note } }'
    for token in ("ann", "bob"):
        await client.execute("SET", KeyTokens.key(token), 1)
    for _ in range(8):
        for token in ("ann", "bob"):
            (answer,) = await ask(app, query=query, authorization=f"Bearer {token}")
            assert answer.json()["data"]["thing"]["note"] == f"{token}'s note on a"
    assert app.endpoint.expressed >= 8


async def test_a_restarted_server_agrees_with_nothing() -> None:
    """Generations that came back without their server process are not those of before: a write may have been lost."""
    truth = Truth()
    truth.versions["a"] = 1
    with ValkeyServer(aof=True) as valkey:
        async with open_client(valkey.url) as client:
            app = AnswersApp(client, truth, express=True)
            assert await versions(app, 5) == [1] * 5
            assert app.endpoint.expressed
            truth.versions["a"] = 2  # and the server dies with its invalidation
            await client.durable(command("SET", "mark", 1))  # until the generation is on disk
            valkey.kill()
            valkey.start()
            await connected(client)
            assert await client.execute("EXISTS", app.cache.generations.key("a"))
            assert await versions(app, 5) == [2] * 5
            await app.close()


async def versions(app: AnswersApp, times: int) -> list[int]:
    """The version in each of so many answers."""
    return [answer.json()["data"]["thing"]["version"] for answer in await ask(app, times)]


async def connected(client: Client) -> None:
    """Wait until the server is back."""
    await until(lambda: client.connected)


async def test_visits_are_bounded(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many heads there are, no more than so many bytes of them are kept: those in use, and no large one."""
    monkeypatch.setattr(express, "VISITS", 45_000)
    app = AnswersApp(client, Truth(), express=True)
    app.truth.versions["a"] = 1
    made: Any = app.endpoint.express

    def kept() -> set[str]:
        visits = made._visits
        return {found.sender.caller.address for entry in (visits._protected, visits._probation)
                for found in (one.value for one in entry.values())}  # fmt: skip

    regulars = {f"10.0.0.{number}" for number in range(3)}
    for stranger in range(20):
        for address in (*regulars, f"10.0.1.{stranger}"):
            await ask(app, 1, **{"x-test-address": address})
        assert made._visits.size <= 45_000
    assert regulars < kept()
    assert len(kept()) < 8
    await ask(app, 3, **{"accept": f"application/json, {'x' * express.LARGEST}/x", "x-test-address": "10.0.2.1"})
    assert "10.0.2.1" not in kept()
    await app.close()


async def test_headers_that_nobody_reads_make_no_other_request(app: AnswersApp) -> None:
    """What tracing and balancers add is passed over, also the first time that it is seen."""
    await ask(app, 3)
    expressed = app.endpoint.expressed
    for number in range(10):
        await ask(app, 1, **{"traceparent": f"00-{number:032x}-{number:016x}-01", "x-request-id": str(number)})
    assert app.endpoint.expressed == expressed + 10


async def test_what_was_never_asked_is_recognised_by_its_document(app: AnswersApp) -> None:
    """Other variables for a known document, from a known head: read once, and from then on known."""
    query = "query Thing($key: String!) { thing(key: $key) { version } }"
    app.endpoint.engine.operations.prepare(query)
    async with browse(app.endpoint) as http:
        for number in range(6):
            app.truth.versions[f"k{number}"] = number
        for _ in range(3):
            for number in range(6):
                body = {"query": query, "variables": {"key": f"k{number}"}}
                answer = await http.post("/graphql", json=body)
                assert answer.json() == {"data": {"thing": {"version": number}}}
    assert app.endpoint.expressed >= 11
    assert app.resolved == 6


async def test_a_get_is_recognised_and_so_is_its_condition(app: AnswersApp) -> None:
    """A GET that was answered before is expressed; with the tag of what it would get it is answered 304."""
    app.endpoint.engine.operations.prepare(QUERY)
    async with browse(app.endpoint, headers={"accept": "application/json"}) as http:
        answers = [await http.get("/graphql", params={"query": QUERY}) for _ in range(5)]
        assert {answer.status_code for answer in answers} == {200}
        expressed = app.endpoint.expressed
        assert expressed >= 3
        tag = answers[-1].headers["etag"]
        known = [await http.get("/graphql", params={"query": QUERY}, headers={"if-none-match": tag}) for _ in range(2)]
        other = await http.get("/graphql", params={"query": QUERY}, headers={"if-none-match": 'W/"other"'})
    assert app.endpoint.expressed == expressed + 3
    assert [(answer.status_code, answer.content, answer.headers["etag"]) for answer in known] == [(304, b"", tag)] * 2
    assert (other.status_code, other.content) == (200, answers[-1].content)


async def test_a_get_that_was_not_seen_is_not_answered_by_its_document(app: AnswersApp) -> None:
    """Whether a GET may be answered depends on what it asks, so each is read once by the application."""
    for query in (QUERY, '{ thing(key: "b") { version } }'):
        app.endpoint.engine.operations.prepare(query)
    app.truth.versions["b"] = 1
    async with browse(app.endpoint, headers={"accept": "application/json"}) as http:
        for _ in range(4):
            await http.get("/graphql", params={"query": QUERY})
        expressed = app.endpoint.expressed
        assert expressed
        await http.get("/graphql", params={"query": '{ thing(key: "b") { version } }'})
    assert app.endpoint.expressed == expressed


async def test_a_body_that_was_read_in_vain_is_not_read_again(app: AnswersApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mutation from a known head is read by express and served by the transport, from what was read."""
    query = "mutation Write($key: String!) { write(key: $key) }"
    app.endpoint.engine.operations.prepare(query)
    await ask(app, 3)
    read: list[bytes] = []

    def counted(body: bytes, bounds: Bounds) -> Any:
        read.append(body)
        return parse_body(body, bounds)

    monkeypatch.setattr(transport, "parse_body", counted)
    async with browse(app.endpoint) as http:
        for version in (2, 3):
            answer = await http.post("/graphql", json={"query": query, "variables": {"key": "a"}})
            assert answer.json() == {"data": {"write": version}}
        assert not read
        batch = await http.post("/graphql", json=[{"query": query, "variables": {"key": "a"}}])
    assert batch.json() == [{"data": {"write": 4}}]
    assert len(read) == 1  # a batch is nothing that express reads


async def test_a_body_that_a_middleware_changed_is_read_as_it_is(app: AnswersApp) -> None:
    """What express has read counts for the very body that it read."""
    parts = Parts(b"POST /graphql HTTP/1.1", b"", b'{"query": "{ a }"}', b"")
    sight = Sight("192.0.2.1", parts, OperationRequest("{ a }", {}, None, {}))
    assert read_before({EXCHANGE: Wired(sight)}, parts.body) is sight.asked
    assert read_before({EXCHANGE: Wired(sight)}, b'{"query": "{ b }"}') is None
    assert read_before({}, parts.body) is None


@pytest.mark.parametrize(
    "body",
    ["[]", "nonsense", '{"query": 5}', '{"query": "{ nothing }"}', '{"query": "{ plain }"}'],
)
async def test_nothing_else_is_recognised(app: AnswersApp, body: str) -> None:
    """What the lane does not take is none of this module's business, however often it is sent."""
    async with browse(app.endpoint, headers={"content-type": "application/json"}) as http:
        for _ in range(3):
            await http.post("/graphql", content=body)
    made: Any = app.endpoint.express
    assert not len(made._visits)


async def test_a_client_that_takes_pieces_gets_them(client: Client) -> None:
    """An answer that others are given whole is not given to whoever wants it in pieces, known as the head may be."""
    config = StrawberryConfig(enable_experimental_incremental_execution=True)
    app = AnswersApp(client, Truth(), express=True, config=config, sockets=SocketLimits())
    app.truth.versions["a"] = 1
    deferred = '{ thing(key: "a") { key ... @defer { version } } }'
    await ask(app, 3, deferred)
    expressed, accept = app.endpoint.expressed, "multipart/mixed; deferSpec=20220824, application/json"
    await ask(app, 3, accept=accept)
    assert app.endpoint.expressed > expressed
    for answer in await ask(app, 2, deferred, accept=accept):
        assert answer.headers["content-type"].startswith("multipart/mixed")
    await app.close()
