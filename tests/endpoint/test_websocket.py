from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any, cast

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from graph.endpoint.identity import Anonymous, Caller
from graph.endpoint.subscriptions import PiecesFormat, Sink, errors_json
from graph.endpoint.websocket import SUBPROTOCOL, SocketLimits, WebSockets
from graph.patterns.client import RedisUnavailable
from harness.waiting import until, within
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from starlette.datastructures import Headers
    from starlette.requests import HTTPConnection

    from graph.endpoint.document import OperationRequest


class Doorman(Anonymous):
    """Signs in whoever presents a token that is in `sessions`."""

    def __init__(self) -> None:
        self.sessions = {"ada"}
        self.watchers: list[Callable[[], None]] = []
        self.away = False

    async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:
        await asyncio.sleep(0)
        token = self.token(connection.headers, payload)
        if self.away and token:
            raise RedisUnavailable("away")
        return Caller(self.address(connection), user=token if token in self.sessions else None)

    def token(self, headers: Headers, payload: Mapping[str, Any] | None = None) -> str | None:
        return (payload or {}).get("authorization") or headers.get("authorization")

    def watch(self, caller: Caller, on_ended: Callable[[], None]) -> Callable[[], None]:
        self.watchers.append(on_ended)
        return lambda: self.watchers.remove(on_ended)


class Clockwork:
    """Runs the few operations that the tests send: {ask}, {refused}, {slow}, and subscriptions fed by the test."""

    def __init__(self) -> None:
        self.followers: dict[str, Sink] = {}
        self.closed: list[str] = []
        self.running = 0
        self.callers: list[Caller] = []

    async def run(
        self,
        request: OperationRequest,
        caller: Caller,
        connection: HTTPConnection,
        sink: Sink,
        form: PiecesFormat = PiecesFormat.LEGACY,
    ) -> Callable[[], None] | None:
        self.running += 1
        self.callers.append(caller)
        try:
            return await self._run(request, caller, sink)
        finally:
            self.running -= 1

    def errors(self, error: Exception) -> str:
        raise NotImplementedError from error

    async def follower(self, name: str) -> Sink:
        await until(lambda: name in self.followers)
        return self.followers[name]

    async def _run(self, request: OperationRequest, caller: Caller, sink: Sink) -> Callable[[], None] | None:
        match request.query:
            case "{ask}":
                sink.next(json.dumps({"data": {"ask": caller.user}}))
                sink.complete()
            case "{refused}":
                sink.error(errors_json("TOO_DEEP", "too deep"))
            case None:
                sink.next(json.dumps({"data": {"named": request.document_id}}))
                sink.complete()
            case "{slow}":
                await asyncio.sleep(60)
            case _:
                name = str(request.query)
                self.followers[name] = sink
                return lambda: self.closed.append(name)
        return None


