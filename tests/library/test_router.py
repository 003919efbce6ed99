"""The endpoint as a router of a plain FastAPI app."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator, Generator  # noqa: TC003 - Strawberry reads it at run time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import httpx
import pytest
import strawberry
from fastapi import Depends, FastAPI, Header, Response
from strawberry.extensions import SchemaExtension
from strawberry.fastapi import BaseContext
from strawberry.permission import BasePermission
from strawberry.types import Info
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from graph.endpoint import Bounds, Scope, cached
from graph.endpoint.declare import BadPolicy
from graph.endpoint.websocket import SUBPROTOCOL
from graph.library import FastGraphQL, RateLimit, Redis
from harness.subscriber import subscriber
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import Callable


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


class Table:
    """An object that is called, as one that holds the pool of a database."""

    async def __call__(self, token: str) -> str | None:
        """The user that it has."""
        return await by_database(token)


@pytest.mark.parametrize(
    ("sign_in", "good"),
    [(by_jwt, encoded({"sub": "ann"})), (by_database, "abc"), (Table(), "abc"), (partial(by_database), "abc")],
)
async def test_a_function_signs_in(sign_in: Any, good: str) -> None:
    """A JWT or a table; a token that is no good makes a stranger."""
    app = app_of(FastGraphQL(SCHEMA, sign_in=sign_in))
    found = [
        (await ask(app, "{ who }", **headers)).json()["data"]["who"]
        for headers in ({"authorization": f"Bearer {good}"}, {"authorization": "Bearer bad"}, {})
    ]
    assert found == ["ann", None, None]


async def plainly(token: str) -> str | None:
    """An async one behind a function that does not look like that."""
    return await by_database(token)


def behind(token: str) -> Any:
    """As a decorator of somebody's gives it."""
    return plainly(token)


def always(user: Any) -> Callable[[str], Any]:
    """A function that gives `user` for every token."""
    return lambda _: user


@pytest.mark.parametrize("keeping", [False, True], ids=["plain", "keeping"])
@pytest.mark.parametrize("sign_in", [behind, always(user=False), always("")], ids=["coroutine", "false", "empty"])
async def test_what_names_no_user_signs_nobody_in(
    redis: Redis, caplog: pytest.LogCaptureFixture, sign_in: Any, *, keeping: bool
) -> None:
    """Every token would be good: it is a bug, of which the log says what to do, and strangers are served meanwhile."""
    app = app_of(FastGraphQL(strawberry.Schema(KeptQuery), sign_in=sign_in, keep=redis if keeping else None))
    query = "{ mine }" if keeping else "{ __typename }"
    refused = [await ask(app, query, authorization="Bearer bad") for _ in range(3)]
    assert {(one.status_code, one.json()["errors"][0]["message"]) for one in refused} == {
        (500, "Internal server error")
    }
    assert "sign_in gave" in caplog.text
    assert (await ask(app, query)).status_code == 200
    async with Lifespan(app) as running, serving(running.app) as port:
        with pytest.raises(ConnectionClosed) as closed:
            async with subscriber(port, "bad") as reader:
                await (await reader.follow(query)).until(1)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011


async def test_sessions_sign_in_over_http_and_websocket(redis: Redis) -> None:
    """By the token that `begin` gave; a socket is closed at its next operation once the session has ended."""
    sessions = redis.sessions()
    app = app_of(FastGraphQL(SCHEMA, sign_in=sessions.user_of))
    token = await sessions.begin("ann")
    told = [await ask(app, "{ who }", authorization=f"Bearer {one}") for one in (token, "nobody's")]
    assert [one.json()["data"]["who"] for one in told] == ["ann", None]
    async with Lifespan(app) as running, serving(running.app) as port, subscriber(port, token) as reader:
        asking = await reader.follow("{ who }")
        await asking.until(1)
        assert asking.values("who") == ["ann"]
        found = await sessions.find(token)
        assert found is not None
        await sessions.end(found)
        await reader.follow("{ who }")
        assert await reader.closed() == 4403
    assert await sessions.find(token) is None


async def test_a_socket_whose_caller_cannot_be_named_any_more_is_told() -> None:
    """Each of its operations ends with an error: none is left waiting."""
    users: list[Any] = ["ann", "ann", False]
    app = app_of(FastGraphQL(SCHEMA, sign_in=lambda _: users.pop(0)))
    async with Lifespan(app) as running, serving(running.app) as port, subscriber(port, "token") as reader:
        good = await reader.follow("{ who }")
        await good.until(1)
        assert good.values("who") == ["ann"]
        bad = await reader.follow("{ who }")
        assert await bad.refused() == "INTERNAL_SERVER_ERROR"


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


