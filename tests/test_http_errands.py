"""Recognised mutations on uvicorn's connections: nobody but the server sees that the application was passed by."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from graph.endpoint.document import Bounds
from graph.endpoint.kept import EXPRESS
from graph.endpoint.observe import AccessLog, Observed, Tally
from graph.patterns.client import open_client
from graph.server import http_express
from graph.server.http_express import HttpProtocol
from harness.valkey import ValkeyServer
from harness.waiting import HANG, until
from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.apps.recognised import performed_by, recognising
from tests.support.apps.serving import serving
from tests.support.clients.raw_http import Connection, post
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from graph.endpoint.kept import RawHeaders
    from graph.patterns.client import Client

QUERY = 'mutation Write { write(key: "a") }'
REQUEST = post(orjson.dumps({"query": QUERY}))


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
    return performed_by(monkeypatch)


async def test_the_answers_are_those_of_uvicorn(app: AnswersApp, performed: list[int]) -> None:
    """On one kept connection every answer has the same head, and each mutation was executed once, in order."""
    async with recognising(app) as port, Connection(port) as connection:
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
    async with recognising(app) as port, Connection(port) as connection:
        for number in range(3):
            await connection.ask(REQUEST.replace(b"\r\n\r\n", b"\r\nX-Request-Id:  %d \t\r\n\r\n" % number, 1))
    assert seen == [f"POST /graphql {number} \t" for number in range(3)]
    assert performed == [200, 200]


async def test_the_state_of_a_request_is_its_own(app: AnswersApp, performed: list[int]) -> None:
    """It has what the lifespan left, and nothing that resolvers put into that of an earlier request."""
    engine: Any = app.endpoint.engine
    found: list[list[str]] = []
    inner = engine.context

    def context(caller: Any, connection: Request, response: Any) -> Any:
        state = connection.scope["state"]
        found.append(sorted(state))
        connection.state.loaders = state["loaders"] = {}
        return inner(caller, connection, response)

    engine.context = context
    asked = [post(orjson.dumps({"query": f'{{ thing(key: "{key}") {{ version }} }}'})) for key in "abc"]
    async with recognising(app) as port, Connection(port) as connection:
        for one in (REQUEST, REQUEST, REQUEST, *asked, *asked, REQUEST):
            await connection.ask(one)
    assert len(performed) >= 4
    assert found == [[EXPRESS]] * len(found)


async def test_the_scope_of_a_request_is_its_own(app: AnswersApp, performed: list[int]) -> None:
    """It has what the server and the application say, and nothing that resolvers of an earlier request put there."""
    engine: Any = app.endpoint.engine
    found: list[tuple[bool, list[str]]] = []
    inner = engine.context

    def context(caller: Any, connection: Request, response: Any) -> Any:
        scope = connection.scope
        found.append(("mine" in scope, sorted(scope["told"])))
        scope["mine"] = scope["told"]["mine"] = connection
        return inner(caller, connection, response)

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        await app.endpoint({**scope, "told": {}}, receive, send)

    engine.context = context
    asked = [post(orjson.dumps({"query": f'{{ thing(key: "{key}") {{ version }} }}'})) for key in "abc"]
    state = {EXPRESS: app.endpoint.express}
    async with serving(outer, http=HttpProtocol, state=state) as port, Connection(port) as connection:
        for one in (*asked, REQUEST, REQUEST, REQUEST, *asked, REQUEST):
            await connection.ask(one)
    assert len(performed) >= 3
    assert found == [(False, [])] * len(found)


async def test_resolvers_can_read_the_body(app: AnswersApp, performed: list[int]) -> None:
    """A request that was recognised has it, as one that the application parsed, and as often as it is asked."""
    engine: Any = app.endpoint.engine
    asked: list[Request] = []
    inner = engine.context

    def context(caller: Any, connection: Request, response: Any) -> Any:
        asked.append(connection)
        return inner(caller, connection, response)

    engine.context = context
    async with recognising(app) as port, Connection(port) as connection:
        await connection.ask(REQUEST, 3)
    assert performed == [200, 200]
    async with asyncio.timeout(HANG):
        assert [await request.json() for request in asked] == [{"query": QUERY}] * 3
        assert [await request.body() for request in asked] == [orjson.dumps({"query": QUERY})] * 3


async def test_a_request_that_is_looked_at_late_is_its_own(
    app: AnswersApp, performed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is made of a request that nobody looks at; what looks after its end does not see the next one."""
    engine: Any = app.endpoint.engine
    kept: list[Request] = []
    read: list[bytes] = []
    inner, headers_of = engine.context, http_express._headers_of  # pyright: ignore[reportPrivateUsage]

    def context(caller: Any, connection: Request, response: Any) -> Any:
        kept.append(connection)
        return inner(caller, connection, response)

    def noting(request: bytes) -> RawHeaders:
        read.append(request)
        return headers_of(request)

    engine.context = context
    monkeypatch.setattr(http_express, "_headers_of", noting)
    async with recognising(app) as port, Connection(port) as connection:
        for number in range(3):
            await connection.ask(REQUEST.replace(b"\r\n\r\n", b"\r\nX-Request-Id: %d\r\n\r\n" % number, 1))
    assert performed == [200, 200]
    assert read == []
    assert [request.headers["x-request-id"] for request in kept] == ["0", "1", "2"]
    assert [request.method for request in kept] == ["POST"] * 3
    assert len(read) == 2, "once for each that was recognised"
    with pytest.raises(AttributeError):
        _ = cast("Any", kept[1]).no_such_thing


