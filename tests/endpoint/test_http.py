"""GraphQL over HTTP: what is negotiated, what is refused, what goes with an answer."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from starlette.responses import HTMLResponse

from graph.endpoint.document import Bounds, Persisted
from graph.endpoint.execution import Ready
from graph.endpoint.http import HttpTransport, Origins
from graph.endpoint.http.negotiation import JSON, RESPONSE, Acceptable, accepted
from graph.endpoint.identity import Caller
from graph.endpoint.kept import Compressed, Fast
from graph.endpoint.subscriptions import PiecesFormat
from graph.patterns.client import RedisUnavailable
from harness.waiting import DEADLINES
from tests.support.apps.small import LOG, Tokens, make_endpoint
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from starlette.requests import HTTPConnection
    from starlette.types import Message

    from graph.endpoint.document import OperationRequest
    from graph.endpoint.execution import Engine
    from graph.patterns.client import Client
    from tests.support.apps.small import Scene

PREFLIGHT = {"GraphQL-Require-Preflight": "1"}


# --- negotiation ---


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, Acceptable(JSON, None)),
        ("", Acceptable(JSON, None)),
        ("*/*", Acceptable(JSON, None)),
        ("application/*", Acceptable(JSON, None)),
        (RESPONSE, Acceptable(RESPONSE, None)),
        (f"{RESPONSE}, {JSON}", Acceptable(RESPONSE, None)),
        (f"{JSON}, {RESPONSE}", Acceptable(RESPONSE, None)),
        (f"{RESPONSE};q=0.5, {JSON}", Acceptable(JSON, None)),
        (f"{JSON};q=0.8, {RESPONSE};q=0.9", Acceptable(RESPONSE, None)),
        (f"{RESPONSE};q=0, */*", Acceptable(JSON, None)),
        (f"{JSON};q=0, */*", Acceptable(None, None)),
        ("APPLICATION/JSON; CHARSET=UTF-8", Acceptable(JSON, None)),
        ('application/json; charset="utf-8"', Acceptable(JSON, None)),
        ("application/json; charset=latin1", Acceptable(None, None)),
        ("text/html", Acceptable(None, None)),
        ("text/event-stream", Acceptable(None, "text/event-stream")),
        (f"{JSON}, multipart/mixed;q=0.5, text/event-stream", Acceptable(JSON, "text/event-stream")),
        ('multipart/mixed;subscriptionSpec="1.0", application/json', Acceptable(JSON, "multipart/mixed")),
        ("text/event-stream;q=0", Acceptable(None, None)),
        ("application/json;q=2", Acceptable(None, None)),
    ],
)
def test_the_media_type_is_chosen_by_q_values(accept: str | None, wanted: Acceptable) -> None:
    """The best acceptable type wins; wildcards mean plain JSON; what is not UTF-8 is not acceptable."""
    assert accepted(accept)[:2] == wanted[:2]


URQL = f"{RESPONSE}, application/graphql+json, {JSON}, text/event-stream, multipart/mixed"


@pytest.mark.parametrize(
    ("accept", "by_events"),
    [
        (f"{JSON}, text/event-stream", True),
        ("text/event-stream, */*", True),
        ("text/event-stream", True),
        (f"{RESPONSE};q=0.5, text/event-stream", True),
        (URQL, False),
        (f"{JSON}, text/event-stream;q=0.9", False),
        (f"{JSON}, {RESPONSE};q=0.1, text/event-stream", False),
        (f"{JSON};q=0.5, text/event-stream;q=0.6, multipart/mixed", False),
        (f"{JSON}, multipart/mixed", False),
        ("*/*", False),
    ],
)
def test_a_query_is_streamed_to_who_would_rather_have_it_so(accept: str, *, by_events: bool) -> None:
    """Events of a higher q-value than JSON, or of the same where GraphQL's own JSON is not named."""
    taken = accepted(accept)
    assert taken.by_events == by_events
    assert taken.whole == (None if by_events else taken.json)