class Named:
    """What is equal to a dict that has Ann's name."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, dict) and cast("dict[str, Any]", other).get("team") == "Ann"

    __hash__ = None  # pyright: ignore[reportAssignmentType]


NAMED: Any = Named()


async def test_routers_of_other_rates_have_budgets_of_their_own(redis: Redis) -> None:
    """What was asked of the one with the higher rates is not charged to the other; of the same rates they share one."""
    schema = strawberry.Schema(KeptQuery)
    wide, narrow, twin = (
        app_of(FastGraphQL(schema, keep=redis, rates=rates))
        for rates in (("99/minute", "9/minute"), ("99/minute", "2/minute"), ("99/minute", "2/minute"))
    )
    assert [(await ask(wide, "{ mine }")).status_code for _ in range(3)] == [200] * 3
    assert [(await ask(one, "{ mine }")).status_code for one in (narrow, twin, narrow)] == [200, 200, 429]


async def test_each_rate_has_the_time_that_it_says(redis: Redis) -> None:
    """A stranger's too, whatever the time of a user's is; and none is left uncharged."""
    app = app_of(FastGraphQL(strawberry.Schema(KeptQuery), keep=redis, rates=("99/minute", "9/day")))
    assert (await ask(app, "{ mine }")).headers["ratelimit-policy"] == '"anonymous";q=9;w=86400'
    with pytest.raises(TypeError, match="RateLimit"):
        FastGraphQL(SCHEMA, rates=("9/minute", "9/minute"))


@strawberry.type(name="KeptQuery")
class NextQuery:
    """The same reads in the next version of an API: whoever prints both schemas sees no difference."""

    @strawberry.field(metadata=cached(3600, scope=Scope.VIEWER))
    def mine(self, info: Info) -> str:
        """Something else than before."""
        return f"next {of(info, 'caller').user}"


async def test_two_routers_on_one_redis_give_answers_of_their_own(redis: Redis) -> None:
    """Those of another schema, or of users who are told in another way, are not theirs; those of a twin are."""

    def router(query: type, sign_in: Any) -> FastGraphQL:
        return FastGraphQL(strawberry.Schema(query), keep=redis, sign_in=sign_in)

    def staff(token: str) -> str:
        """Those who work here have names that customers may have, too."""
        return token

    apps = [app_of(router(*of)) for of in ((KeptQuery, by_jwt), (NextQuery, by_jwt), (KeptQuery, staff))]
    twin = app_of(router(KeptQuery, by_jwt))
    tokens = [encoded({"sub": "ann"})] * 2 + ["ann"]
    for app in (*apps, twin):
        await ask(app, "{ mine }")  # makes the document known
    DONE.clear()
    answers = [
        (await ask(app, "{ mine }", authorization=f"Bearer {token}")).json()["data"]["mine"]
        for app, token in zip(apps, tokens, strict=True)
        for _ in range(2)
    ]
    assert (answers, DONE) == (["ann", "ann", "next ann", "next ann", "ann", "ann"], ["ann", "ann"])
    await ask(twin, "{ mine }", authorization=f"Bearer {tokens[0]}")
    assert len(DONE) == 2


def given(team: Annotated[str, Header()] = "") -> dict[str, str]:
    """A dict that differs from request to request: in what it has, and in how much."""
    return {team: "", **({"one": "more"} if team == "Bob" else {}), "team": team}


class Given(BaseContext):
    """An object that does, of which nothing is known."""

    def __init__(self, team: Annotated[str, Header()] = "") -> None:
        super().__init__()
        self.team = team


READS: list[Callable[[Any], Any]] = [
    lambda context: context["team"],
    lambda context: context.get("team"),
    lambda context: context["request"].headers["team"],
    lambda context: context.setdefault("team"),
    lambda context: context.pop("team"),
    lambda context: {**context}["team"],
    lambda context: dict(context)["team"],
    lambda context: (context | {})["team"],
    lambda context: context.copy()["team"],
    lambda context: dict(context.items())["team"],
    lambda context: dict(zip(context, context.values(), strict=True))["team"],
    lambda context: context["caller"].user.title(),
    lambda context: repr(context).split("'team': '")[1][:3],
    lambda context: context.popitem()[1],
    lambda context: next(team for team in ("Ann", "Bob") if team in context),
    lambda context: next(team for team in context.keys() if team in {"Ann", "Bob"}),  # noqa: SIM118 - it is asked itself
    lambda context: next(team for team in reversed(context) if team in {"Ann", "Bob"}),
    lambda context: ["Bob", "Ann"][len(context) % 2],
    lambda context: ["Ann", "Bob"][bool(context != NAMED)],
    lambda context: ["Bob", "Ann"][bool(context == NAMED)],
]


def responding(response: Response) -> dict[str, Any]:
    """The response is in it by itself, but an app may put it there, too."""
    response.headers["x-getter"] = "1"
    return {"response": response}


@strawberry.type
class PublicQuery:
    """Reads that are declared to be the same for everybody."""

    @strawberry.field(metadata=cached(3600, scope=Scope.PUBLIC))
    def done(self, info: Info) -> str:
        """Has something done after each answer."""
        of(info, "background_tasks").add_task(DONE.append, "background")
        return "done"

    @strawberry.field(metadata=cached(3600, scope=Scope.PUBLIC))
    def marked(self, info: Info) -> str:
        """Sets a cookie and a status with each answer."""
        response = of(info, "response")
        response.set_cookie("seen", "yes")
        response.status_code = 201
        return "marked"

    @strawberry.field(metadata=cached(3600, scope=Scope.PUBLIC))
    def same(self, info: Info) -> int:
        """It is."""
        of(info, "response").headers.get("x")
        DONE.append("same")
        return len(DONE)

    @strawberry.field(metadata=cached(3600, scope=Scope.PUBLIC))
    def differs(self, info: Info, how: int) -> str:
        """It is not, as it turns out."""
        context: Any = info.context
        return READS[how](context)


@pytest.mark.parametrize("getter", [None, given, Given])
async def test_public_answers_are_kept_of_a_context_that_nobody_read(getter: Any, redis: Redis) -> None:
    """In a dict that is known; of an object nothing is, so its answers are made for each. What was read is nobody's."""
    app = app_of(FastGraphQL(strawberry.Schema(PublicQuery), keep=redis, sign_in=str.lower, context_getter=getter))
    same = [
        (await ask(app, "{ same }", authorization=f"Bearer {user}")).json() for user in ("Ann", "Bob", "Ann", "Bob")
    ]
    assert len({one["data"]["same"] for one in same[1:]}) == (3 if getter is Given else 1)
    for how in range(len(READS) if getter is given else 0):
        for team in ("Ann", "Bob", "Ann"):
            answer = await ask(app, f"{{ differs(how: {how}) }}", authorization=f"Bearer {team}", team=team)
            assert answer.json() == {"data": {"differs": team}}, how


