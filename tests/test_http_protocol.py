"""The server's own HTTP protocol: ready answers go out whole, and uvicorn goes on as if it had sent them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

import orjson
import pytest

from graph.endpoint.observe import AccessLog, Observed
from graph.http_protocol import HttpProtocol, UvicornExchange
from tests.support.answers_app import AnswersApp
from tests.support.asgi import serving
from tests.support.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.client import Client

BODY = b'{"query": "query Thing { thing(key: \\"a\\") { version } }"}'
DATA = b'{"data":{"thing":{"version":1}}}'


def request(*, version: bytes = b"1.1", extra: bytes = b"") -> bytes:
    """A POST of BODY."""
    head = b"POST /graphql HTTP/%b\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n"
    return head % (version, len(BODY), extra) + BODY


class Connection:
    """A client that reads answers one by one."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def answer(self) -> tuple[dict[bytes, bytes], bytes]:
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            status, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
            assert status == b"HTTP/1.1 200 OK"
            headers: dict[bytes, bytes] = {}
            for line in lines:
                name, _, value = line.partition(b": ")
                assert headers.setdefault(name, value) is value
            return headers, await self.reader.readexactly(int(headers[b"content-length"]))

    async def ask(self, times: int = 1) -> list[tuple[dict[bytes, bytes], bytes]]:
        answers: list[tuple[dict[bytes, bytes], bytes]] = []
        for _ in range(times):
            self.writer.write(request())
            answers.append(await self.answer())
        return answers


@pytest.fixture
def expressed(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each ready answer was sent."""
    seen: list[bool] = []
    send = UvicornExchange.answer

    def answer(self: UvicornExchange, head: bytes, body: bytes) -> bool:
        seen.append(send(self, head, body))
        return seen[-1]

    monkeypatch.setattr(UvicornExchange, "answer", answer)
    return seen


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
    async with serving(app.endpoint, http=HttpProtocol) as port, Connection(port) as connection:
        answers = await connection.ask(10)
        assert expressed == [True] * len(expressed)
        assert len(expressed) >= 7
        assert {body for _, body in answers} == {DATA}
        assert len({tuple(headers) for headers, _ in answers[1:]}) == 1
        assert b"date" in answers[-1][0]


async def test_requests_sent_ahead_are_answered_in_order(app: AnswersApp, expressed: list[bool]) -> None:
    """Ten pipelined requests get ten whole answers, the budget falling from one to the next."""
    async with serving(app.endpoint, http=HttpProtocol) as port, Connection(port) as connection:
        await connection.ask(4)
        connection.writer.write(request() * 10)
        left = [int((await connection.answer())[0][b"x-ratelimit-remaining"]) for _ in range(10)]
        assert left == list(range(left[0], left[0] - 10, -1))
        assert len(expressed) >= 10


async def test_a_body_in_pieces_takes_the_usual_way(app: AnswersApp, expressed: list[bool]) -> None:
    """A body that has not come whole when its request begins is waited for by the endpoint, not by the shortcut."""
    async with serving(app.endpoint, http=HttpProtocol) as port, Connection(port) as connection:
        await connection.ask(4)
        before = len(expressed)
        whole = request()
        for piece in (whole[:-20], whole[-20:-5], whole[-5:]):
            connection.writer.write(piece)
            await asyncio.sleep(0.02)
        assert (await connection.answer())[1] == DATA
        assert len(expressed) == before


@pytest.mark.parametrize("closing", [{"extra": b"Connection: close\r\n"}, {"version": b"1.0"}], ids=["close", "1.0"])
async def test_a_connection_that_is_to_end_ends(app: AnswersApp, closing: dict[str, Any]) -> None:
    """Who asks for the connection to be closed gets the answer, and then the end."""
    async with serving(app.endpoint, http=HttpProtocol) as port:
        for _ in range(5):
            async with Connection(port) as connection:
                connection.writer.write(request(**closing))
                headers, body = await connection.answer()
                assert (headers[b"connection"], body) == (b"close", DATA)
                assert await connection.reader.read() == b""


async def test_a_client_that_does_not_read_is_waited_for(app: AnswersApp) -> None:
    """While a client takes nothing in, answers wait like any other's, and none is lost."""
    app.truth.versions["a"] = 1
    async with serving(app.endpoint, http=HttpProtocol) as port, Connection(port) as connection:
        await connection.ask(4)
        connection.writer.write(request() * 3000)
        await asyncio.sleep(0.3)
        for _ in range(3000):
            assert (await connection.answer())[1] == DATA


async def test_ready_answers_are_counted_and_logged(app: AnswersApp, expressed: list[bool]) -> None:
    """The access log tells the status of an answer that passed the application by, and how it was made."""
    lines: list[bytes] = []
    observed = Observed(app.endpoint, routes=("/graphql",), log=AccessLog(lines.append, style="json"))
    async with serving(observed, http=HttpProtocol) as port, Connection(port) as connection:
        await connection.ask(6)
        async with asyncio.timeout(5):
            while sum(map(bytes.count, lines, [b"\n"] * len(lines))) < 6:
                await asyncio.sleep(0.01)
    told = [orjson.loads(line) for line in b"".join(lines).splitlines()]
    assert [(one["status"], one["operation"]) for one in told] == [(200, "Thing")] * 6
    assert [one["cache"] for one in told][-3:] == ["hit"] * 3
    assert expressed