async def test_resolvers_see_their_own_connection(app: AnswersApp, performed: list[int]) -> None:
    """The client's port is that of the connection, not of the one by which the head became known."""
    engine: Any = app.endpoint.engine
    seen: list[int] = []
    inner = engine.context

    def context(caller: Any, connection: Any, response: Any) -> Any:
        seen.append(connection.client.port)
        return inner(caller, connection, response)

    engine.context = context
    ports: list[int] = []
    async with recognising(app) as port:
        for _ in range(3):
            async with Connection(port) as connection:
                ports.append(connection.writer.get_extra_info("sockname")[1])
                await connection.ask(REQUEST)
    assert seen == ports
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
    async with recognising(app) as port:
        for _ in range(20):
            async with Connection(port) as connection:
                await connection.ask(REQUEST)
                connection.writer.write(REQUEST)
                await connection.writer.drain()
                await asyncio.sleep(0)
        await until(lambda: app.truth.versions["a"] == 40)


@pytest.mark.parametrize("sent", [1, 2])
async def test_a_server_that_stops_waits_for_it(performed: list[int], sent: int) -> None:
    """What was read when the server is told to stop is answered, one after the other, and its connection ends."""
    async with AsyncExitStack() as stack:
        valkey, app, server = await paused_later(stack)
        async with Connection(await server.enter_async_context(recognising(app))) as connection:
            await connection.ask(REQUEST, 3)
            valkey.pause()
            for _ in range(sent):
                connection.writer.write(REQUEST)
                await asyncio.sleep(0.1)
            stopping = asyncio.create_task(server.aclose())
            await asyncio.sleep(0.2)
            valkey.resume()
            answers = [await connection.read() for _ in range(sent)]
            assert [answer.body for answer in answers] == [b'{"data":{"write":%d}}' % (4 + n) for n in range(sent)]
            assert [answer.headers.get(b"connection") for answer in answers] == [None] * (sent - 1) + [b"close"]
            assert await connection.end() == b""
            await stopping
    assert len(performed) >= 3


async def test_a_server_that_stops_waits_although_the_client_has_gone(performed: list[int]) -> None:
    """A mutation that was taken is finished before the services close, whether or not somebody wants its answer."""
    async with AsyncExitStack() as stack:
        valkey, app, server = await paused_later(stack)
        async with Connection(await server.enter_async_context(recognising(app))) as connection:
            await connection.ask(REQUEST, 3)
            valkey.pause()
            connection.writer.write(REQUEST)
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.1)
        stopping = asyncio.create_task(server.aclose())
        await asyncio.sleep(0.2)
        assert not stopping.done()
        valkey.resume()
        await stopping
        assert app.truth.versions["a"] == 4
        assert len(performed) == 3


async def test_what_was_not_charged_when_the_services_close_is_not_performed(performed: list[int]) -> None:
    """A toll that waited in Redis for longer than the server did is answered into nothing: its connection ends."""
    async with AsyncExitStack() as stack:
        valkey = stack.enter_context(ValkeyServer())
        clients = await stack.enter_async_context(AsyncExitStack())
        client = await clients.enter_async_context(open_client(valkey.url))
        app = AnswersApp(client, Truth(), express=True)
        app.endpoint.engine.operations.prepare(QUERY)
        async with Connection(await stack.enter_async_context(recognising(app))) as connection:
            await connection.ask(REQUEST, 3)
            valkey.pause()
            connection.writer.write(REQUEST)
            await asyncio.sleep(0.1)
            await app.close()
            await clients.aclose()
            with pytest.raises((EOFError, OSError)):
                await connection.read()
            assert app.truth.versions["a"] == 3
    assert performed[-1] == 499


