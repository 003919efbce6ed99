"""Recognised mutations on uvicorn's connections: nobody but the server sees that the application was passed by."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from graph.endpoint.kept import EXPRESS, Errand
from graph.endpoint.observe import AccessLog, Observed, Tally
from graph.patterns.client import open_client
from graph.server.http_express import HttpProtocol
from harness.valkey import ValkeyServer
from harness.waiting import until
from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.apps.serving import serving
from tests.support.clients.raw_http import Connection, post
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from graph.patterns.client import Client

QUERY = 'mutation Write { write(key: "a") }'
REQUEST = post(orjson.dumps({"query": QUERY}))


def shared(app: AnswersApp) -> AbstractAsyncContextManager[int]:
    """Serve `app`, its express known to the protocol."""
    return serving(app.endpoint, http=HttpProtocol, state={EXPRESS: app.endpoint.express})


@pytest.fixture
async def app(client: Client) -> AsyncIterator[AnswersApp]:
    """An endpoint that knows a head after its first request."""
    made = AnswersApp(client, Truth(), express=True)
    made.endpoint.engine.operations.prepare(QUERY)
    yield made
    await made.close()


@pytest.fixture
def performed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The status of each mutation that was recognised."""
    made: list[int] = []
    ended = Errand.ended

    def noting(self: Errand, status: int, facts: dict[str, Any]) -> None:
        made.append(status)
        ended(self, status, facts)

    monkeypatch.setattr(Errand, "ended", noting)
    return made


async def test_the_answers_are_those_of_uvicorn(app: AnswersApp, performed: list[int]) -> None:
    """On one kept connection every answer has the same head, and each mutation was executed once, in order."""
    async with shared(app) as port, Connection(port) as connection:
        answers = await connection.ask(REQUEST, 5)
        connection.writer.write(REQUEST * 3)  # sent ahead
        answers += [await connection.read() for _ in range(3)]
    assert [answer.body for answer in answers] == [b'{"data":{"write":%d}}' % number for number in range(1, 9)]
    assert len(performed) >= 4
    assert all(list(answer.headers) == list(answers[0].headers) for answer in answers)


async def test_resolvers_see_the_whole_request(app: AnswersApp, performed: list[int]) -> None:
    """The context has every header of its own request, also those by which nothing is recognised."""
    engine: Any = app.endpoint.engine
    seen: list[str | None] = []
    inner = engine.context

    def context(caller: Any, connection: Any, response: Any) -> Any:
        seen.append(f"{connection.method} {connection.url.path} {connection.headers.get('x-request-id')}")
        return inner(caller, connection, response)

    engine.context = context
    async with shared(app) as port, Connection(port) as connection:
        for number in range(3):
            await connection.ask(REQUEST.replace(b"\r\n\r\n", b"\r\nX-Request-Id: %d\r\n\r\n" % number, 1))
    assert seen == [f"POST /graphql {number}" for number in range(3)]
    assert performed == [200, 200]


async def test_they_are_counted_and_logged(client: Client, performed: list[int]) -> None:
    """The access log has the line that it would have, and nothing says that an answer was kept."""
    lines: list[bytes] = []
    log = AccessLog(lines.append, style="json")
    app = AnswersApp(client, Truth(), express=True, tally=Tally("/graphql", "/graphql", log))
    app.endpoint.engine.operations.prepare(QUERY)
    observed = Observed(app.endpoint, routes=("/graphql",), log=log)
    state = {EXPRESS: app.endpoint.express}
    async with serving(observed, http=HttpProtocol, state=state) as port, Connection(port) as connection:
        await connection.ask(REQUEST, 4)
        await until(lambda: b"".join(lines).count(b"\n") == 4)
    told = [orjson.loads(line) for line in b"".join(lines).splitlines()]
    assert [(one["status"], one["operation"], one["method"], "cache" in one) for one in told] == [
        (200, "Write", "POST", False)
    ] * 4
    assert performed == [200] * 3
    await app.close()


async def test_a_client_that_goes_does_not_stop_it(app: AnswersApp) -> None:
    """A mutation is finished although its client has hung up."""
    async with shared(app) as port:
        for _ in range(20):
            async with Connection(port) as connection:
                await connection.ask(REQUEST)
                connection.writer.write(REQUEST)
                await connection.writer.drain()
                await asyncio.sleep(0)
        await until(lambda: app.truth.versions["a"] == 40)


async def test_a_server_that_stops_waits_for_it(performed: list[int]) -> None:
    """A mutation under way when the server is told to stop is answered, and its connection ends."""
    async with AsyncExitStack() as stack:
        valkey = stack.enter_context(ValkeyServer())
        app = AnswersApp(await stack.enter_async_context(open_client(valkey.url)), Truth(), express=True)
        stack.push_async_callback(app.close)
        app.endpoint.engine.operations.prepare(QUERY)
        server = await stack.enter_async_context(AsyncExitStack())
        async with Connection(await server.enter_async_context(shared(app))) as connection:
            await connection.ask(REQUEST, 3)
            valkey.pause()
            connection.writer.write(REQUEST)
            await asyncio.sleep(0.1)
            stopping = asyncio.create_task(server.aclose())
            await asyncio.sleep(0.2)
            valkey.resume()
            answer = await connection.read()
            assert answer.body == b'{"data":{"write":4}}'
            assert answer.headers[b"connection"] == b"close"
            assert performed == [200] * 3
            assert await connection.reader.read() == b""
            await stopping


async def test_without_redis_it_is_refused(performed: list[int]) -> None:
    """A session that cannot be checked is answered as in the usual way, and nothing is executed."""
    with ValkeyServer() as valkey:
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(open_client(valkey.url))
            app = AnswersApp(client, Truth(), express=True)
            stack.push_async_callback(app.close)
            await client.execute("SET", KeyTokens.key("ann"), 1)
            app.endpoint.engine.operations.prepare(QUERY)
            asked = post(orjson.dumps({"query": QUERY}), extra=b"Authorization: Bearer ann\r\n")
            port = await stack.enter_async_context(shared(app))
            async with Connection(port) as connection:
                await connection.ask(asked, 3)
                valkey.kill()
                answer = (await connection.ask(asked))[0]
                assert answer.status == 503
                assert orjson.loads(answer.body)["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
                assert performed == [200, 200, 503]
    assert app.truth.versions["a"] == 3