class Peer:
    """A client that speaks the protocol by hand."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def say(self, **message: Any) -> None:
        await self.connection.send(json.dumps(message))

    async def ask(self, key: str, query: str, **payload: Any) -> None:
        await self.say(id=key, type="subscribe", payload={"query": query, **payload})

    async def hear(self) -> dict[str, Any]:
        async with within("the next message"):
            return json.loads(await self.connection.recv())

    async def closed(self) -> tuple[int, str]:
        async with within("the socket to be closed"):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.connection.recv()
        return cast("int", self.connection.close_code), self.connection.close_reason or ""


class House:
    """A served endpoint and its innards."""

    def __init__(self, limits: SocketLimits) -> None:
        self.doorman = Doorman()
        self.clockwork = Clockwork()
        self.app = WebSockets(self.clockwork, self.doorman, limits)
        self.port = 0

    @contextlib.asynccontextmanager
    async def open(self, protocol: str | None = SUBPROTOCOL) -> AsyncGenerator[Peer]:
        protocols = [Subprotocol(protocol)] if protocol else None
        uri = f"ws://127.0.0.1:{self.port}/graphql"
        async with connect(uri, subprotocols=protocols, compression=None, ping_interval=None) as connection:
            yield Peer(connection)

    @contextlib.asynccontextmanager
    async def greeted(self, payload: dict[str, Any] | None = None) -> AsyncGenerator[Peer]:
        async with self.open() as peer:
            await peer.say(type="connection_init", payload=payload)
            assert await peer.hear() == {"type": "connection_ack"}
            yield peer


@contextlib.asynccontextmanager
async def house(**limits: Any) -> AsyncGenerator[House]:
    """Serve the protocol with `limits`."""
    built = House(SocketLimits(**limits))
    before = asyncio.all_tasks()
    async with serving(built.app) as port:
        built.port = port
        yield built
    await until(lambda: not asyncio.all_tasks() - before)


async def test_a_query_is_answered_and_its_id_is_free_again() -> None:
    """A query gives next and complete; the same id may then be used once more."""
    async with house() as served, served.greeted() as peer:
        for _ in range(2):
            await peer.ask("1", "{ask}")
            assert await peer.hear() == {"id": "1", "type": "next", "payload": {"data": {"ask": None}}}
            assert await peer.hear() == {"id": "1", "type": "complete"}


async def test_a_refused_operation_leaves_the_socket_and_its_neighbours_alone() -> None:
    """A refusal is an error message with its code; other operations go on."""
    async with house() as served, served.greeted() as peer:
        await peer.ask("feed", "feed")
        await peer.ask("1", "{refused}")
        refused = await peer.hear()
        assert (refused["id"], refused["type"]) == ("1", "error")
        assert refused["payload"][0]["extensions"]["code"] == "TOO_DEEP"
        served.clockwork.followers["feed"].next('{"data":{"n":1}}')
        assert await peer.hear() == {"id": "feed", "type": "next", "payload": {"data": {"n": 1}}}


async def test_an_id_of_any_text_is_spliced_in_as_json() -> None:
    """Ids with quotes, control characters and emoji come back as they were sent."""
    async with house() as served, served.greeted() as peer:
        for key in ['"', "\\", "\n", "ключ 🔑", "}{"]:
            await peer.ask(key, "{ask}")
            assert (await peer.hear())["id"] == key
            assert await peer.hear() == {"id": key, "type": "complete"}


BROKEN: list[tuple[str, int]] = [
    ("", 4400),
    ("x", 4400),
    ("1", 4400),
    ("null", 4400),
    ("[]", 4400),
    ('"text"', 4400),
    ("{}", 4400),
    ('{"type":null}', 4400),
    ('{"type":"start"}', 4400),
    ('{"type":"next","id":"1"}', 4400),
    ('{"type":["subscribe"]}', 4400),
    ('{"type":"connection_init"}', 4429),
    ('{"type":"ping","payload":1}', 4400),
    ('{"type":"pong","payload":[]}', 4400),
    ('{"type":"complete"}', 4400),
    ('{"type":"complete","id":1}', 4400),
    ('{"type":"subscribe"}', 4400),
    ('{"type":"subscribe","id":"1"}', 4400),
    ('{"type":"subscribe","id":"","payload":{"query":"{ask}"}}', 4400),
    ('{"type":"subscribe","id":1,"payload":{"query":"{ask}"}}', 4400),
    ('{"type":"subscribe","id":null,"payload":{"query":"{ask}"}}', 4400),
    ('{"type":"subscribe","id":"1","payload":[]}', 4400),
    ("[" * 5000, 4400),
    ('{"a":' * 5000, 4400),
    ('{"type":"ping","payload":{"n":' + "9" * 5000 + "}}", 4400),
    ('{"type":"\\ud800"}', 4400),
    (json.dumps({"type": "ping", "payload": {"x": "y" * 100_000}}), 1009),
]


async def test_a_message_that_breaks_the_protocol_closes_the_socket_with_its_code() -> None:
    """Every malformed message ends its own socket with the code of the protocol, and the server serves the next."""
    async with house() as served:
        for text, code in BROKEN:
            async with served.greeted() as peer:
                await peer.connection.send(text)
                assert (await peer.closed())[0] == code, text[:80]
        async with served.greeted() as peer:
            await peer.connection.send(b"\x00binary")
            assert (await peer.closed())[0] == 4400
        async with served.greeted() as peer:
            await peer.ask("1", "{ask}")
            assert (await peer.hear())["type"] == "next"


async def test_a_document_may_be_named_by_its_id() -> None:
    """``documentId`` reaches the runner as over HTTP; a member that nobody knows is no mistake."""
    async with house() as served, served.greeted() as peer:
        await peer.say(id="1", type="subscribe", payload={"documentId": "abc", "unknown": {"x": 1}})
        assert await peer.hear() == {"id": "1", "type": "next", "payload": {"data": {"named": "abc"}}}
        assert await peer.hear() == {"id": "1", "type": "complete"}


async def test_members_that_make_no_sense_are_an_error_of_their_operation() -> None:
    """The socket, and what else runs on it, stays; the id is free again."""
    async with house() as served, served.greeted() as peer:
        await peer.ask("feed", "feed")
        sink = await served.clockwork.follower("feed")
        wrong: list[dict[str, Any]] = [
            {"query": 1},
            {"query": "{ask}", "variables": []},
            {"query": "{ask}", "variables": "x"},
            {"query": "{ask}", "operationName": {}},
            {"query": "{ask}", "extensions": 7},
            {"documentId": 5},
        ]
        for members in wrong:
            await peer.say(id="1", type="subscribe", payload=members)
            answer = await peer.hear()
            assert (answer["id"], answer["type"]) == ("1", "error")
            assert answer["payload"][0]["extensions"] == {"code": "BAD_REQUEST"}
        await peer.ask("1", "{ask}")
        assert (await peer.hear())["type"] == "next"
        assert (await peer.hear())["type"] == "complete"
        sink.next('{"data":{"n":1}}')
        assert (await peer.hear())["id"] == "feed"


@pytest.mark.parametrize("payload", [1, "x", [], True])
async def test_an_init_payload_is_an_object_or_nothing(payload: object) -> None:
    """A payload of another type closes the socket; null and a missing one are legal."""
    async with house() as served:
        async with served.open() as peer:
            await peer.say(type="connection_init", payload=payload)
            assert (await peer.closed())[0] == 4400
        async with served.open() as peer:
            await peer.say(type="connection_init")
            assert await peer.hear() == {"type": "connection_ack"}


async def test_an_operation_before_the_acknowledgement_closes_the_socket() -> None:
    """Nothing runs before connection_init."""
    async with house() as served, served.open() as peer:
        await peer.ask("1", "{ask}")
        assert await peer.closed() == (4401, "Unauthorized")
        assert not served.clockwork.callers


async def test_an_id_in_use_closes_the_socket() -> None:
    """Two operations cannot share an id while the first one runs."""
    async with house() as served, served.greeted() as peer:
        await peer.ask("1", "feed")
        await served.clockwork.follower("feed")
        await peer.ask("1", "{ask}")
        assert await peer.closed() == (4409, "Subscriber for 1 already exists")
        assert served.clockwork.closed == ["feed"]


async def test_a_socket_without_the_subprotocol_is_closed() -> None:
    """The legacy protocol, another one and none at all are told 4406."""
    async with house() as served:
        for protocol in ("graphql-ws", "mqtt", None):
            async with served.open(protocol) as peer:
                assert (await peer.closed())[0] == 4406


async def test_a_socket_that_never_initialises_is_closed() -> None:
    """Without connection_init the socket ends at the time-out, and pongs do not put it off."""
    async with house(init_timeout=0.1) as served, served.open() as peer:
        await peer.say(type="pong")
        assert (await peer.closed())[0] == 4408


async def test_a_ping_is_answered_with_its_payload() -> None:
    """The server answers pings before and after the acknowledgement."""
    async with house() as served, served.open() as peer:
        await peer.say(type="ping", payload={"n": 1})
        assert await peer.hear() == {"type": "pong", "payload": {"n": 1}}
        await peer.say(type="ping")
        assert await peer.hear() == {"type": "pong"}


async def test_a_client_without_pongs_is_closed_and_one_with_pongs_is_kept() -> None:
    """The server pings by itself, and gives up on a client that does not answer in time."""
    async with house(ping_interval=0.05, pong_timeout=1.5) as served:
        async with served.greeted() as peer:
            assert (await peer.closed())[0] == 4499
        async with served.greeted() as peer:
            for _ in range(40):  # 2 s at least
                assert await peer.hear() == {"type": "ping"}
                await peer.say(type="pong")


async def test_results_of_any_length_arrive_as_they_are() -> None:
    """Frames have a length of one, three or nine bytes; a peer that reads them finds each text as it was."""
    around = '{"id":"1","type":"next","payload":""}'
    async with house() as served, served.greeted() as peer:
        await peer.ask("1", "feed")
        feed = await served.clockwork.follower("feed")
        for size in (len(around), 125, 126, 127, 255, 256, 65_535, 65_536, 65_545, 65_546, 900_000):
            room = size - len(around)
            text = "é" * (room // 2) + "x" * (room % 2)
            feed.next(f'"{text}"')
            assert await peer.hear() == {"id": "1", "type": "next", "payload": text}
        await peer.ask("2", "{ask}")
        assert (await peer.hear())["id"] == "2"


async def test_a_completed_subscription_says_no_more() -> None:
    """After the client's complete its source is closed and no message bears its id."""
    async with house() as served, served.greeted() as peer:
        await peer.ask("1", "feed")
        await peer.ask("2", "{ask}")
        assert (await peer.hear())["id"] == "2"
        await peer.say(id="1", type="complete")
        await peer.say(id="unknown", type="complete")
        await peer.say(type="ping")
        await peer.hear()
        assert await peer.hear() == {"type": "pong"}
        assert served.clockwork.closed == ["feed"]
        served.clockwork.followers["feed"].next("{}")
        await peer.ask("3", "{ask}")
        assert (await peer.hear())["id"] == "3"