async def paused_later(stack: AsyncExitStack) -> tuple[ValkeyServer, AnswersApp, AsyncExitStack]:
    """An app on an engine of its own, and where to enter its server; `stack` closes them."""
    valkey = stack.enter_context(ValkeyServer())
    app = AnswersApp(await stack.enter_async_context(open_client(valkey.url)), Truth(), express=True)
    stack.push_async_callback(app.close)
    app.endpoint.engine.operations.prepare(QUERY)
    return valkey, app, await stack.enter_async_context(AsyncExitStack())


def split(response: Response) -> None:
    """Set a header that would be two."""
    response.headers["x-a"] = "a\r\nx-b: b"


def name(response: Response) -> None:
    """Set a header whose name has a blank."""
    response.headers["x a"] = "a"


def beyond(response: Response) -> None:
    """Set a status that HTTP does not have."""
    response.status_code = 999


def unchanged(response: Response) -> None:
    """Set a status whose answers have no body."""
    response.status_code = 304


def empty(response: Response) -> None:
    """Set another one."""
    response.status_code = 204


@pytest.mark.parametrize("recognised", [True, False])
@pytest.mark.parametrize(
    ("change", "status"), [(split, 500), (name, 500), (beyond, 500), (unchanged, 304), (empty, 204)]
)
async def test_what_http_cannot_carry_is_not_sent(
    client: Client, performed: list[int], change: Callable[[Response], None], status: int, *, recognised: bool
) -> None:
    """A resolver cannot put a header or an answer of its own between the others, and the next answer is read well."""
    asked = 0

    def sight(sight: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            change(sight.response)
        return sight

    app = AnswersApp(client, Truth(), express=True, sight=sight)
    app.endpoint.engine.operations.prepare(QUERY)
    state = {EXPRESS: app.endpoint.express} if recognised else {}
    async with serving(app.endpoint, http=HttpProtocol, state=state) as port, Connection(port) as connection:
        answers = await connection.ask(REQUEST, 4)
    assert [answer.status for answer in answers] == [200, 200, status, 200]
    assert b"x-b" not in answers[2].headers
    assert b"write" not in answers[2].body
    assert performed == ([200, status, 200] if recognised else [])
    await app.close()


async def test_a_resolver_can_end_the_connection(client: Client, performed: list[int]) -> None:
    """After an answer with ``Connection: close`` the connection is closed, as uvicorn does."""

    def sight(sight: Any) -> Any:
        if app.truth.versions.get("a") == 2:
            sight.response.headers["connection"] = "close"
        return sight

    app = AnswersApp(client, Truth(), express=True, sight=sight)
    app.endpoint.engine.operations.prepare(QUERY)
    async with recognising(app) as port, Connection(port) as connection:
        await connection.ask(REQUEST, 2)
        connection.writer.write(REQUEST)
        answer = await connection.read()
        assert (answer.body, answer.headers[b"connection"]) == (b'{"data":{"write":3}}', b"close")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await connection.ask(REQUEST)
    assert performed == [200, 200]
    await app.close()


async def test_a_large_body_is_refused(client: Client, performed: list[int]) -> None:
    """The bound of a body holds for a head that is known."""
    text = "mutation Write($key: String!) { write(key: $key) }"
    app = AnswersApp(client, Truth(), express=True, bounds=Bounds(body=300))
    app.endpoint.engine.operations.prepare(text)
    async with recognising(app) as port, Connection(port) as connection:
        bodies = [orjson.dumps({"query": text, "variables": {"key": key}}) for key in ("a", "a", "a" * 300)]
        answers = [(await connection.ask(post(body)))[0] for body in bodies]
    assert [answer.status for answer in answers] == [200, 200, 413]
    assert performed == [200]
    await app.close()


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
            port = await stack.enter_async_context(recognising(app))
            async with Connection(port) as connection:
                await connection.ask(asked, 3)
                valkey.kill()
                answer = (await connection.ask(asked))[0]
                assert answer.status == 503
                assert orjson.loads(answer.body)["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
                assert performed == [200, 200, 503]
    assert app.truth.versions["a"] == 3
