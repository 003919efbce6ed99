"""Answers in pieces: what `@defer` and `@stream` stand at follows, in the format that the client reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator  # noqa: TC003 - Strawberry reads annotations at run time
from contextlib import asynccontextmanager
from random import Random
from typing import TYPE_CHECKING, Any, cast

import httpx
import pytest
from starlette.requests import HTTPConnection
from strawberry.extensions import MaskErrors, SchemaExtension
from websockets.asyncio.client import connect

from graph.endpoint.document import Bounds, OperationRequest
from graph.endpoint.execution import Answer, Ready
from graph.endpoint.identity import Caller
from harness.waiting import DEADLINES, HANG, until, within
from tests.support.apps.pieces import Gates, make_pieces
from tests.support.apps.serving import serving
from tests.support.clients.streamed import Body

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.endpoint import GraphQLEndpoint
    from graph.patterns.client import Client

SPECIFIED = {"accept": "multipart/mixed;incrementalSpec=v0.2,application/json"}
LEGACY = {"accept": "multipart/mixed;deferSpec=20220824,application/json"}
EVENTS = {"accept": "text/event-stream"}
EITHER = {"accept": "application/json, text/event-stream"}
BARE = {"accept": "multipart/mixed, application/json;q=0.5"}


def _merge(into: Any, more: dict[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict):
            _merge(into[name], cast("dict[str, Any]", value))
        else:
            into[name] = value


def assembled(told: list[dict[str, Any]]) -> Any:
    """What a client has of the pieces in the end, by the rules of their format."""
    data, paths = told[0]["data"], dict[str, Any]()
    for piece in told:
        paths |= {one["id"]: one["path"] for one in piece.get("pending", ())}
        for one in piece.get("incremental", ()):
            path = one["path"] if "path" in one else [*paths[one["id"]], *one.get("subPath", ())]
            place: Any = data
            for step in path[:-1] if "items" in one and "path" in one else path:
                place = place[step]
            if "items" in one:
                assert "path" not in one or path[-1] == len(place)
                place.extend(one["items"])
            else:
                _merge(place, one["data"])
    assert told[-1].get("hasNext", False) is False
    return data


def deferring(random: Random) -> str:
    """A query with `@defer` and `@stream` at many places, in one another."""

    def late(text: str) -> str:
        return f"... @defer {{ {text} }}" if random.random() < 0.6 else text

    def book(depth: int) -> str:
        parts = [random.choice(["id", "title", "review", "author { name }", late("author { name }")]) for _ in range(3)]
        if depth:
            parts.append(late(book(depth - 1)))
        return " ".join(late(one) for one in parts)

    def stream() -> str:
        return f"@stream(initialCount: {random.randrange(4)})" if random.random() < 0.7 else ""

    def root() -> str:
        name = random.choice(["books", "shelf", "book"])
        return f"{name}{random.randrange(9)}: {name} {stream() if name != 'book' else ''} {{ {book(2)} }}"

    return "{ " + " ".join(late(root()) for _ in range(2)) + " book { title } }"


class Recorder(SchemaExtension):
    """Notes its hooks."""

    def on_operation(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - a generator, as the hook expects
        seen = self.execution_context.context.gates.seen
        seen.append("operation")
        yield
        seen.append("operation over")

    def on_stream_result(self, result: Any) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride] - the same
        self.execution_context.context.gates.seen.append(f"next {result.has_next}")
        yield

    def get_results(self) -> dict[str, Any]:
        return {"traced": True}


class Around(SchemaExtension):
    """Is asked at each resolver."""

    def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        return _next(root, info, *args, **kwargs)


class Site:
    """The endpoint behind a real server, and a client of it."""

    def __init__(self, gates: Gates, http: httpx.AsyncClient, endpoint: GraphQLEndpoint[Any], port: int) -> None:
        self.gates = gates
        self.http = http
        self.endpoint = endpoint
        self.port = port

    @asynccontextmanager
    async def read(self, query: str, headers: dict[str, str], **variables: Any) -> AsyncGenerator[Body]:
        """Send an operation, and read its response as it comes."""
        body = {"query": query, "variables": variables}
        async with self.http.stream("POST", "/graphql", json=body, headers=headers) as response:
            yield Body(response)

    async def pieces(self, query: str, headers: dict[str, str], **variables: Any) -> list[dict[str, Any]]:
        """All pieces of an answer."""
        async with self.read(query, headers, **variables) as body:
            return parts(await body.rest())


def parts(raw: bytes) -> list[dict[str, Any]]:
    """What stands in the parts, or the events, of a body."""
    lines = raw.decode().replace("\r\n", "\n").splitlines()
    return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith(("{", "data: {"))]


@asynccontextmanager
async def open_site(client: Client, *extensions: type[SchemaExtension], **options: Any) -> AsyncGenerator[Site]:
    """A served endpoint."""
    gates = Gates()
    endpoint = make_pieces(client, gates, *extensions, **options)
    async with endpoint, serving(endpoint) as port:
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG)
        async with http:
            yield Site(gates, http, endpoint, port)


BOOK = """
query { book { title ...Rest @defer(label: "rest") } }
fragment Rest on Book { title review author { name } }
"""
REST = {"review": "Bread is good", "author": {"name": "Ann"}}


@pytest.mark.parametrize("extensions", [(), (Around,)], ids=["plain", "wrapped resolvers"])
async def test_what_is_deferred_follows_in_the_specifications_format(
    client: Client, extensions: tuple[type[SchemaExtension], ...]
) -> None:
    """The first part comes while what is deferred has not been resolved yet."""
    async with open_site(client, *extensions) as site, site.read(BOOK, SPECIFIED) as body:
        assert body.response.status_code == 200
        assert body.response.headers["content-type"] == "multipart/mixed; boundary=graphql; incrementalSpec=v0.2"
        assert body.response.headers["ratelimit"]
        first = parts(await body.until(b"hasNext"))
        pending = [{"id": "0", "path": ["book"], "label": "rest"}]
        assert first == [{"data": {"book": {"title": "Bread"}}, "pending": pending, "hasNext": True}]
        site.gates.open.set()
        _, *rest = parts(await body.rest())
        assert rest == [{"incremental": [{"id": "0", "data": REST}], "completed": [{"id": "0"}], "hasNext": False}]
        assert body.raw.endswith(b"\r\n--graphql--\r\n")


@pytest.mark.parametrize("headers", [LEGACY, BARE], ids=["said", "unsaid"])
async def test_and_in_that_of_august_2022(client: Client, headers: dict[str, str]) -> None:
    """Each piece names its path and label, and nothing is announced; so it is for who does not say what it reads."""
    async with open_site(client) as site, site.read(BOOK, headers) as body:
        assert body.response.headers["content-type"] == "multipart/mixed; boundary=graphql; deferSpec=20220824"
        assert parts(await body.until(b"hasNext")) == [{"data": {"book": {"title": "Bread"}}, "hasNext": True}]
        site.gates.open.set()
        _, *rest = parts(await body.rest())
        assert rest == [{"incremental": [{"data": REST, "path": ["book"], "label": "rest"}], "hasNext": False}]


async def test_a_list_is_streamed_while_its_source_goes_on(client: Client) -> None:
    """Items come as the source gives them, each with its place in the older format."""
    query = "{ shelf @stream(initialCount: 1) { id } }"
    async with open_site(client) as site:
        async with site.read(query, {"accept": "text/event-stream;incrementalSpec=v0.2"}) as body:
            assert body.response.headers["content-type"] == "text/event-stream; charset=utf-8"
            await body.until(b'"id":1}')
            assert b'"id":2}' not in body.raw
            site.gates.open.set()
            told = parts(await body.rest())
            assert told[0]["data"] == {"shelf": [{"id": 0}]}
            items = [item for piece in told[1:] for one in piece.get("incremental", ()) for item in one["items"]]
            assert items == [{"id": 1}, {"id": 2}]
            assert body.raw.endswith(b"event: complete\ndata: \n\n")
        told = await site.pieces(query, LEGACY)
        patches = [one for piece in told for one in piece.get("incremental", ())]
        placed = {one["path"][-1] + n: item for one in patches for n, item in enumerate(one["items"])}
        assert placed == {1: {"id": 1}, 2: {"id": 2}}
        assert site.gates.seen == ["closed", "closed"]


async def test_the_pieces_make_the_whole(client: Client, scaled: Callable[[int, int], int]) -> None:
    """Whatever is deferred and streamed, within one another or side by side: a client ends with all of it."""
    async with open_site(client, bounds=Bounds.trusted()) as site:
        site.gates.open.set()
        for seed in range(scaled(24, 12)):
            query = deferring(Random(seed))
            whole = (await site.http.post("/graphql", json={"query": query})).json()
            if "data" not in whole:  # an alias that came up twice
                continue
            for headers in (SPECIFIED, LEGACY, EVENTS):
                assert assembled(await site.pieces(query, headers)) == whole["data"], (seed, query)


@pytest.mark.parametrize("said", [{}, {"payload": {"incrementalSpec": "v0.2"}}], ids=["unsaid", "specified"])
async def test_over_a_websocket(client: Client, said: dict[str, Any]) -> None:
    """Each piece is a `next` message, in the format that the client has asked for when it connected."""
    wanted = {"id": "0", "data": REST} if said else {"data": REST, "path": ["book"], "label": "rest"}
    async with open_site(client) as site:
        url = f"ws://127.0.0.1:{site.port}/graphql"
        async with connect(url, subprotocols=["graphql-transport-ws"]) as socket, within("the answer"):  # pyright: ignore[reportArgumentType] - a plain str will do
            await socket.send(json.dumps({"type": "connection_init", **said}))
            await socket.send(json.dumps({"id": "a", "type": "subscribe", "payload": {"query": BOOK}}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            assert json.loads(await socket.recv())["payload"]["data"] == {"book": {"title": "Bread"}}
            site.gates.open.set()
            assert json.loads(await socket.recv())["payload"]["incremental"] == [wanted]
            assert json.loads(await socket.recv()) == {"id": "a", "type": "complete"}


@pytest.mark.parametrize(
    "headers", [SPECIFIED, LEGACY, EVENTS, EITHER], ids=["specified", "legacy", "events", "either"]
)
async def test_an_operation_that_defers_nothing_after_all_is_answered_as_ever(
    client: Client, headers: dict[str, str]
) -> None:
    """By a variable, or because another operation of the document is the one that does."""
    query = "query A($late: Boolean!) {book {...B @defer(if: $late)}} query C {book {title}} fragment B on Book {title}"
    async with open_site(client) as site:
        for name, variables in (("A", {"late": False}), ("C", {})):
            body = {"query": query, "operationName": name, "variables": variables}
            answer = await site.http.post("/graphql", json=body, headers=headers)
            by_events = answer.headers["content-type"].startswith("text/event-stream")
            assert by_events == (headers in (EVENTS, EITHER))
            told = parts(answer.content) if by_events else [answer.json()]
            assert told == [{"data": {"book": {"title": "Bread"}}}]


async def test_what_resolvers_set_and_what_is_refused(client: Client) -> None:
    """Headers of the first piece count; bounds and limits hold for the whole, before anything runs."""
    cookie = '{ book(cookie: "yes") { ... @defer { title } } }'
    async with open_site(client, bounds=Bounds.public()) as site:
        answer = await site.http.post("/graphql", json={"query": cookie}, headers=SPECIFIED)
        assert answer.headers["set-cookie"].startswith("seen=yes")
        assert answer.headers["content-type"].startswith("multipart/mixed")
        for query in (
            "{ ... @defer { books(first: 101) { id } } }",
            "{ books(first: 101) @stream { id } }",
            'mutation { ... @defer { rename(title: "a") { id } } }',
        ):
            answer = await site.http.post("/graphql", json={"query": query}, headers=SPECIFIED)
            assert answer.headers["content-type"].startswith("application/json")
            assert answer.json()["errors"][0]["extensions"]["code"] in {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}
        assert site.gates.seen == []


async def test_errors_of_pieces_are_masked_like_any_other(client: Client) -> None:
    """A bug is told by its id, an error with a code as it is; a fragment that cannot be null fails by itself."""
    query = "{ book { id author { ... @defer { secret } ... @defer { refused } } } }"
    async with open_site(client) as site:
        told = await site.pieces(query, SPECIFIED)
        text = json.dumps(told)
        assert "the secret is out" not in text
        bugs = [e for piece in told for one in piece.get("incremental", ()) for e in one.get("errors", ())]
        assert [one["extensions"]["code"] for one in bugs] == ["INTERNAL_SERVER_ERROR"]
        failed = [e for piece in told for one in piece.get("completed", ()) for e in one.get("errors", ())]
        assert [one["extensions"]["code"] for one in failed] == ["FORBIDDEN"]
        legacy = [one for piece in await site.pieces(query, LEGACY) for one in piece.get("incremental", ())]
        assert [one["data"] for one in legacy if "errors" in one] in (
            [{"secret": None}, None],
            [None, {"secret": None}],
        )


async def test_extensions_see_every_piece_and_may_change_its_errors(client: Client) -> None:
    """The operation is over for them when the last piece has been made; their results come with the first."""
    query = "{ book { id author { ... @defer { secret } } } }"
    async with open_site(client, Recorder, MaskErrors) as site:
        told = await site.pieces(query, SPECIFIED)
        assert told[0]["extensions"] == {"traced": True}
        assert "Unexpected error." in json.dumps(told)
        await until(lambda: site.gates.seen[-1] == "operation over")
        assert site.gates.seen[0] == "operation"
        assert site.gates.seen[1] == "next True"
        assert site.gates.seen[-2] == "next False"


async def _late(client: Client, headers: dict[str, str]) -> dict[str, Any]:
    """The last piece of an answer that was late after its first."""
    for deadline in DEADLINES:
        async with open_site(client, bounds=Bounds(deadline=deadline)) as site:
            *told, last = await site.pieces(BOOK, headers)
            if told:
                await until(lambda: site.gates.seen == ["cancelled"])
                return last
    raise AssertionError("the first piece never came in time")


async def test_a_deadline_fails_what_is_pending(client: Client) -> None:
    """It is told as an error of what is missing, and the answer ends."""
    last = await _late(client, SPECIFIED)
    (failed,) = last["completed"]
    assert failed["errors"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"
    assert last["hasNext"] is False
    last = await _late(client, LEGACY)
    (failed,) = last["incremental"]
    assert (failed["path"], failed["data"], last["hasNext"]) == (["book"], None, False)


async def test_a_deadline_that_passes_before_anything_is_sent_fails_what_is_pending(client: Client) -> None:
    """The head of the response may be slow to be sent: then the first piece is told, and the error after it."""
    place = HTTPConnection({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []})
    request, sink = OperationRequest(BOOK, {}, None, None), Slow()
    for deadline in DEADLINES:
        async with open_site(client, bounds=Bounds(deadline=deadline)) as site:
            ready = await site.endpoint.engine.ready(request, Caller("local"), place)
            assert isinstance(ready, Ready)
            follow = await site.endpoint.streams.in_pieces(ready, place)
            if isinstance(follow, Answer):
                continue  # late before its first piece
            await asyncio.sleep(2 * deadline)  # longer than is left of it
            follow(sink)
            await until(lambda: sink.ended)
            break
    first, last = sink.got
    assert first["data"] == {"book": {"title": "Bread"}}
    assert last["completed"][0]["errors"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"


async def test_a_client_that_leaves_ends_a_query_and_no_mutation(client: Client) -> None:
    """What a mutation changes is done to the end; what it defers is not."""
    async with open_site(client) as site:
        async with site.read(BOOK, SPECIFIED) as body:
            await body.until(b"hasNext")
        await until(lambda: site.gates.seen == ["cancelled"])
        rename = 'mutation { rename(title: "Soup") { title ... @defer { author { name } } } }'
        asking = asyncio.create_task(site.pieces(rename, SPECIFIED))
        await until(lambda: "renaming" in site.gates.seen)
        asking.cancel()
        await asyncio.wait([asking])
        site.gates.open.set()
        await until(lambda: site.gates.seen[-1] == "renamed")
        await until(lambda: site.endpoint.streams.groups == 0)


class Slow:
    """A `Sink` that is busy until it is asked to drain."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.busy = False
        self.hurried = 0
        self.ended = False

    def next(self, payload: str, cursor: str | None = None) -> None:
        self.got.append(json.loads(payload))
        self.hurried += self.busy
        self.busy = True

    def latest(self, payload: str, cursor: str | None = None) -> None:
        raise AssertionError(payload)

    async def drained(self) -> None:
        await asyncio.sleep(0)
        self.busy = False

    def error(self, errors: str, extensions: str = "") -> None:
        raise AssertionError(errors)

    def complete(self) -> None:
        self.ended = True


async def test_a_slow_client_is_waited_for(client: Client) -> None:
    """No piece is made while those before it wait for the client, which would otherwise be cut off."""
    place = HTTPConnection({"type": "websocket", "path": "/", "query_string": b"", "headers": []})
    async with open_site(client) as site:
        site.gates.open.set()
        request = OperationRequest("{ shelf @stream { id review } book { ... @defer { review } } }", {}, None, None)
        sink = Slow()
        assert await site.endpoint.streams.run(request, Caller("local"), place, sink) is not None
        await until(lambda: sink.ended)
        assert len(sink.got) > 2
        assert sink.hurried == 0