@pytest.mark.parametrize(
    ("accept", "media", "legacy"),
    [
        (JSON, None, True),
        ("multipart/mixed;deferSpec=20220824,application/json", "multipart/mixed", True),
        ("multipart/mixed;incrementalSpec=v0.2,application/json;q=0.9", "multipart/mixed", False),
        ("multipart/mixed; incrementalDeliverySpec=3283f8a", "multipart/mixed", False),
        ("multipart/mixed;incrementalSpec=v0.2;q=0, text/event-stream", "text/event-stream", True),
        ("multipart/mixed;q=0.5, text/event-stream;incrementalSpec=v0.2;q=0.4", "multipart/mixed", True),
        ("text/event-stream, multipart/mixed", "text/event-stream", True),
        ("multipart/mixed, multipart/mixed;deferSpec=20220824", "multipart/mixed", True),
        ("multipart/mixed;deferSpec=20220824;incrementalSpec=v0.2", None, True),
        ("multipart/mixed;boundary=graphql;subscriptionSpec=1.0", None, True),
        ("multipart/mixed;deferSpec=20991231", None, True),
        ("*/*", None, True),
    ],
)
def test_pieces_are_taken_as_the_client_says(accept: str, media: str | None, *, legacy: bool) -> None:
    """The best type that says a format which is known here; one that says none means the older."""
    pieces = accepted(accept).pieces
    assert (pieces.media if pieces is not None else None) == media
    assert pieces is None or pieces.form is (PiecesFormat.LEGACY if legacy else PiecesFormat.SPECIFIED)


@pytest.mark.parametrize(("media", "status"), [(JSON, 200), (RESPONSE, 400)])
async def test_a_refused_document_has_no_data_and_the_status_of_its_media_type(
    client: Client, media: str, status: int
) -> None:
    """A request error has no `data` entry, and is a 400 for clients that know what that means."""
    async with browse(make_endpoint(client)) as http:
        for query, variables in (("{", {}), ("{nothing}", {}), ("query($n:Int!){items(first:$n){totalCount}}", {})):
            answer = await http.ask(query, variables=variables, headers={"accept": media})
            assert answer.status_code == status
            assert answer.headers["content-type"] == f"{media}; charset=utf-8"
            assert set(answer.json()) == {"errors"}


async def test_every_answer_is_guarded(client: Client) -> None:
    """No answer may be sniffed, framed, embedded by other sites or stored, unless it says so itself."""
    async with browse(make_endpoint(client)) as http:
        for answer in (await http.ask("{hello}"), await http.ask("{"), await http.put("/graphql")):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert answer.headers["cache-control"] == "no-store"


async def test_a_wrong_method_is_told_the_right_ones(client: Client) -> None:
    """405 names the methods that work; a mutation by GET is told to POST."""
    async with browse(make_endpoint(client)) as http:
        assert (await http.delete("/graphql")).headers["allow"] == "GET, POST, OPTIONS"
        by_get = await http.get("/graphql", params={"query": 'mutation{note(text:"by get")}'}, headers=PREFLIGHT)
        assert (by_get.status_code, by_get.headers["allow"]) == (405, "POST")
        assert "by get" not in LOG


async def test_queries_by_get_can_be_refused(client: Client) -> None:
    """The answer says which method to use; what was recognised of queries by POST is found as before."""
    async with browse(make_endpoint(client, bounds=Bounds(queries_by_get=False))) as http:
        by_get = await http.get("/graphql", params={"query": "{hello}"}, headers=PREFLIGHT)
        assert (by_get.status_code, by_get.headers["allow"]) == (405, "POST")
        assert by_get.json()["errors"][0]["extensions"] == {"code": "METHOD_NOT_ALLOWED"}
        assert (await http.ask("{hello}")).status_code == 200


