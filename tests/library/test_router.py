"""The endpoint as a router of a plain FastAPI app."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator  # noqa: TC003 - Strawberry reads it at run time
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
import strawberry
from fastapi import Depends, FastAPI, Header, Response
from strawberry.fastapi import BaseContext
from strawberry.types import Info
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from graph.endpoint import Bounds, Scope, cached
from graph.endpoint.websocket import SUBPROTOCOL
from graph.library import FastGraphQL, RateLimit, Redis
from harness.subscriber import subscriber
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


def of(info: Info, name: str) -> Any:
    """What the context has under `name`; None where it has nothing."""
    context: Any = info.context
    return context.get(name) if isinstance(context, dict) else getattr(context, name, None)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field
    def told(self, info: Info) -> str:
        """What the context has."""
        return str(of(info, "told"))

    @strawberry.field
    def who(self, info: Info) -> str | None:
        """The user."""
        return of(info, "caller").user

    @strawberry.field
    def marked(self, info: Info) -> int:
        """Sets a header, and has something done after the answer."""
        of(info, "response").headers["x-resolver"] = "1"
        of(info, "background_tasks").add_task(DONE.append, "background")
        return 1

    @strawberry.field
    def connected(self, info: Info) -> str | None:
        """What the client told when it connected."""
        told: dict[str, str] = of(info, "connection_params") or {}
        return told.get("authorization")

    @strawberry.field
    async def noted(self, info: Info, word: str) -> list[str]:
        """All words that operations with this context have noted."""
        if of(info, "words") is None:
            info.context["words"] = []
        words: list[str] = of(info, "words")
        words.append(word)
        await asyncio.sleep(0)
        return words

    @strawberry.field
    def deep(self) -> Query:
        """Itself."""
        return Query()


@strawberry.type
class Subscription:
    """Streams."""

    @strawberry.subscription
    async def count(self, info: Info, to: int) -> AsyncGenerator[str]:
        """Numbers, with what the context has."""
        for number in range(to):
            yield f"{number} {info.context.get('told')}"


DONE: list[str] = []
EXPIRED: set[str] = set()
SCHEMA = strawberry.Schema(Query, subscription=Subscription)


@pytest.fixture(autouse=True)
def _fresh() -> None:
    DONE.clear()
    EXPIRED.clear()


def app_of(router: FastGraphQL, prefix: str = "/graphql") -> FastAPI:
    """A plain app."""
    app = FastAPI()
    app.include_router(router, prefix=prefix)
    return app


def client_of(app: FastAPI) -> httpx.AsyncClient:
    """A client that follows no redirect."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t")


async def ask(app: FastAPI, query: str, path: str = "/graphql", **headers: str) -> httpx.Response:
    """The answer to an operation."""
    async with client_of(app) as http:
        return await http.post(path, json={"query": query}, headers=headers)


@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/graphql?x=1"])
async def test_one_line_serves_a_schema(path: str) -> None:
    """With or without a slash, without a redirect, without a context or a limit."""
    answer = await ask(app_of(FastGraphQL(SCHEMA)), "{ deep { told } }", path)
    assert (answer.status_code, answer.json()) == (200, {"data": {"deep": {"told": "None"}}})
    assert "x-ratelimit-limit" not in answer.headers


async def test_what_it_does_not_take_is_refused_in_json() -> None:
    """Other methods, bodies and media types, and more than its bounds."""
    app = app_of(FastGraphQL(SCHEMA, bounds=Bounds(depth=2)))
    async with client_of(app) as http:
        put = await http.put("/graphql", json={})
        text = await http.post("/graphql", content=b"{", headers={"content-type": "application/json"})
        deep = await http.post("/graphql", json={"query": "{ deep { deep { told } } }"})
    codes = [one.json()["errors"][0]["extensions"]["code"] for one in (put, text, deep)]
    assert codes == ["METHOD_NOT_ALLOWED", "BAD_REQUEST", "TOO_DEEP"]
    assert put.status_code == 405