async def test_operations_end_with_their_socket() -> None:
    """A client that vanishes leaves no running operation and no open source behind."""
    async with house() as served:
        async with served.greeted() as peer:
            await peer.ask("1", "feed")
            await peer.ask("2", "{slow}")
            await peer.ask("3", "{ask}")
            await peer.hear()
        await until(lambda: not (served.clockwork.running or not served.clockwork.closed))


async def test_operations_of_one_socket_are_bounded() -> None:
    """An operation too many is refused by an error, and the others run on."""
    async with house(operations=2) as served, served.greeted() as peer:
        await peer.ask("1", "feed")
        await peer.ask("2", "other")
        await peer.ask("3", "{ask}")
        refused = await peer.hear()
        assert (refused["id"], refused["payload"][0]["extensions"]["code"]) == ("3", "TOO_MANY_OPERATIONS")
        await peer.say(id="2", type="complete")
        await peer.ask("3", "{ask}")
        assert (await peer.hear())["type"] == "next"


async def test_the_payload_signs_in_and_the_end_of_the_session_closes_the_socket() -> None:
    """A revoked session's socket is closed with 4403, its subscriptions with it."""
    async with house() as served, served.greeted({"authorization": "ada"}) as peer:
        await peer.ask("1", "{ask}")
        assert (await peer.hear())["payload"] == {"data": {"ask": "ada"}}
        await peer.hear()
        await peer.ask("2", "feed")
        await peer.ask("3", "{ask}")
        await peer.hear()
        served.doorman.watchers[0]()
        assert await peer.closed() == (4403, "The session has ended")
        assert served.clockwork.closed == ["feed"]
        assert not served.doorman.watchers


