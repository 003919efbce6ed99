"""The server's own HTTP protocol: ready answers go out whole, and uvicorn goes on as if it had sent them."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

import orjson
import pytest

from graph.endpoint.kept import EXPRESS
from graph.endpoint.observe import AccessLog, Observed, Tally
from graph.patterns.client import open_client
from graph.server.http_express import HttpProtocol
from harness.valkey import ValkeyServer
from harness.waiting import until, within
from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.apps.recognised import recognising
from tests.support.apps.serving import serving
from tests.support.clients.raw_http import Connection, post
from tests.support.engines.proxy import FaultProxy
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.client import Client

BODY = b'{"query": "query Thing { thing(key: \\"a\\") { version } }"}'
DATA = b'{"data":{"thing":{"version":1}}}'


REQUEST = post(BODY)


@pytest.fixture
async def app(client: Client) -> AsyncIterator[AnswersApp]:
    """An endpoint that makes a route of whatever it sees."""
    truth = Truth()
    truth.versions["a"] = 1
    made = AnswersApp(client, truth, express=True)
    made.endpoint.engine.operations.prepare('query Thing { thing(key: "a") { version } }')
    yield made
    await made.close()


async def test_ready_answers_go_out_like_all_others(app: AnswersApp, expressed: list[bool]) -> None:
    """On one kept connection, the answers sent whole have the headers and the body of those that uvicorn sent."""
    async with recognising(app) as port, Connection(port) as connection:
        answers = await connection.ask(REQUEST, 10)
        assert expressed == [True] * len(expressed)
        assert len(expressed) >= 7
        assert {answer.body for answer in answers} == {DATA}
        assert len({tuple(answer.headers) for answer in answers[1:]}) == 1
        assert b"date" in answers[-1].headers


@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize("express", [False, True])
async def test_a_warm_answer_costs_one_trip_to_redis(
    client: Client, valkey: ValkeyServer, *, express: bool, signed_in: bool
) -> None:
    """One request at a time: one write and one read for session, limit and answer; many at once share them."""
    await client.execute("SET", KeyTokens.key("ann"), 1)
    lines = b"Authorization: Bearer ann\r\n" if signed_in else b""
    request = REQUEST.replace(b"\r\n", b"\r\n" + lines, 1)
    truth = Truth()
    truth.versions["a"] = 1
    async with AsyncExitStack() as stack:
        proxy = stack.enter_context(FaultProxy(valkey.socket))
        app = AnswersApp(await stack.enter_async_context(open_client(proxy.url)), truth, express=express)
        stack.push_async_callback(app.close)
        app.endpoint.engine.operations.prepare('query Thing { thing(key: "a") { version } }')
        port = await stack.enter_async_context(recognising(app))
        connections = [await stack.enter_async_context(Connection(port)) for _ in range(16)]
        await connections[0].ask(request, 5)
        before = proxy.requests, proxy.replies
        await connections[0].ask(request, 20)
        assert (proxy.requests - before[0], proxy.replies - before[1]) == (20, 20)
        before = proxy.requests, proxy.replies
        await asyncio.gather(*[connection.ask(request, 20) for connection in connections])
        assert proxy.requests - before[0] < 320
        assert proxy.replies - before[1] < 320


async def test_requests_sent_ahead_are_answered_in_order(app: AnswersApp, expressed: list[bool]) -> None:
    """Ten pipelined requests get ten whole answers, the budget falling from one to the next."""
    async with recognising(app) as port, Connection(port) as connection:
        await connection.ask(REQUEST, 4)
        before = len(expressed)
        for pieces in ([REQUEST * 10], [REQUEST] * 10, [REQUEST, REQUEST[:40], REQUEST[40:] + REQUEST * 8]):
            for piece in pieces:
                connection.writer.write(piece)
                await asyncio.sleep(0.001)
            left = [(await connection.read()).left for _ in range(10)]
            assert left == list(range(left[0], left[0] - 10, -1))
        assert len(expressed) > before


async def test_a_body_in_pieces_takes_the_usual_way(app: AnswersApp, expressed: list[bool]) -> None:
    """A body that has not come whole when its request begins is waited for by the endpoint, not by the shortcut."""
    async with recognising(app) as port, Connection(port) as connection:
        await connection.ask(REQUEST, 4)
        before = len(expressed)
        whole = REQUEST
        for piece in (whole[:-20], whole[-20:-5], whole[-5:]):
            connection.writer.write(piece)
            await asyncio.sleep(0.02)
        assert (await connection.read()).body == DATA
        assert len(expressed) == before


@pytest.mark.parametrize("closing", [{"extra": b"Connection: close\r\n"}, {"version": b"1.0"}], ids=["close", "1.0"])
async def test_a_connection_that_is_to_end_ends(app: AnswersApp, closing: dict[str, Any]) -> None:
    """Who asks for the connection to be closed gets the answer, and then the end."""
    async with recognising(app) as port:
        for _ in range(5):
            async with Connection(port) as connection:
                connection.writer.write(post(BODY, **closing))
                answer = await connection.read()
                assert (answer.headers[b"connection"], answer.body) == (b"close", DATA)
                assert await connection.reader.read() == b""


@pytest.fixture
def paused(monkeypatch: pytest.MonkeyPatch) -> list[HttpProtocol]:
    """Connections that stopped to write, for a client that does not read: what the system takes in for it is little."""
    seen: list[HttpProtocol] = []
    begin, pause = HttpProtocol.connection_made, HttpProtocol.pause_writing

    def connection_made(self: HttpProtocol, transport: Any) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        begin(self, transport)

    def pause_writing(self: HttpProtocol) -> None:
        seen.append(self)
        pause(self)

    monkeypatch.setattr(HttpProtocol, "connection_made", connection_made)
    monkeypatch.setattr(HttpProtocol, "pause_writing", pause_writing)
    return seen


async def test_a_client_that_does_not_read_is_waited_for(app: AnswersApp, paused: list[HttpProtocol]) -> None:
    """While a client takes nothing in, answers wait like any other's, and none is lost."""
    app.truth.versions["a"] = 1
    async with recognising(app) as port, Connection(port) as connection:
        await connection.ask(REQUEST, 4)
        reading = cast("asyncio.ReadTransport", connection.writer.transport)
        reading.pause_reading()
        connection.writer.write(REQUEST * 1500)
        await until(lambda: paused)
        for _ in range(2000):
            await asyncio.sleep(0)
        assert paused[0].transport.get_write_buffer_size() < 66_000  # the mark at which asyncio pauses, and one answer
        reading.resume_reading()
        for _ in range(1500):
            assert (await connection.read()).body == DATA