class Plain:
    """A context of the app's own class."""

    def __init__(self, told: str) -> None:
        self.told = told


class Strawberrys(BaseContext):
    """A context of Strawberry's class."""

    def __init__(self, told: str) -> None:
        super().__init__()
        self.told = told


def empty() -> dict[str, Any]:
    """A dict to write into."""
    return {}


class Noting(BaseContext):
    """A context that operations write into."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []


@pytest.mark.parametrize("getter", [None, empty, Noting], ids=["none", "dict", "object"])
async def test_the_operations_of_a_batch_share_their_context(getter: Any) -> None:
    """As under Strawberry's router, so that a DataLoader loads for all of them; headers of one name count once."""
    app = app_of(FastGraphQL(SCHEMA, context_getter=getter))
    async with client_of(app) as http:
        batch = [{"query": '{ noted(word: "a") marked }'}, {"query": '{ noted(word: "b") marked }'}]
        for _ in range(2):
            answer = await http.post("/graphql", json=batch)
            assert [one["data"]["noted"] for one in answer.json()] == [["a", "b"]] * 2
            assert answer.headers.get_list("x-resolver") == ["1"]
    assert DONE == ["background"] * 4


async def test_operations_of_a_socket_do_not_share_a_dict() -> None:
    """What one puts there does not outlive it; what it sets on the response goes nowhere."""
    app = app_of(FastGraphQL(SCHEMA, context_getter=empty))
    async with Lifespan(app) as running, serving(running.app) as port, subscriber(port) as reader:
        for _ in range(2):
            asking = await reader.follow('{ noted(word: "a") marked }')
            await asking.until(1)
            assert (asking.values("noted"), asking.values("marked")) == ([["a"]], [1])


FROM_ELSEWHERE = "https://evil.example"


@pytest.mark.parametrize(
    ("headers", "opens"),
    [
        ({}, True),
        ({"Origin": FROM_ELSEWHERE}, False),
        ({"Origin": "null"}, False),
        ({"Origin": "http://{host}"}, True),
        ({"Origin": "http://shop.example"}, True),
        ({"Origin": FROM_ELSEWHERE, "Sec-Fetch-Site": "cross-site"}, False),
        ({"Origin": "http://{host}", "Sec-Fetch-Site": "same-site"}, False),
    ],
)
async def test_a_page_of_another_origin_opens_no_socket(headers: dict[str, str], *, opens: bool) -> None:
    """Its browser would send cookies along, and what a context getter makes of them nobody here can know."""
    app = app_of(FastGraphQL(SCHEMA, origins=["http://shop.example"]))
    async with Lifespan(app) as running, serving(running.app) as port:
        told = {name: text.format(host=f"127.0.0.1:{port}") for name, text in headers.items()}
        opening = connect(
            f"ws://127.0.0.1:{port}/graphql", subprotocols=[Subprotocol(SUBPROTOCOL)], additional_headers=told
        )
        if opens:
            async with opening as socket:
                assert socket.subprotocol == SUBPROTOCOL
            return
        with pytest.raises(InvalidStatus) as refused:
            await opening
        assert refused.value.response.status_code == 403
        assert json.loads(refused.value.response.body or b"")["errors"][0]["extensions"]["code"] == "CSRF_REFUSED"


EVENTS, PARTS = "text/event-stream", "multipart/mixed;subscriptionSpec=1.0"