async def test_each_operation_checks_the_session_again() -> None:
    """A session that ended unnoticed is noticed by the next operation, which does not run."""
    async with house() as served, served.greeted({"authorization": "ada"}) as peer:
        served.doorman.sessions.clear()
        await peer.ask("1", "{ask}")
        assert (await peer.closed())[0] == 4403
        assert not served.clockwork.callers


async def test_while_sessions_cannot_be_checked_operations_are_refused_and_the_socket_lives() -> None:
    """With Redis away a signed-in client hears UNAVAILABLE, and goes on by itself afterwards."""
    async with house() as served:
        served.doorman.away = True
        async with served.greeted({"authorization": "ada"}) as peer:
            await peer.ask("1", "{ask}")
            assert (await peer.hear())["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
            served.doorman.away = False
            await peer.ask("1", "{ask}")
            assert (await peer.hear())["payload"] == {"data": {"ask": "ada"}}


BIG = json.dumps({"data": {"text": "x" * 100_000}})


async def test_a_slow_client_is_ended_with_its_cursor_and_delays_nobody() -> None:
    """A client that stops reading loses its stream with SLOW_CONSUMER; its neighbour hears every event meanwhile."""
    async with house(queue=10) as served, served.greeted() as slow, served.greeted() as quick:
        await slow.ask("1", "slow feed")
        await quick.ask("1", "quick feed")
        await quick.ask("2", "{ask}")
        await quick.hear()
        await quick.hear()
        followers = served.clockwork.followers
        await served.clockwork.follower("slow feed")
        count = 0
        while not served.clockwork.closed:
            count += 1
            followers["slow feed"].next(BIG, cursor=str(count))
            followers["quick feed"].next(json.dumps({"n": count}))
            assert (await quick.hear())["payload"] == {"n": count}
        heard: list[dict[str, Any]] = []
        while not heard or heard[-1]["type"] == "next":
            heard.append(await slow.hear())
        assert heard[-1]["type"] == "error"
        facts = heard[-1]["payload"][0]["extensions"]
        assert facts == {"code": "SLOW_CONSUMER", "cursor": str(len(heard) - 1)}
        assert count > len(heard) - 1 > 0


async def test_latest_results_replace_each_other_while_the_client_is_slow() -> None:
    """A conflated stream never ends a slow client: it skips to the newest state, in order."""
    async with house(queue=10) as served, served.greeted() as peer:
        await peer.ask("1", "feed")
        feed = await served.clockwork.follower("feed")
        total = 300
        for count in range(1, total + 1):
            feed.latest(json.dumps({"n": count, "pad": "x" * 100_000}))
        heard: list[int] = []
        while not heard or heard[-1] != total:
            heard.append((await peer.hear())["payload"]["n"])
        assert heard == sorted(set(heard))
        assert len(heard) < total


async def test_nothing_replaces_the_end() -> None:
    """A state that comes after the end takes the place of nothing that waits: a slow client hears the end."""
    async with house(queue=10) as served, served.greeted() as peer:
        await peer.ask("1", "feed")
        feed = await served.clockwork.follower("feed")
        while not feed.busy:
            feed.latest(BIG)
        feed.latest('"the last"')
        feed.complete()
        feed.latest('"too late"')
        heard = [await peer.hear()]
        while heard[-1]["type"] == "next":
            heard.append(await peer.hear())
        assert heard[-1] == {"id": "1", "type": "complete"}
        assert heard[-2]["payload"] == "the last"
