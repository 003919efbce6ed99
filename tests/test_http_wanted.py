"""Recognised queries whose answer has to be made, on uvicorn's connections."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from graph.endpoint.document import Policy
from graph.patterns.client import open_client
from harness.valkey import ValkeyServer
from harness.waiting import until
from tests.support.apps.answers import AnswersApp
from tests.support.apps.recognised import performed_by, recognising
from tests.support.clients.raw_http import Connection, post
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

QUERY = "query One($key: String!) { thing(key: $key) { version } }"


def request(number: int) -> bytes:
    """A request for one of the things."""
    return post(orjson.dumps({"query": QUERY, "variables": {"key": f"key {number}"}}))


def body(number: int) -> bytes:
    """Its answer."""
    return b'{"data":{"thing":{"version":%d}}}' % number


@pytest.fixture
async def server() -> AsyncIterator[ValkeyServer]:
    """An engine of its own, to be paused."""
    with ValkeyServer() as valkey:
        yield valkey


@pytest.fixture
async def app(server: ValkeyServer) -> AsyncIterator[AnswersApp]:
    """An endpoint that knows a head after its first request."""
    truth = Truth()
    truth.versions.update({f"key {number}": number for number in range(100)})
    async with open_client(server.url) as client:
        made = AnswersApp(client, truth, express=True)
        made.endpoint.engine.operations.prepare(QUERY)
        yield made
        await made.close()


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The status of each request that was performed."""
    return performed_by(monkeypatch)


async def test_what_is_sent_ahead_is_answered_in_order(app: AnswersApp, performed: list[int]) -> None:
    """On one kept connection every answer has the same head but for its counts, and each was made once."""
    async with recognising(app) as port, Connection(port) as connection:
        answers = [answer for number in range(5) for answer in await connection.ask(request(number))]
        connection.writer.write(b"".join(request(number) for number in (5, 6, 2)))
        answers += [await connection.read() for _ in range(3)]
    assert [answer.body for answer in answers] == [body(number) for number in (0, 1, 2, 3, 4, 5, 6, 2)]
    assert performed[:4] == [200] * 4
    assert app.resolved == 7
    assert all(list(answer.headers) == list(answers[0].headers) for answer in answers)


async def test_an_answer_whose_client_has_gone_is_kept(app: AnswersApp) -> None:
    """The next one who asks finds it: nothing is made twice, and nobody waits for a lease."""
    async with recognising(app) as port:
        async with Connection(port) as connection:
            await connection.ask(request(0))
        for number in range(1, 20):
            async with Connection(port) as connection:
                connection.writer.write(request(number))
                await connection.writer.drain()
                await asyncio.sleep(0)
        await until(lambda: app.resolved == 20)
        async with Connection(port) as connection:
            for number in range(1, 20):
                (answer,) = await connection.ask(request(number))
                assert answer.body == body(number)
    assert app.resolved == 20


async def test_a_server_that_stops_answers_what_it_has_taken(
    app: AnswersApp, server: ValkeyServer, performed: list[int]
) -> None:
    """A request that waits for Redis is answered, and its connection ends; what is kept of it ends with the server."""
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(recognising(app))
        async with Connection(port) as connection:
            for number in range(3):
                await connection.ask(request(number))
            server.pause()
            connection.writer.write(request(3))
            await asyncio.sleep(0.1)
            stopping = asyncio.create_task(stack.aclose())
            await asyncio.sleep(0.2)
            assert not stopping.done()
            server.resume()
            answer = await connection.read()
            assert answer.body == body(3)
            assert answer.headers.get(b"connection") == b"close"
            assert await connection.end() == b""
            await stopping
    assert performed == [200] * 3


@pytest.mark.parametrize("outdated", [False, True])
async def test_a_server_that_has_stopped_holds_no_lease(
    server: ValkeyServer, monkeypatch: pytest.MonkeyPatch, *, outdated: bool
) -> None:
    """What Redis grants after the endpoint was closed is given up: other processes make the answer."""
    truth = Truth()
    truth.versions.update({"key 0": 0, "key 1": 1})
    async with open_client(server.url) as client:
        app = AnswersApp(client, truth, express=True, kept={"lease": 60})
        app.endpoint.engine.operations.prepare(QUERY)
        async with recognising(app) as port, Connection(port) as connection:
            await connection.ask(request(0), 2)
            if outdated:
                await app.cache.invalidate("key 0")
            server.pause()
            connection.writer.write(request(0 if outdated else 1))
            await asyncio.sleep(0.1)
            if outdated:
                express: Any = app.endpoint.express
                deliver = client.deliver

                def second(*sent: Any) -> None:
                    deliver(*sent)
                    express.errands.closed = True

                monkeypatch.setattr(client, "deliver", second)
                server.resume()
            else:
                await app.close()
                server.resume()
            with pytest.raises((EOFError, OSError)):
                await connection.read()
        assert await client.execute("KEYS", "graph:response-lease:*") == []
        await app.close()


async def test_tags_that_cannot_be_made_cost_no_connection(
    app: AnswersApp, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A function that does not expect what a client wrote fails that request alone, as it does where that is parsed."""

    def tags(_: Policy, variables: Mapping[str, Any] | None) -> list[str]:
        return [str((variables or {})["key"].lower())]

    monkeypatch.setattr(Policy, "tags", tags)
    async with recognising(app) as port, Connection(port) as connection:
        before = [answer for number in range(3) for answer in await connection.ask(request(number))]
        (answer,) = await connection.ask(post(orjson.dumps({"query": QUERY, "variables": {"key": 5}})))
        assert answer.status == 500
        assert b'"INTERNAL_SERVER_ERROR"' in answer.body
        (answer,) = await connection.ask(request(3))
        assert answer.body == body(3)
        left = [int(one.headers[b"x-ratelimit-remaining"]) for one in (before[-1], answer)]
        assert left[0] - left[1] == 2  # it was charged
    assert [record.name for record in caplog.records if record.levelname == "ERROR"] == ["graph.endpoint"]
