"""Recognised requests under attack: what is lost, broken, late or gone is charged once and answered as any other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import REGISTRY

from graph.endpoint.document import Prepared, Retention
from graph.endpoint.kept import EXPRESS
from graph.endpoint.observe import Observed, Tally
from graph.patterns.cache import Copy
from graph.patterns.client import open_client
from graph.patterns.limiter import Charge, Limit, Limiter
from graph.server.http_express import HttpProtocol
from harness.serving import Serving
from harness.valkey import ValkeyCluster, ValkeyServer
from harness.waiting import HANG, until
from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.apps.serving import serving
from tests.support.clients.raw_http import Connection, post
from tests.support.engines.proxy import Chaos, FaultProxy
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from starlette.types import ASGIApp

    from graph.patterns.client import Client

QUERY = 'query Thing { thing(key: "a") { version } }'
REQUEST = post(json.dumps({"query": QUERY}).encode())
DATA = b'{"data":{"thing":{"version":1}}}'
UPGRADE = (
    b"GET /graphql HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
BUDGET = "test:budget:{address:127.0.0.1}"


@contextlib.asynccontextmanager
async def shop(client: Client, *, observed: bool = False, **options: Any) -> AsyncGenerator[tuple[AnswersApp, int]]:
    """An endpoint that makes a route of whatever the lane answers, served as `graph serve` does; and its port."""
    truth = Truth()
    truth.versions["a"] = 1
    tally = Tally("/graphql", "/graphql", None) if observed else None
    app = AnswersApp(client, truth, express=True, tally=tally, **options)
    app.endpoint.engine.operations.prepare(QUERY)
    served: ASGIApp = Observed(app.endpoint, routes=("/graphql",)) if observed else app.endpoint
    async with serving(served, http=HttpProtocol, state={EXPRESS: app.endpoint.express}) as port:
        yield app, port
    await app.close()


@pytest.fixture
async def proxied(valkey: ValkeyServer, client: Client) -> AsyncIterator[tuple[FaultProxy, Client]]:
    """A client of the server of `client`, behind a proxy."""
    assert client
    with FaultProxy(valkey.socket) as proxy:
        async with open_client(proxy.url) as through:
            yield proxy, through


async def used(client: Client) -> int:
    """Units charged to this machine."""
    limit = Limit("anonymous", 100_000, 60.0)
    return limit.count - (await Limiter(client).charge(Charge(limit, BUDGET, 0))).remaining


async def test_a_charge_whose_reply_was_lost_is_not_made_again(
    proxied: tuple[FaultProxy, Client], client: Client, expressed: list[bool]
) -> None:
    """The turnstile ran, and nobody heard of it: the request is answered, and the one charge is all there is."""
    proxy, through = proxied
    async with shop(through) as (_, port), Connection(port) as connection:
        await connection.ask(REQUEST, 5)
        assert expressed
        for _ in range(5):
            before = await used(client)
            proxy.unleash(Chaos(cut_reply=1.0))
            connection.writer.write(REQUEST)
            await until(lambda: proxy.faults)
            proxy.unleash(Chaos())
            proxy.faults = 0
            answer = await connection.read()
            assert (answer.status, answer.body) == (200, DATA)
            assert await used(client) == before + 1
            await until(lambda: through.connected)
            await connection.ask(REQUEST, 2)


@pytest.mark.parametrize("where", ["answer", "hand_on"])
async def test_a_bug_in_one_answer_is_nobody_elses(
    client: Client, expressed: list[bool], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Whatever goes wrong with one of many replies that came together, the others are answered."""
    async with shop(client) as (_, port), contextlib.AsyncExitStack() as stack:
        connections = [await stack.enter_async_context(Connection(port)) for _ in range(5)]
        for connection in connections:
            await connection.ask(REQUEST, 3)
        before, broken = await used(client), iter([True])
        right: Any = HttpProtocol.answer

        def answer(self: HttpProtocol, status: int, head: bytes, body: bytes) -> bool:
            if next(broken, False):
                raise RuntimeError("a bug")
            return right(self, status, head, body)

        def hand_on(self: HttpProtocol, left: Any) -> bool:
            raise RuntimeError("another bug")

        monkeypatch.setattr(HttpProtocol, "answer", answer)
        if where == "hand_on":
            monkeypatch.setattr(HttpProtocol, "hand_on", hand_on)
        for connection in connections:
            connection.writer.write(REQUEST)
        answers = await asyncio.gather(*[connection.read() for connection in connections], return_exceptions=True)
        statuses = [getattr(one, "status", 0) for one in answers]
        assert sorted(statuses) == ([200] * 5 if where == "answer" else [0, 200, 200, 200, 200])
        assert await used(client) == before + 5
        assert expressed