@pytest.mark.parametrize(
    ("protocols", "socket", "types"),
    [
        ([], 4406, {}),
        ([SUBPROTOCOL], None, {}),
        (["graphql-sse"], 4406, {EVENTS: EVENTS, f"{EVENTS}, {PARTS}": EVENTS}),
        (["multipart-subscription"], 4406, {PARTS: "multipart/mixed", f"{EVENTS}, {PARTS}": "multipart/mixed"}),
    ],
    ids=["none", "WebSocket", "events", "multipart"],
)
async def test_subscriptions_go_over_the_protocols_that_are_named(
    protocols: list[str], socket: int | None, types: dict[str, str]
) -> None:
    """And over no other; queries are answered as ever."""
    app = app_of(FastGraphQL(SCHEMA, subscription_protocols=protocols))
    for accept in (EVENTS, PARTS, f"{EVENTS}, {PARTS}"):
        answer = await ask(app, "subscription { count(to: 1) }", accept=accept)
        media = answer.headers["content-type"].partition(";")[0]
        assert (answer.status_code, media) == ((200, types[accept]) if accept in types else (406, "application/json"))
    answer = await ask(app, "{ told }", accept=f"application/graphql-response+json, {EVENTS}")
    assert answer.json() == {"data": {"told": "None"}}
    async with Lifespan(app) as running, serving(running.app) as port:
        assert await closed_with(port) == socket


async def closed_with(port: int) -> int | None:
    """The code that a socket is closed with at once; None for one that is acknowledged."""
    async with connect(f"ws://127.0.0.1:{port}/graphql", subprotocols=[Subprotocol(SUBPROTOCOL)]) as socket:
        try:
            await socket.send('{"type":"connection_init"}')
            assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        except ConnectionClosed as closed:
            return None if closed.rcvd is None else closed.rcvd.code
    return None


def test_a_protocol_that_is_not_served_is_refused() -> None:
    """The legacy one of Strawberry's default among them."""
    with pytest.raises(ValueError, match="graphql-ws is not among the subscription protocols that are served"):
        FastGraphQL(SCHEMA, subscription_protocols=["graphql-transport-ws", "graphql-ws"])


async def language(accept_language: Annotated[str, Header()] = "en") -> str:
    """A dependency of FastAPI's."""
    return accept_language


Language = Annotated[str, Depends(language)]


async def as_dict(told: Language) -> dict[str, Any]:
    """A dict, from an async getter."""
    return {"told": told}


def as_strawberrys(told: Language) -> Strawberrys:
    """Strawberry's context, from a plain getter."""
    return Strawberrys(told)


def as_plain(told: Language) -> Plain:
    """Anybody's class."""
    return Plain(told)


@pytest.mark.parametrize("getter", [as_dict, as_strawberrys, as_plain])
async def test_a_context_getter_may_be_what_fastapi_knows(getter: Any) -> None:
    """Async or not, with dependencies, of any class."""
    app = app_of(FastGraphQL(SCHEMA, context_getter=getter))
    answer = await ask(app, "{ told who }", **{"accept-language": "fr"})
    assert answer.json() == {"data": {"told": "fr", "who": None}}


@pytest.mark.parametrize("getter", [None, as_dict, as_strawberrys])
async def test_a_resolver_sets_headers_and_leaves_work_for_later(getter: Any) -> None:
    """As under Strawberry's router; what a dependency sets is sent, too."""

    async def marks(response: Response) -> None:
        response.headers["x-dependency"] = "1"

    answer = await ask(app_of(FastGraphQL(SCHEMA, context_getter=getter, dependencies=[Depends(marks)])), "{ marked }")
    assert (answer.headers["x-resolver"], answer.headers["x-dependency"]) == ("1", "1")
    assert DONE == ["background"]


@strawberry.type
class Rooted:
    """Root fields of an object."""

    word: str


async def root(told: Language) -> Rooted:
    """The object."""
    return Rooted(word=told)


async def test_a_root_value_getter_gives_what_root_fields_are_resolved_on() -> None:
    """With dependencies, too; it cannot be kept."""
    schema = strawberry.Schema(Rooted)
    answer = await ask(app_of(FastGraphQL(schema, root_value_getter=root)), "{ word }", **{"accept-language": "fr"})
    assert answer.json() == {"data": {"word": "fr"}}
    with pytest.raises(TypeError, match="root value"):
        FastGraphQL(schema, root_value_getter=root, keep=Redis("redis://localhost"))