async def test_ready_answers_are_counted_and_logged(client: Client, expressed: list[bool]) -> None:
    """The access log tells the status of an answer that passed the application by, and how it was made."""
    lines: list[bytes] = []
    log = AccessLog(lines.append, style="json")
    truth = Truth()
    truth.versions["a"] = 1
    app = AnswersApp(client, truth, express=True, tally=Tally("/graphql", "/graphql", log))
    app.endpoint.engine.operations.prepare('query Thing { thing(key: "a") { version } }')
    observed = Observed(app.endpoint, routes=("/graphql",), log=log)
    async with (
        serving(observed, http=HttpProtocol, state={EXPRESS: app.endpoint.express}) as port,
        Connection(port) as connection,
    ):
        await connection.ask(REQUEST, 6)
        await until(lambda: not (sum(map(bytes.count, lines, [b"\n"] * len(lines))) < 6))
    told = [orjson.loads(line) for line in b"".join(lines).splitlines()]
    assert [(one["status"], one["operation"]) for one in told] == [(200, "Thing")] * 6
    assert [one["cache"] for one in told][-3:] == ["hit"] * 3
    assert expressed


async def test_what_takes_another_way_after_all_is_answered_there(client: Client) -> None:
    """A request that is known, but over the limit, gets the refusal; those behind it get theirs, in order."""
    truth = Truth()
    truth.versions["a"] = 1
    app = AnswersApp(client, truth, express=True, limits={"anonymous": 20})
    app.endpoint.engine.operations.prepare('query Thing { thing(key: "a") { version } }')
    async with recognising(app) as port, Connection(port) as connection:
        await connection.ask(REQUEST, 18)
        for _ in range(5):
            connection.writer.write(REQUEST)
            await asyncio.sleep(0.001)
        for left in (1, 0):
            assert (await connection.read()).left == left
        for _ in range(3):
            answer = await connection.read()
            assert answer.status == 429
            assert b"RATE_LIMITED" in answer.body
    await app.close()


async def test_a_server_that_stops_answers_what_is_under_way(expressed: list[bool]) -> None:
    """A request that waits for Redis when the server is told to stop is answered, and then its connection ends."""
    truth = Truth()
    truth.versions["a"] = 1
    async with AsyncExitStack() as stack:
        valkey = stack.enter_context(ValkeyServer())
        app = AnswersApp(await stack.enter_async_context(open_client(valkey.url)), truth, express=True)
        stack.push_async_callback(app.close)
        app.endpoint.engine.operations.prepare('query Thing { thing(key: "a") { version } }')
        server = await stack.enter_async_context(AsyncExitStack())
        connection = Connection(await server.enter_async_context(recognising(app)))
        async with connection:
            await connection.ask(REQUEST, 5)
            before = len(expressed)
            valkey.pause()
            connection.writer.write(REQUEST)
            await asyncio.sleep(0.1)
            stopping = asyncio.create_task(server.aclose())
            await asyncio.sleep(0.2)
            valkey.resume()
            assert (await connection.read()).body == DATA
            assert len(expressed) == before + 1
            assert await connection.reader.read() == b""
            await stopping


async def test_a_client_that_goes_leaves_nothing_behind(app: AnswersApp, client: Client) -> None:
    """Clients that hang up amid their requests cost those of others nothing."""
    async with recognising(app) as port:
        for _ in range(50):
            async with Connection(port) as connection:
                await connection.ask(REQUEST)
                connection.writer.write(REQUEST)
        async with Connection(port) as connection:
            assert [answer.body for answer in await connection.ask(REQUEST, 5)] == [DATA] * 5


class Impatient(HttpProtocol):
    """Ends idle connections soon."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.timeout_keep_alive = 2


async def test_an_idle_connection_is_ended(app: AnswersApp, expressed: list[bool]) -> None:
    """A connection ends when nothing was asked on it for so long, and not before, however its answers were made."""
    state = {EXPRESS: app.endpoint.express}
    async with serving(app.endpoint, http=Impatient, state=state) as port, Connection(port) as connection:
        await connection.ask(REQUEST, 2)
        began = monotonic()
        for _ in range(10):
            await connection.ask(REQUEST)
            await asyncio.sleep(0.25)
        async with within("the idle connection to be ended"):
            assert await connection.reader.read() == b""
        assert monotonic() - began >= 9 * 0.25 + 1.9
    assert len(expressed) >= 10


async def test_what_is_not_one_request_is_not_recognised(app: AnswersApp) -> None:
    """A request with something behind it is read each time, and the rest gets its own answer."""
    async with recognising(app) as port:
        for _ in range(4):
            async with Connection(port) as connection:
                connection.writer.write(REQUEST + b"GARBAGE\r\n\r\n")
                assert (await connection.read()).body == DATA
                assert (await connection.reader.readline()).startswith(b"HTTP/1.1 400 ")