# --- foreign pages ---


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"content-type": "text/plain"}, 403),
        ({"content-type": "Application/X-WWW-Form-Urlencoded; a=application/json"}, 403),
        ({"content-type": "multipart/form-data"}, 403),
        ({"content-type": "nonsense"}, 403),
        ({"accept": "*/*"}, 403),
        ({"accept": "image/avif,*/*;q=0.8"}, 403),
        ({"accept": RESPONSE, "origin": "https://evil.example"}, 403),
        ({"accept": RESPONSE, "origin": "null"}, 403),
        ({"accept": RESPONSE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({"accept": JSON, "sec-fetch-site": "same-site"}, 403),
        ({"accept": JSON, "sec-fetch-site": "none, cross-site"}, 403),
        ({"accept": JSON, "origin": "http://testserver", "sec-fetch-site": "cross-site"}, 403),
        ({"accept": JSON, "origin": "http://testserver:8000"}, 403),
        ({"origin": "http://testserver"}, 200),  # a page that came over plain HTTP
        ({"origin": "http://TestServer:80"}, 200),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
        ({"origin": "https://shop.example", "sec-fetch-site": "cross-site"}, 200),
        ({"accept": RESPONSE}, 200),
        ({"accept": JSON, "sec-fetch-mode": "cors"}, 200),  # what Node's fetch sends
        ({"content-type": "application/json"}, 200),
        ({"graphql-require-preflight": ""}, 200),
        ({"apollo-require-preflight": "1"}, 200),
        ({"x-apollo-operation-name": "A"}, 200),
        ({"x-requested-with": "XMLHttpRequest"}, 200),
        ({"authorization": "Bearer ann"}, 200),
    ],
)
async def test_a_query_by_get_needs_what_no_foreign_page_can_send(
    client: Client, headers: dict[str, str], status: int
) -> None:
    """A GET that a browser sends to any site without asking is refused, unless it comes from a page of ours."""
    async with browse(make_endpoint(client, origins=["https://shop.example"])) as http:
        answer = await http.get("/graphql", params={"query": "{hello}"}, headers=headers)
        assert answer.status_code == status, answer.text