async def session() -> AsyncGenerator[str]:
    """A database session, as it were."""
    yield "open"
    DONE.append("closed")


async def with_session(told: Annotated[str, Depends(session)]) -> dict[str, Any]:
    """A context with a session."""
    return {"told": told}


async def test_a_dependency_that_yields_ends_after_the_answer() -> None:
    """A database session that a getter opened is open while resolvers run."""
    answer = await ask(app_of(FastGraphQL(SCHEMA, context_getter=with_session)), "{ told marked }")
    assert answer.json()["data"] == {"told": "open", "marked": 1}
    assert DONE == ["background", "closed"]


KEY = b"a secret of at least 32 bytes, for HMAC"


def encoded(claims: dict[str, str]) -> str:
    """A JWT."""
    head, body = (_base64(json.dumps(one).encode()) for one in ({"alg": "HS256"}, claims))
    return f"{head}.{body}.{_base64(hmac.digest(KEY, f'{head}.{body}'.encode(), hashlib.sha256))}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_jwt(token: str) -> str:
    """The user that a JWT names; raises for anything else, as libraries do."""
    _head, body, _signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(f"{body}=="))
    if not hmac.compare_digest(encoded(claims), token):
        raise PermissionError("the signature is wrong")
    if claims["sub"] in EXPIRED:
        raise TimeoutError("the token has expired")
    return claims["sub"]


async def by_database(token: str) -> str | None:
    """The user that a table has."""
    await asyncio.sleep(0)
    return {"abc": "ann"}.get(token)


@pytest.mark.parametrize(("sign_in", "good"), [(by_jwt, encoded({"sub": "ann"})), (by_database, "abc")])
async def test_a_function_signs_in(sign_in: Any, good: str) -> None:
    """A JWT or a table; a token that is no good makes a stranger."""
    app = app_of(FastGraphQL(SCHEMA, sign_in=sign_in))
    found = [
        (await ask(app, "{ who }", **headers)).json()["data"]["who"]
        for headers in ({"authorization": f"Bearer {good}"}, {"authorization": "Bearer bad"}, {})
    ]
    assert found == ["ann", None, None]


def test_over_a_websocket_and_in_each_loop_of_its_own() -> None:
    """Two runs of one app, each with a socket; the context getter's dependencies work there, too."""

    async def getter() -> dict[str, Any]:
        return {"told": "socket"}

    app = app_of(FastGraphQL(SCHEMA, context_getter=getter))

    async def follow() -> list[str]:
        async with Lifespan(app) as running, serving(running.app) as port, subscriber(port) as reader:
            counting = await reader.follow("subscription { count(to: 2) }")
            await counting.until(2)
            return counting.values("count")

    assert [asyncio.run(follow()) for _ in range(2)] == [["0 socket", "1 socket"]] * 2


class Attributed:
    """A context of the app's own class, with a place for what a client connects with."""

    connection_params: Any = None


@pytest.mark.parametrize(
    "getter", [dict, Attributed, BaseContext, Plain], ids=["dict", "own", "Strawberry's", "no place"]
)
async def test_what_a_client_connects_with_is_in_the_context(getter: Any) -> None:
    """As under Strawberry's router: in a dict, and in an object that has the attribute."""

    def context() -> Any:
        return getter("") if getter is Plain else getter()

    app = app_of(FastGraphQL(SCHEMA, context_getter=context))
    async with Lifespan(app) as running, serving(running.app) as port, subscriber(port, "ann") as reader:
        asking = await reader.follow("{ connected }")
        await asking.until(1)
        assert asking.values("connected") == [None if getter is Plain else "Bearer ann"]


async def test_a_stream_of_server_sent_events() -> None:
    """A subscription over HTTP."""
    answer = await ask(app_of(FastGraphQL(SCHEMA)), "subscription { count(to: 2) }", accept="text/event-stream")
    told = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    assert [one["data"]["count"] for one in told if "data" in one] == ["0 None", "1 None"]


