"""A client that hangs up: its queries end with it, its mutations do not, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING

import pytest
import strawberry
from websockets import Subprotocol
from websockets.asyncio.client import connect

from graph.endpoint import GraphQLEndpoint
from graph.server.http_express import HttpProtocol
from harness.waiting import within
from tests.support.apps.serving import serving
from tests.support.apps.small import Scene, Tokens, make_admission

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.client import Client

"""Less than the deadline of an operation, which would end them too."""


class Stage:
    """Operations that wait to be let go, and what became of them."""

    def __init__(self) -> None:
        self.began = asyncio.Semaphore(0)
        self.cancelled = asyncio.Semaphore(0)
        self.done = asyncio.Semaphore(0)
        self.go_on = asyncio.Event()

    async def wait(self) -> str:
        self.began.release()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.release()
            raise
        self.done.release()
        return "done"


@pytest.fixture
def stage() -> Stage:
    """The state of one test."""
    return Stage()


@pytest.fixture
async def port(client: Client, stage: Stage) -> AsyncIterator[int]:
    """A server of the stage's operations."""

    async def hello() -> str:
        return "hello"

    wait = strawberry.field(stage.wait)
    query = strawberry.type(type("Query", (), {"wait": wait, "hello": strawberry.field(hello)}))
    mutation = strawberry.type(type("Mutation", (), {"wait": strawberry.field(stage.wait)}))
    endpoint = GraphQLEndpoint(
        strawberry.Schema(query, mutation),
        authenticator=Tokens(),
        admission=make_admission(client),
        context=lambda caller, _, response: Scene(caller, response),
    )
    async with endpoint, serving(endpoint, http=HttpProtocol) as port:
        yield port


def post(asked: object, *headers: str) -> bytes:
    """A POST of `asked` as JSON."""
    body = json.dumps(asked).encode()
    lines = ["POST /graphql HTTP/1.1", "Host: t", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *headers, "", ""]).encode() + body


HANG = {"query": "{ wait }"}
HELLO = {"query": "{ hello }"}
MUTATE = {"query": "mutation { wait }"}
STREAM = "Accept: text/event-stream"


@pytest.mark.parametrize(
    ("sent", "operations"),
    [(post(HANG), 1), (post([HANG, HELLO, HANG]), 2), (post(HANG, STREAM), 1), (post(HANG) + post(HELLO), 1)],
    ids=["one", "batch", "event stream", "pipelined"],
)
async def test_a_query_ends_with_its_client(
    port: int, stage: Stage, sent: bytes, operations: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The resolver of a client that hung up is cancelled at once, and nothing is logged."""
    caplog.set_level(logging.INFO, "uvicorn.error")
    async with within("the operations to be cancelled"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        for _ in range(operations):
            await stage.began.acquire()
        writer.close()
        for _ in range(operations):
            await stage.cancelled.acquire()
        await _unharmed(port)
    assert not caplog.records


async def _unharmed(port: int) -> None:
    """A next client is answered, twice on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(2):
        writer.write(post(HELLO))
        assert (await reader.readuntil(b'{"data":{"hello":"hello"}}')).startswith(b"HTTP/1.1 200")
    writer.close()


@pytest.mark.parametrize(
    "sent",
    [post(MUTATE), post([MUTATE, HELLO]), post(MUTATE, STREAM), post(MUTATE) + post(HELLO)],
    ids=["one", "batch", "event stream", "pipelined"],
)
async def test_a_mutation_runs_to_its_end(port: int, stage: Stage, sent: bytes) -> None:
    """What a client began and did not wait for is finished."""
    async with within("the mutation to end"):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(sent)
        await stage.began.acquire()
        writer.close()
        await _unharmed(port)
        stage.go_on.set()
        await stage.done.acquire()
    assert stage.cancelled.locked()


async def test_a_socket_takes_its_queries_along_and_leaves_its_mutations(port: int, stage: Stage) -> None:
    """Over a WebSocket it is the same: the query is cancelled, the mutation finished."""
    async with within("the socket's query to be cancelled, and its mutation to end"):
        socket = await connect(f"ws://127.0.0.1:{port}/", subprotocols=[Subprotocol("graphql-transport-ws")])
        await socket.send('{"type": "connection_init"}')
        await socket.recv()
        for key, asked in (("a", HANG), ("b", MUTATE)):
            await socket.send(json.dumps({"id": key, "type": "subscribe", "payload": asked}))
            await stage.began.acquire()
        await socket.close()
        await stage.cancelled.acquire()
        await _unharmed(port)
        assert stage.cancelled.locked()
        stage.go_on.set()
        await stage.done.acquire()


async def test_others_on_the_connection_are_answered(port: int, stage: Stage) -> None:
    """A kept connection goes on after queries that took a while, pipelined ones too, and its end hurts nobody."""
    async with within("the others to be answered"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(HANG) + post(HELLO) + post(HANG))
        await stage.began.acquire()
        stage.go_on.set()
        for body in (b'"done"}}', b'"hello"}}', b'"done"}}'):
            assert (await reader.readuntil(body)).startswith(b"HTTP/1.1 200")
        await stage.began.acquire()  # the second of them: what is waited for below is the third
        stage.go_on.clear()
        writer.write(post(HELLO) + post(HANG))
        await reader.readuntil(b'"hello"}}')
        await stage.began.acquire()
        writer.close()
        await stage.cancelled.acquire()
        await _unharmed(port)


async def test_another_cancellation_is_not_taken_for_a_leaving(
    port: int, stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """A query that is cancelled for another reason, as by a server that stops, ends as it did before."""
    caplog.set_level(logging.INFO, "uvicorn.error")
    async with within("the operation to be cancelled"):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(HANG))
        await stage.began.acquire()
        [task] = [one for one in asyncio.all_tasks() if "run_asgi" in repr(one)]
        task.cancel()
        await stage.cancelled.acquire()
        assert (await reader.readline()).startswith(b"HTTP/1.1 500")
        writer.close()
    [record] = caplog.records
    assert record.exc_info is not None
    assert record.exc_info[0] is asyncio.CancelledError