async def test_a_server_that_stops_answers_all_that_it_has_read_and_says_that_it_stops(
    proxied: tuple[FaultProxy, Client], expressed: list[bool]
) -> None:
    """Requests behind one that waits for Redis are answered, too; the last answer tells that the connection ends."""
    proxy, through = proxied
    async with contextlib.AsyncExitStack() as stack:
        _, port = await stack.enter_async_context(shop(through))
        async with Connection(port) as one, Connection(port) as two:
            for connection in (one, two):
                await connection.ask(REQUEST, 5)
            proxy.hold.set()
            one.writer.write(REQUEST)
            for _ in range(2):
                two.writer.write(REQUEST)
                await asyncio.sleep(0.02)
            stopping = asyncio.create_task(stack.aclose())
            await asyncio.sleep(0.2)
            proxy.hold.clear()
            last = [await one.read(), [await two.read() for _ in range(2)][-1]]
            assert [(answer.status, answer.body) for answer in last] == [(200, DATA)] * 2
            assert [answer.headers.get(b"connection") for answer in last] == [b"close"] * 2
            assert [await connection.end() for connection in (one, two)] == [b"", b""]
            await stopping
    assert expressed


@pytest.mark.parametrize("delay", [0.0, 0.2], ids=["express", "ordinary"])
async def test_a_websocket_begins_when_all_before_it_is_answered(
    client: Client, expressed: list[bool], delay: float
) -> None:
    """A handshake sent behind a request is answered after it, whichever way the request took."""
    body = json.dumps({"query": f'{{ thing(key: "a", delay: {delay}) {{ version }} }}'}).encode()
    async with shop(client) as (app, port), Connection(port) as connection:
        app.endpoint.engine.operations.prepare(json.loads(body)["query"])
        await connection.ask(post(body), 0 if delay else 4)
        connection.writer.write(post(body))
        await asyncio.sleep(0.02)
        connection.writer.write(UPGRADE)
        assert [(await connection.read()).status for _ in range(2)] == [200, 101]
        assert bool(expressed) == (not delay)


async def test_the_metrics_add_up(proxied: tuple[FaultProxy, Client], expressed: list[bool]) -> None:
    """Requests whose clients left while Redis was asked are counted, timed and charged like those answered."""
    proxy, through = proxied

    def stand() -> list[float]:
        """Answered, given up, timed; under way; charges."""
        return [
            REGISTRY.get_sample_value(name, labels) or 0.0
            for name, labels in (
                ("graph_http_requests_total", {"route": "/graphql", "method": "POST", "status": "200"}),
                ("graph_http_requests_total", {"route": "/graphql", "method": "POST", "status": "499"}),
                ("graph_http_request_seconds_count", {"route": "/graphql"}),
                ("graph_http_requests_in_progress", {}),
                ("graph_limiter_decisions_total", {"outcome": "passed"}),
            )
        ]

    async with shop(through, observed=True) as (_, port), contextlib.AsyncExitStack() as stack:
        before = stand()
        connections = [await stack.enter_async_context(Connection(port)) for _ in range(8)]
        for connection in connections:
            await connection.ask(REQUEST, 3)
        proxy.hold.set()
        for connection in connections:
            connection.writer.write(REQUEST)
        await until(lambda: stand()[3] - before[3] == 8)
        for connection in connections[:5]:
            connection.writer.transport.abort()
        await asyncio.sleep(0.1)
        proxy.hold.clear()
        assert {(await connection.read()).status for connection in connections[5:]} == {200}

        def change() -> list[float]:
            return [after - one for after, one in zip(stand(), before, strict=True)]

        await until(lambda: sum(change()[:2]) >= 32 and change()[3] == 0 and change()[4] >= 32)
        assert change() == [27, 5, 32, 0, 32]
    assert expressed