async def test_the_page_for_browsers_loads_from_the_app_alone() -> None:
    """GraphiQL at the path of the endpoint, with its files below; not where it is switched off."""
    app = app_of(FastGraphQL(SCHEMA))
    async with client_of(app) as http:
        for path in ("/graphql", "/graphql/"):
            page = await http.get(path, headers={"accept": "text/html"})
            assert "content-security-policy" in page.headers
            links = [part.split('"')[0] for part in page.text.replace('src="', 'href="').split('href="')[1:]]
            assert links
            for link in links:
                assert (await http.get(page.url.join(link))).status_code == 200
        missing = await http.get("/graphql/static/none.js")
        assert missing.status_code == 404
        assert missing.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"
    plain = await ask_page(app_of(FastGraphQL(SCHEMA, graphiql=False)))
    assert plain.headers["content-type"].startswith("application/")


async def ask_page(app: FastAPI) -> httpx.Response:
    """What a browser gets."""
    async with client_of(app) as http:
        return await http.get("/graphql", headers={"accept": "text/html"})


@pytest.fixture
async def redis(client: Client, valkey: ValkeyServer) -> AsyncIterator[Redis]:
    """An empty one."""
    del client  # it emptied the server
    redis = Redis(valkey.url, prefix="test")
    yield redis
    await redis.close()


async def test_the_rate_limit_of_the_schema(redis: Redis) -> None:
    """`RateLimit` is an extension here as anywhere."""
    app = app_of(FastGraphQL(strawberry.Schema(Query, extensions=[RateLimit(redis, "2/minute")])))
    answers = [await ask(app, "{ told }") for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    assert answers[0].headers["x-ratelimit-remaining"] == "1"
    assert int(answers[2].headers["retry-after"]) > 0


@strawberry.type
class KeptQuery:
    """Reads that may be kept."""

    @strawberry.field(metadata=cached(3600, scope=Scope.VIEWER))
    def mine(self, info: Info) -> str:
        """The user's own."""
        DONE.append(str(of(info, "caller").user))
        return DONE[-1]


async def test_private_answers_are_kept_for_whoever_a_function_signs_in(redis: Redis) -> None:
    """For each user once; a stranger gets nobody's. Documents are known by their hash, and limits are charged."""
    app = app_of(
        FastGraphQL(strawberry.Schema(KeptQuery), keep=redis, sign_in=by_jwt, rates=("100/minute", "9/minute"))
    )
    tokens = {user: f"Bearer {encoded({'sub': user})}" for user in ("ann", "bob")}
    await ask(app, "{ mine }")  # makes the document known
    DONE.clear()
    for _ in range(3):
        for user, token in tokens.items():
            answer = await ask(app, "{ mine }", authorization=token)
            assert answer.json() == {"data": {"mine": user}}
            assert answer.headers["x-ratelimit-limit"] == "100"
    assert DONE == ["ann", "bob"]
    stranger = await ask(app, "{ mine }")
    assert stranger.json() == {"data": {"mine": "None"}}
    assert stranger.headers["x-ratelimit-limit"] == "9"
    digest = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(b"{ new: mine }").hexdigest()}}
    async with client_of(app) as http:
        headers = {"authorization": tokens["ann"]}
        await http.post("/graphql", json={"query": "{ new: mine }", "extensions": digest}, headers=headers)
        known = await http.post("/graphql", json={"extensions": digest}, headers=headers)
    assert known.json() == {"data": {"new": "ann"}}
    EXPIRED.add("ann")
    assert (await ask(app, "{ mine }", authorization=tokens["ann"])).json() == {"data": {"mine": "None"}}


def test_an_async_sign_in_cannot_keep_answers() -> None:
    """It is told where the router is made."""
    with pytest.raises(TypeError, match="async"):
        FastGraphQL(SCHEMA, keep=Redis("redis://localhost"), sign_in=by_database)