async def test_a_document_known_by_its_hash_may_come_from_anywhere(client: Client) -> None:
    """Nobody foreign has chosen it; with its text it is a query like any other."""
    document = "query Known { hello }"
    digest = hashlib.sha256(document.encode()).hexdigest()
    foreign = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    by_hash = {"extensions": orjson.dumps({"persistedQuery": {"version": 1, "sha256Hash": digest}}).decode()}
    async with browse(make_endpoint(client, persisted=Persisted(client))) as http:
        unknown = await http.get("/graphql", params=by_hash, headers=foreign)
        assert unknown.json()["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
        refused = await http.get("/graphql", params={"query": document, **by_hash}, headers=foreign)
        assert refused.status_code == 403
        await http.ask(document, extensions={"persistedQuery": {"version": 1, "sha256Hash": digest}})
        known = await http.get("/graphql", params=by_hash, headers=foreign)
        assert known.json() == {"data": {"hello": "world"}}
        assert (await http.get("/graphql", params={"documentId": digest}, headers=foreign)).status_code == 200


async def test_only_named_origins_pass_cors(client: Client) -> None:
    """A named origin is let through with cookies, preflight included; any other gets no CORS header."""
    async with browse(make_endpoint(client, origins=["https://shop.example"])) as http:
        wanted = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        passed = await http.options("/graphql", headers={"origin": "https://shop.example", **wanted})
        assert passed.status_code == 204
        assert passed.headers["access-control-allow-origin"] == "https://shop.example"
        assert passed.headers["access-control-allow-credentials"] == "true"
        assert passed.headers["access-control-allow-headers"] == "content-type"
        answer = await http.ask("{hello}", headers={"origin": "https://shop.example"})
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
        assert "Origin" in answer.headers["vary"]
        exposed = {name.strip() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert exposed >= {"ETag", "Retry-After", "RateLimit", "RateLimit-Policy", "X-RateLimit-Limit"}
        assert exposed >= {"X-RateLimit-Remaining", "X-RateLimit-Reset"}
        for origin in ("https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null"):
            refused = await http.options("/graphql", headers={"origin": origin, **wanted})
            assert not [name for name in refused.headers if name.startswith("access-control")]


def test_a_wildcard_origin_never_goes_with_cookies() -> None:
    """`*` lets everybody read, but nobody as somebody; what is no origin is refused at once."""
    from starlette.datastructures import Headers

    told = dict(Origins(["*"]).headers(Headers({"origin": "https://any.example"})))
    assert told[b"access-control-allow-origin"] == b"*"
    assert b"access-control-allow-credentials" not in told
    with pytest.raises(ValueError, match="no origin"):
        Origins(["shop.example"])


# --- one operation, several operations ---


async def test_headers_and_cookies_of_a_resolver_reach_its_own_answer(client: Client) -> None:
    """What a resolver sets on its response is sent, in a batch too, and never with another request's answer."""
    async with browse(make_endpoint(client)) as http:
        assert (await http.ask("{cookie}")).cookies["seen"] == "yes"
        http.cookies.clear()
        batch = await http.post("/graphql", json=[{"query": "{hello}"}, {"query": "{cookie}"}])
        assert batch.cookies["seen"] == "yes"
        http.cookies.clear()
        assert not (await http.ask("{hello}")).cookies


async def test_a_batch_answers_each_operation_in_its_place(client: Client) -> None:
    """Good and bad operations stand side by side, in the order in which they were asked."""
    async with browse(make_endpoint(client, bounds=Bounds(batch=3))) as http:
        answer = await http.post("/graphql", json=[{"query": "{hello}"}, {"query": "{"}, {"query": "{whoami}"}])
        assert answer.status_code == 200
        first, second, third = answer.json()
        assert (first, third) == ({"data": {"hello": "world"}}, {"data": {"whoami": None}})
        assert second["errors"][0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"
        assert (await http.post("/graphql", json=[{"query": "{hello}"}] * 4)).status_code == 400


async def test_what_is_new_in_a_batch_is_bounded_together(client: Client) -> None:
    """Ten documents as clients write them pass; of the longest ones only the first, charged for each; then the next."""

    def batch(tokens: int, begin: int) -> list[dict[str, str]]:
        return [{"query": f"query Q{begin + n}{{{'hello ' * (tokens - 4)}}}"} for n in range(10)]

    def outcomes(answer: httpx.Response) -> list[str]:
        return ["answered" if "data" in one else one["errors"][0]["extensions"]["code"] for one in answer.json()]

    async with browse(make_endpoint(client, limits={"anonymous": 100})) as http:
        usual, costly = batch(150, 0), batch(1000, 10)
        assert outcomes(await http.post("/graphql", json=usual)) == ["answered"] * 10
        answer = await http.post("/graphql", json=costly)
        assert outcomes(answer) == ["answered"] + ["BATCH_TOO_LARGE"] * 9
        assert answer.headers["x-ratelimit-remaining"] == "80"
        answer = await http.post("/graphql", json=costly)  # the first is known by now
        assert outcomes(answer) == ["answered"] * 2 + ["BATCH_TOO_LARGE"] * 8
        same = [{"query": f"query Same{{{'hello ' * 900}}}"}] * 10
        assert outcomes(await http.post("/graphql", json=same)) == ["answered"] * 10


async def test_mutations_of_a_batch_run_in_order(client: Client) -> None:
    """A later mutation of a batch sees what an earlier one did."""
    LOG.clear()
    async with browse(make_endpoint(client)) as http:
        await http.post("/graphql", json=[{"query": f'mutation{{note(text:"{n}")}}'} for n in range(5)])
    assert LOG == ["0", "1", "2", "3", "4"]


async def test_an_operation_past_its_deadline_is_cancelled(client: Client) -> None:
    """What the operation awaits is cancelled when its time is up, and the client is told so."""
    LOG.clear()
    for deadline in DEADLINES:
        async with browse(make_endpoint(client, bounds=Bounds(deadline=deadline))) as http:
            answer = await http.ask("{slow(seconds:300)}")
        assert answer.status_code == 503
        assert answer.json()["errors"][0]["extensions"]["code"] == "DEADLINE_EXCEEDED"
        assert "data" not in answer.json()
        if LOG:  # else its time was up before it began
            break
    assert LOG == ["cancelled"]


async def test_values_that_json_has_no_room_for_are_still_json(client: Client) -> None:
    """Any string that a request can carry comes back as it was."""
    async with browse(make_endpoint(client)) as http:
        for text in ("é🏊\u2028\x7f", '"\\</script>', "\u0000"):
            assert await http.data("query($t:String){echo(text:$t)}", variables={"t": text}) == {"echo": text}


async def test_a_browser_gets_the_page_and_a_client_does_not(client: Client) -> None:
    """Whatever `page` returns for a GET is sent in place of GraphQL."""

    def page(request: HTTPConnection) -> HTMLResponse | None:
        return HTMLResponse("<p>page") if "text/html" in request.headers["accept"] else None

    async with browse(make_endpoint(client, page=page)) as http:
        assert (await http.get("/graphql", headers={"accept": "text/html,*/*"})).text == "<p>page"
        answer = await http.get("/graphql", params={"query": "{hello}"}, headers={"accept": "*/*", **PREFLIGHT})
        assert answer.json() == {"data": {"hello": "world"}}


class Away(Tokens):
    """Cannot ask anybody about a session."""

    async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:
        """Fail as `Sessions` does while Redis is away."""
        if self.token(connection.headers, payload) is None:
            return await super().authenticate(connection, payload)
        raise RedisUnavailable("Redis is away")


async def test_a_session_that_cannot_be_checked_is_unavailable(client: Client) -> None:
    """While Redis is away a signed-in request is told to try again; an anonymous one is served."""
    endpoint = make_endpoint(client, authenticator=Away())
    async with browse(endpoint) as http:
        answer = await http.ask("{hello}", headers={"authorization": "Bearer ann"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert await http.data("{hello}") == {"hello": "world"}


async def test_a_bug_in_the_endpoint_itself_is_masked(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """An exception outside of execution is a 500 in JSON with an id, and is in the log once under that id."""

    class Broken(Tokens):
        async def authenticate(self, connection: HTTPConnection, payload: Mapping[str, Any] | None = None) -> Caller:
            raise ZeroDivisionError("secret")

    endpoint = make_endpoint(client, authenticator=Broken())
    async with browse(endpoint) as http:
        answer = await http.ask("{hello}")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    identity = answer.json()["errors"][0]["extensions"]["id"]
    assert [identity in record.getMessage() for record in caplog.records] == [True]


async def test_a_client_that_leaves_during_its_body_is_forgotten(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """A disconnect while the body is read sends nothing and logs nothing."""
    sent: list[Message] = []
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"que', "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await make_endpoint(client)(scope, receive, send)
    assert sent == []
    assert caplog.records == []


def test_the_json_bounds_are_inclusive() -> None:
    """Arrays may be nested as deep as the bound says, and no deeper; brackets in strings do not count."""
    from graph.endpoint.errors import Refusal
    from graph.endpoint.http.request import decode

    bounds = Bounds(json_depth=5)
    assert decode(b"[[[[[1]]]]]", bounds) == [[[[[1]]]]]
    assert decode(b'{"a":"%s"}' % (b"[{" * 100), bounds) == {"a": "[{" * 100}
    assert decode(orjson.dumps([[]] * 100), bounds) == [[]] * 100
    with pytest.raises(Refusal):
        decode(b"[[[[[{}]]]]]", bounds)


# --- the fast lane's place ---


class Memory:
    """The plainest lane: what was answered once is answered from memory; it admits as the endpoint would."""

    def __init__(self, engine: Engine[Scene]) -> None:
        self._engine = engine
        self.known: dict[str, bytes] = {}
        self.compressed = Compressed()

    async def recall(self, query: bytes, body: bytes, connection: HTTPConnection, *, whole: bool = True) -> Fast | None:
        """Read everything."""
        return None

    async def enter(
        self,
        request: OperationRequest,
        connection: HTTPConnection,
        query: bytes,
        body: bytes,
        kinds: object,
        *,
        whole: bool = True,
    ) -> Fast | None:
        """Take queries for `hello` only."""
        if request.query is None or "hello" not in request.query:
            return None
        ready = await self._engine.ready(request, Caller("lane"), connection)
        assert isinstance(ready, Ready)
        digest = ready.prepared.digest
        if (await self._engine.admission.admit(ready.ticket)).allowed and digest in self.known:
            return Fast(self.known[digest], headers={"Age": "0"})
        answer = await self._engine.run(ready, connection)
        self.known.setdefault(digest, answer.encode())
        return Fast(answer=answer)


async def test_a_lane_may_answer_before_the_schema(client: Client) -> None:
    """What the lane has is sent as it is; what it lacks runs, is charged once, and is handed to it."""
    engine = make_endpoint(client, limits={"anonymous": 3}).engine
    lane: Any = Memory(engine)
    async with browse(HttpTransport(engine, Tokens(), origins=Origins(), lane=lane)) as http:
        first = await http.ask("{hello}")
        assert first.headers["x-ratelimit-remaining"] == "2"
        (stored,) = lane.known.values()
        lane.known = dict.fromkeys(lane.known, b'{"data":{"hello":"from the lane"}}')
        second = await http.ask("{hello}")
        assert (first.content, second.json()) == (stored, {"data": {"hello": "from the lane"}})
        assert second.headers["age"] == "0"
        assert await http.data("{whoami}") == {"whoami": None}
        assert (await http.ask("{hello}")).status_code == 200
        assert (await http.ask("{hello}")).status_code == 429