@pytest.mark.heavy
async def test_what_outlasts_the_time_to_stop_is_told_so(tmp_path: Path) -> None:
    """A request that waits for a Redis that hangs, when a stopping server waits no longer, may be tried elsewhere."""
    settings = {"GRAPH_GRACE": "1", "GRAPH_JOBS_BESIDE": "false", "GRAPH_RATE_LIMIT_ANONYMOUS": "1000"}
    request = post(b'{"query": "{ products(first: 1) { edges { node { id } } } }"}')
    with ValkeyServer() as valkey, Serving(tmp_path, GRAPH_REDIS_URL=valkey.url, **settings) as server:
        server.ready()
        async with Connection(server.port) as connection:
            await connection.ask(request, 6)
            valkey.pause()
            connection.writer.write(request)
            await asyncio.sleep(0.1)
            server.process.send_signal(signal.SIGTERM)
            answer = await connection.read()
            valkey.resume()
            assert (answer.status, answer.headers[b"connection"]) == (503, b"close")
            assert b'"UNAVAILABLE"' in answer.body
        assert await asyncio.to_thread(server.process.wait, HANG) == 0


async def test_decisions_are_counted_once_each(client: Client) -> None:
    """What the limiter's counters say is what clients saw, however often a refusal was looked up on the way."""
    sample: Any = REGISTRY.get_sample_value
    outcomes = ("passed", "refused", "remembered")

    def decisions() -> list[float]:
        return [sample("graph_limiter_decisions_total", {"outcome": outcome}) for outcome in outcomes]

    async with shop(client, limits={"anonymous": 6}) as (_, port), Connection(port) as connection:
        before = decisions()
        statuses = [answer.status for answer in await connection.ask(REQUEST, 12)]
        statuses += [answer.status for answer in await connection.ask(post(b'{"query": "{ nothing }"}'), 3)]
        statuses += [answer.status for answer in await connection.ask(REQUEST, 3)]
        assert statuses == [200] * 6 + [429] * 12
        await until(lambda: decisions()[0] >= before[0] + 6)
        assert [after - one for after, one in zip(decisions(), before, strict=True)] == [6, 1, 11]


def alive(kind: type[object]) -> int:
    """How many objects of a kind there are."""
    gc.collect()
    objects: list[Any] = gc.get_objects()
    return sum(type(one) is kind for one in objects)


async def test_what_is_recognised_keeps_no_answer_and_no_document_alive(client: Client, expressed: list[bool]) -> None:
    """What the bounds of answers and documents have let go of is gone, however many requests are still recognised."""
    async with shop(client, kept={"local_bytes": 4_000}) as (app, port), Connection(port) as connection:
        before = alive(Copy), alive(Prepared)
        operations: Any = app.endpoint.engine.operations
        operations._valid = Retention(400_000)
        lane: Any = app.endpoint.lane
        lane._recalled = Retention(200_000)
        for number in range(60):
            query = f'query Thing{number} {{ thing(key: "a") {{ version }} }}'
            answers = await connection.ask(post(json.dumps({"query": query}).encode()), 5)
            assert {answer.body for answer in answers} == {DATA}
        assert len(expressed) >= 60
        assert alive(Copy) < before[0] + 20
        assert alive(Prepared) < before[1] + 40


async def test_a_cluster_serves_by_express(expressed: list[bool]) -> None:
    """Session, budget and tags on different nodes: the same answers, and a write is seen at once."""
    with ValkeyCluster() as cluster:
        async with open_client(cluster.url) as client, shop(client) as (app, port), Connection(port) as connection:
            await client.execute("SET", KeyTokens.key("ann"), 1)
            request = post(json.dumps({"query": QUERY}).encode(), extra=b"Authorization: Bearer ann\r\n")
            for asked in (REQUEST, request):
                before = len(expressed)
                answers = await connection.ask(asked, 10)
                assert {answer.body for answer in answers} == {DATA}
                assert [answer.left for answer in answers] == list(range(answers[0].left, answers[0].left - 10, -1))
                assert len(expressed) >= before + 7
            for version in range(2, 6):
                async with app.cache.invalidating("a"):
                    app.truth.versions["a"] = version
                answers = await connection.ask(request, 4)
                assert {answer.body for answer in answers} == {DATA.replace(b"1", b"%d" % version)}
            await client.execute("DEL", KeyTokens.key("ann"))
            (answer,) = await connection.ask(request)
            assert b'"anonymous"' in answer.headers[b"ratelimit"]