class Holding:
    """An object of the app's own that has it."""

    def __init__(self, response: Response) -> None:
        response.headers["x-getter"] = "1"
        self.response = response


async def test_what_is_set_on_the_response_of_an_object_is_sent() -> None:
    """It is FastAPI's own, from a dependency."""
    app = app_of(FastGraphQL(strawberry.Schema(PublicQuery), context_getter=Holding))
    answer = await ask(app, "{ marked }")
    assert answer.headers["x-getter"] == "1"
    assert answer.headers["set-cookie"].startswith("seen=yes")


@pytest.mark.parametrize("getter", [None, given, responding])
async def test_an_answer_that_does_something_more_is_not_kept(getter: Any, redis: Redis) -> None:
    """It is done each time: in the background, or to the response, whoever put that into the dict."""
    app = app_of(FastGraphQL(strawberry.Schema(PublicQuery), keep=redis, context_getter=getter))
    DONE.clear()
    for number in range(1, 5):
        await ask(app, "{ done }")
        assert len(DONE) == number
        answer = await ask(app, "{ marked }")
        assert (answer.status_code, answer.headers.get("set-cookie", "")[:8]) == (201, "seen=yes")
        assert answer.headers.get("x-getter") == ("1" if getter is responding else None)


class Guard(BasePermission):
    """Lets nobody in."""

    message = "no"

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        """Nobody."""
        return False


@strawberry.type
class GuardedQuery:
    """Declares by mistake that what is guarded may be given to everybody."""

    @strawberry.field(permission_classes=[Guard], metadata=cached(60, scope=Scope.PUBLIC))
    def guarded(self) -> int:
        """Nobody's."""
        return 1


class Watcher(SchemaExtension):
    """Sees operations."""

    def on_operation(self) -> Generator[None]:
        """Note one."""
        DONE.append("seen")
        yield


async def test_what_cannot_be_kept_is_told_before_anybody_asks(redis: Redis) -> None:
    """A policy, and an extension that would miss operations; not for each request, by a 500."""
    with pytest.raises(BadPolicy, match=r"GuardedQuery\.guarded: it is guarded"):
        FastGraphQL(strawberry.Schema(GuardedQuery), keep=redis)
    schema = strawberry.Schema(PublicQuery, extensions=[Watcher])
    with pytest.raises(TypeError, match=r"say so: .*\(unseen=\[Watcher\]\), or `unseen=` of FastGraphQL"):
        FastGraphQL(schema, keep=redis)
    app = app_of(FastGraphQL(schema, keep=redis, unseen=[Watcher]))
    answers = [(await ask(app, "{ same }")).status_code for _ in range(4)]
    assert (answers, DONE.count("seen")) == ([200] * 4, 2)


def test_a_rate_limit_of_the_schema_keeps_no_answers() -> None:
    """It is told by the name that the app knows, with what takes its place."""
    redis = Redis("redis://localhost")
    schema = strawberry.Schema(KeptQuery, extensions=[RateLimit(redis, "3/minute")])
    with pytest.raises(TypeError, match=r"^RateLimit among the extensions .* with `keep=` say `rates=`"):
        FastGraphQL(schema, keep=redis)


def test_an_async_sign_in_cannot_keep_answers() -> None:
    """It is told where the router is made."""
    with pytest.raises(TypeError, match="async"):
        FastGraphQL(SCHEMA, keep=Redis("redis://localhost"), sign_in=by_database)
