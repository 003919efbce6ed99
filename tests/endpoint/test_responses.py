"""The fast lane and the answers it keeps: what is kept, for whom, and until when."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.client import Client, RedisUnavailable, open_client
from harness.valkey import ValkeyServer
from harness.waiting import until
from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.clients.browser import browse
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

    from tests.support.apps.answers import Sight

THING = "query Thing($key: String!, $delay: Float) { thing(key: $key, delay: $delay) { key version } }"
PREFLIGHT = {"GraphQL-Require-Preflight": "1"}


@pytest.fixture(params=["lane", "express"])
async def apps(
    request: pytest.FixtureRequest, valkey: ValkeyServer, client: Client
) -> AsyncIterator[Callable[..., AnswersApp]]:
    """Make apps that share nothing but Redis and the truth, as processes of one server do; with routes and without."""
    made: list[AnswersApp] = []
    truth = Truth()
    truth.versions["a"] = 1
    async with open_client(valkey.url) as second:

        def make(**options: Any) -> AnswersApp:
            options.setdefault("express", request.param == "express")
            made.append(AnswersApp((client, second)[len(made) % 2], truth, **options))
            return made[-1]

        yield make
        for app in made:
            await app.close()


async def ask(app: AnswersApp, query: str = THING, token: str | None = None, **variables: Any) -> httpx.Response:
    """Ask once the document is known: the lane leaves a new one to the schema."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with browse(app.endpoint, headers=headers) as http:
        app.endpoint.engine.operations.prepare(query)
        response = await http.post("/graphql", json={"query": query, "variables": variables or None})
        assert response.status_code == 200, response.text
        return response


async def test_an_answer_is_made_once(apps: Callable[..., AnswersApp]) -> None:
    """The second request gets the bytes of the first, in this process and in another, and no resolver runs."""
    one, two = apps(), apps()
    first = await ask(one, key="a")
    assert first.json() == {"data": {"thing": {"key": "a", "version": 1}}}
    for app in (one, two, two):
        again = await ask(app, key="a")
        assert again.content == first.content
        told = dict(again.headers)
        assert told.pop("x-ratelimit-remaining") < first.headers["x-ratelimit-remaining"]
        assert {name: told[name] for name in ("etag", "cache-control", "vary", "content-type", "age")} == {
            name: first.headers[name] for name in ("etag", "cache-control", "vary", "content-type", "age")
        }
    assert (one.resolved, two.resolved) == (1, 0)
    assert first.headers["cache-control"] == "public, max-age=0, must-revalidate"


async def test_wrong_variables_are_told_where_tags_are_made_of_them(apps: Callable[..., AnswersApp]) -> None:
    """The function that makes the tags fails first; the answer is that of any other operation."""
    app = apps()
    query = "query D($key: String!) { direct(key: $key) }"
    app.endpoint.engine.operations.prepare(query)
    async with browse(app.endpoint) as http:
        for variables in ({}, {"key": None}, {"key": ["a"]}, {"key": {"a": 1}}):
            for _ in range(2):
                answer = await http.post("/graphql", json={"query": query, "variables": variables})
                assert answer.status_code == 200
                assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["BAD_USER_INPUT"]
    assert app.resolved == 0


async def test_a_kept_answer_costs_one_trip(apps: Callable[..., AnswersApp], client: Client) -> None:
    """Session, limit, generations and answer leave in one write: the server reads once for a request."""
    app = apps(kept={"local_bytes": 0})
    await client.execute("SET", KeyTokens.key("ann"), 1)
    for _ in range(2):
        await ask(app, token="ann", key="a")
    for copies in (app, apps()):
        await ask(copies, token="ann", key="a")
        await until(lambda copies=copies: not copies.answers._tasks)  # nothing of the request before is on its way
        before = await _reads(client)
        await ask(copies, token="ann", key="a")
        assert await _reads(client) - before == 2  # that one, and the question itself


async def _reads(client: Client) -> int:
    stats: bytes = await client.execute("INFO", "stats")
    return int(stats.partition(b"total_reads_processed:")[2].partition(b"\r")[0])


async def test_a_write_outdates_every_answer_made_of_it(apps: Callable[..., AnswersApp]) -> None:
    """After an acknowledged write no process serves an answer from before, and answers of other things stay."""
    one, two = apps(), apps()
    one.truth.versions["b"] = 1
    for version in range(2, 12):
        for app in (one, two):
            assert (await ask(app, key="a")).json()["data"]["thing"]["version"] == version - 1
            await ask(app, key="b")
        writer = (one, two)[version % 2]
        assert (await ask(writer, 'mutation { write(key: "a") }')).json() == {"data": {"write": version}}
    assert (await ask(one, key="a")).json()["data"]["thing"]["version"] == 11
    assert one.resolved + two.resolved < 10 + 2 + 4  # each version of a, and b, hardly more than once


async def test_an_answer_under_way_during_a_write_is_not_served_after_it(apps: Callable[..., AnswersApp]) -> None:
    """Whoever asks after a write was acknowledged does not get the answer that a request before it began."""
    one, two = apps(), apps()
    one.gate = asyncio.Event()
    slow = asyncio.create_task(ask(one, key="a"))
    await until(lambda: one.truth.loads)
    async with two.cache.invalidating("a"):
        one.truth.versions["a"] = 2
    same = [asyncio.create_task(ask(app, key="a")) for app in (one, two)]
    await asyncio.sleep(0.05)  # they may join what is under way, if they are so wrong
    one.gate.set()
    assert (await slow).json()["data"]["thing"]["version"] == 1
    for request in same:
        assert (await request).json()["data"]["thing"]["version"] == 2
    for app in (one, two):
        assert (await ask(app, key="a")).json()["data"]["thing"]["version"] == 2


async def test_requests_together_cost_one_execution(apps: Callable[..., AnswersApp]) -> None:
    """Sixty requests for an answer that nobody has, over two processes, run its resolvers once."""
    one, two = [apps(kept={"lease": 60.0, "patience": 120.0}) for _ in range(2)]  # however slow the machine is
    answers = await asyncio.gather(*[ask(app, key="a", delay=0.3) for app in (one, two) for _ in range(30)])
    assert {answer.content for answer in answers} == {answers[0].content}
    assert one.resolved + two.resolved == 1


async def test_requests_together_for_what_cannot_be_kept_do_not_queue(apps: Callable[..., AnswersApp]) -> None:
    """What turns out not to be kept is resolved for each, side by side: after the first nobody waits for another."""
    app = apps()
    query = '{ thing(key: "a") { owner } }'
    await ask(app, query)
    app.gate = asyncio.Event()
    asked = [asyncio.create_task(ask(app, query)) for _ in range(30)]
    await until(lambda: app.resolved == 31)  # all are under way before one of them is answered
    assert not any(one.done() for one in asked)
    app.gate.set()
    await asyncio.gather(*asked)


@pytest.mark.parametrize(
    "query",
    [
        "{ plain }",
        '{ thing(key: "a") { now } }',
        '{ thing(key: "a") { owner } }',
        '{ thing(key: "a") { version } plain }',
        "{ cookie }",
        '{ ...F } fragment F on Query { thing(key: "a") { ...G } } fragment G on Thing { now }',
    ],
    ids=["no policy", "forbidden below", "touches the viewer", "one of two", "sets a cookie", "in a fragment"],
)
async def test_what_must_be_resolved_is_resolved(apps: Callable[..., AnswersApp], query: str) -> None:
    """Nothing is kept of an operation that may not be kept, says so or not."""
    app = apps()
    for _ in range(3):
        assert (await ask(app, query)).headers["cache-control"] == "no-store"
    assert app.resolved >= 3


async def test_errors_are_not_kept(apps: Callable[..., AnswersApp]) -> None:
    """An answer with an error in it is made again each time; without one it is kept."""
    app = apps()
    query = '{ thing(key: "a") { odd } }'
    app.truth.versions["a"] = 2
    for _ in range(2):
        answer = await ask(app, query)
        assert answer.json()["errors"]
        assert answer.headers["cache-control"] == "no-store"
    assert app.resolved == 2
    async with app.cache.invalidating("a"):
        app.truth.versions["a"] = 3
    for _ in range(3):
        assert (await ask(app, query)).json() == {"data": {"thing": {"odd": 3}}}
    assert app.resolved == 3


async def test_only_declared_variables_make_another_answer(apps: Callable[..., AnswersApp]) -> None:
    """The order of variables, and ones that the operation does not know, make no difference; values do."""
    app = apps()
    app.truth.versions["b"] = 7
    first = await ask(app, key="a", delay=0.0)
    assert (await ask(app, delay=0.0, key="a", nonsense=[1, 2])).content == first.content
    assert app.resolved == 1
    assert (await ask(app, key="b", delay=0.0)).json()["data"]["thing"]["version"] == 7
    several = f"{THING} query Other($key: String!) {{ thing(key: $key) {{ version }} }}"
    async with browse(app.endpoint) as http:
        app.endpoint.engine.operations.prepare(several)
        for name, wanted in (("Thing", {"key": "a", "version": 1}), ("Other", {"version": 1})) * 2:
            body = {"query": several, "operationName": name, "variables": {"key": "a"}}
            assert (await http.post("/graphql", json=body)).json() == {"data": {"thing": wanted}}


async def test_declared_tags_outdate_what_is_read_past_the_cache(apps: Callable[..., AnswersApp]) -> None:
    """A field that reads something else is kept until one of the tags it declares is invalidated."""
    app = apps()
    query = "query D($key: String!) { direct(key: $key) }"
    for _ in range(2):
        assert (await ask(app, query, key="a")).json() == {"data": {"direct": 1}}
    assert app.resolved == 1
    app.truth.versions["a"] = 2
    await app.cache.invalidate("direct:a")
    assert (await ask(app, query, key="a")).json() == {"data": {"direct": 2}}


async def test_a_tag_is_made_of_the_default_of_a_variable(apps: Callable[..., AnswersApp]) -> None:
    """A variable that the client leaves out names the same tag as one that it sends."""
    app = apps()
    query = 'query D($key: String! = "a") { direct(key: $key) }'
    assert [(await ask(app, query)).json()["data"]["direct"] for _ in range(2)] == [1, 1]
    app.truth.versions["a"] = 2
    await app.cache.invalidate("direct:a")
    assert (await ask(app, query)).json() == {"data": {"direct": 2}}


async def test_a_resolver_can_have_its_answer_not_kept_or_not_for_long(
    apps: Callable[..., AnswersApp], client: Client
) -> None:
    """What a resolver says of its own answer counts, also where the schema keeps one for each session."""
    app = apps()
    await client.execute("SET", KeyTokens.key("ann"), 1)
    for number in range(1, 4):
        assert (await ask(app, "{ past }", token="ann")).json() == {"data": {"past": number}}
    query = "query P($until: Float) { past(until: $until) }"
    far = time.time() + 3600
    for _ in range(3):
        assert (await ask(app, query, token="ann", until=far)).json() == {"data": {"past": 4}}
    near = time.time() + 0.3
    assert (await ask(app, query, token="ann", until=near)).json() == {"data": {"past": 5}}
    await asyncio.sleep(near + 0.01 - time.time())
    assert (await ask(app, query, token="ann", until=near)).json() == {"data": {"past": 6}}


async def test_private_answers_are_kept_for_their_session_alone(
    apps: Callable[..., AnswersApp], client: Client
) -> None:
    """What depends on the viewer is kept for each session, never shown to another or without one, and ends with it."""
    app = apps()
    query = '{ thing(key: "a") { note } }'
    for token in ("ann", "bob"):
        await client.execute("SET", KeyTokens.key(token), 1)
    for _ in range(3):
        for token in ("ann", "bob"):
            answer = await ask(app, query, token=token)
            assert answer.json()["data"]["thing"]["note"] == f"{token}'s note on a"
            assert answer.headers["cache-control"].startswith("private")
            assert {"Authorization", "Cookie"} <= set(answer.headers["vary"].split(", "))
    assert app.resolved == 2
    assert (await ask(app, query)).json()["data"]["thing"]["note"] == "None's note on a"
    await client.execute("DEL", KeyTokens.key("ann"))
    assert (await ask(app, query, token="ann")).json()["data"]["thing"]["note"] == "None's note on a"


async def test_public_answers_are_the_same_for_everybody(apps: Callable[..., AnswersApp], client: Client) -> None:
    """A session, a dead one and none get the same public answer, and each is charged to its own budget."""
    app = apps(limits={"authenticated": 50, "anonymous": 20})
    await client.execute("SET", KeyTokens.key("ann"), 1)
    seen = {token: await ask(app, token=token, key="a") for token in (None, "ann", "ghost")}
    assert len({answer.content for answer in seen.values()}) == 1
    assert app.resolved == 1
    assert {token: answer.headers["ratelimit"].split(";t")[0] for token, answer in seen.items()} == {
        None: '"anonymous";r=19',
        "ann": '"authenticated";r=49',
        "ghost": '"anonymous";r=18',
    }


async def test_an_answer_that_is_still_the_same_is_not_sent_again(apps: Callable[..., AnswersApp]) -> None:
    """A GET with the ETag of the current answer gets 304 without a body; after a write it gets the new answer."""
    app = apps()
    url = "/graphql?query={thing(key:%22a%22){version}}"
    app.endpoint.engine.operations.prepare('{thing(key:"a"){version}}')
    async with browse(app.endpoint, headers=PREFLIGHT) as http:
        first = await http.get(url)
        etag = first.headers["etag"]
        for sent in (etag, f'"x", {etag.removeprefix("W/")}', "*"):
            same = await http.get(url, headers={"If-None-Match": sent})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == etag
            assert "content-length" not in same.headers
        async with app.cache.invalidating("a"):
            app.truth.versions["a"] = 2
        new = await http.get(url, headers={"If-None-Match": etag})
        assert (new.status_code, new.json()) == (200, {"data": {"thing": {"version": 2}}})
        assert new.headers["etag"] != etag
        post = {"query": '{thing(key:"a"){version}}'}
        sent = {"If-None-Match": new.headers["etag"]}
        assert (await http.post("/graphql", json=post, headers=sent)).status_code == 200


async def test_answers_expire_and_tell_their_age(apps: Callable[..., AnswersApp]) -> None:
    """What nothing outdates is made again when its time is over, and says meanwhile how old it is."""
    app = apps()
    first = (await ask(app, "{ brief }")).json()
    assert (await ask(app, "{ brief }")).json() == first
    await asyncio.sleep(1.7)
    assert (await ask(app, "{ brief }")).json() != first
    await ask(app, key="a")
    await until(lambda: any(b"thing" in copy.value[0] for copy in app.answers._local._copies.values()))
    (copy,) = [copy for copy in app.answers._local._copies.values() if b"thing" in copy.value[0]]
    body, digest, made = copy.value
    key = next(key for key, kept in app.answers._local._copies.items() if kept is copy)
    app.answers._local.put(key, copy._replace(value=(body, digest, made - 41)), time.time())
    assert (await ask(app, key="a")).headers["age"] == "41"


async def test_an_answer_about_to_expire_is_made_again_in_the_background(apps: Callable[..., AnswersApp]) -> None:
    """The request that finds it due gets the old answer at once; it is made once, however many find it so."""
    one, two = apps(beta=1e9), apps(beta=1e9)
    await ask(one, key="a")
    one.gate = two.gate = asyncio.Event()
    await asyncio.gather(*[ask(app, key="a") for app in (one, two) for _ in range(10)])  # none waits at the gate
    await until(lambda: one.resolved + two.resolved == 2)
    one.gate.set()
    await until(lambda: not one.answers._tasks and not two.answers._tasks)
    assert one.resolved + two.resolved == 2


async def test_a_damaged_answer_is_made_again(apps: Callable[..., AnswersApp], client: Client) -> None:
    """Foreign bytes under an answer's key are never sent."""
    one, two = apps(), apps()
    first = await ask(one, key="a")
    await until(lambda: one.answers._local._copies)
    (name,) = await client.execute("KEYS", "graph:response:*")
    for noise in (b"", b"gC\x01garbage", (await client.execute("GET", name))[:-1]):
        await client.execute("SET", name, noise, "EX", 100)
        assert (await ask(two, key="a")).content == first.content


async def test_the_limit_holds_in_the_lane(apps: Callable[..., AnswersApp]) -> None:
    """A kept answer costs what it would cost to make, and over the limit it is refused in the same words."""
    app, off = apps(limits={"anonymous": 3}), apps(limits={"anonymous": 3}, enabled=False)
    refusals: list[Any] = []
    for one, address in ((app, "10.0.0.1"), (off, "10.0.0.2")):
        one.endpoint.engine.operations.prepare(THING)
        async with browse(one.endpoint, headers={"x-test-address": address}) as http:
            body = {"query": THING, "variables": {"key": "a"}}
            answers = [await http.post("/graphql", json=body) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        refusals.append(answers[3].json())
    assert refusals[0] == refusals[1]


async def test_the_lane_changes_no_byte_and_no_header(apps: Callable[..., AnswersApp]) -> None:
    """A series of requests gets the same answers with the lane as when everything is resolved."""
    on, off = apps(), apps(enabled=False)
    bodies: list[dict[str, Any]] = [
        {"query": THING, "variables": {"key": "a"}},
        {"query": THING, "variables": {"key": "missing"}},
        {"query": THING, "variables": {"key": 5}},
        {"query": THING},
        {"query": "{ plain"},
        {"query": "{ nothing }"},
        {"query": '{ thing(key: "a") { owner } }'},
        {"query": 'mutation { write(key: "c") }'},
        {"query": "{ __typename }"},
        {"query": f"{THING} {{ plain }}", "operationName": "Nope"},
    ]
    seen: list[list[tuple[int, bytes, dict[str, str]]]] = []
    for app, address in ((on, "10.1.0.1"), (off, "10.1.0.2")):
        app.truth.versions.pop("c", None)
        async with browse(app.endpoint, headers={"x-test-address": address}) as http:
            answers = [await http.post("/graphql", json=body) for body in bodies for _ in range(3)]
        seen.append([(one.status_code, one.content, _lasting(one.headers)) for one in answers])
    assert seen[0] == seen[1]
    assert on.resolved < off.resolved


def _lasting(headers: httpx.Headers) -> dict[str, str]:
    clock = ("x-ratelimit-reset", "ratelimit")
    return {name: value for name, value in headers.items() if name not in clock}


async def test_debug_tells_how_an_answer_was_made(apps: Callable[..., AnswersApp]) -> None:
    """With debug an answer says whether it was kept, and for how long already."""
    app = apps(debug=True)
    made, kept = await ask(app, key="a"), await ask(app, key="a")
    assert made.json()["extensions"] == {"cache": {"status": "miss", "age": 0}}
    assert kept.json()["extensions"] == {"cache": {"status": "hit", "age": 0}}
    assert made.json()["data"] == kept.json()["data"]


async def test_without_redis_answers_are_made(apps: Callable[..., AnswersApp]) -> None:
    """When Redis goes, requests are resolved; a session that cannot be checked is refused with 503, as ever."""
    del apps
    truth = Truth()
    truth.versions["a"] = 1
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            app = AnswersApp(client, truth)
            first = await ask(app, key="a")
            server.kill()
            with pytest.raises(RedisUnavailable):
                await client.execute("PING")
            for _ in range(3):
                assert (await ask(app, key="a")).content == first.content
            async with browse(app.endpoint, headers={"Authorization": "Bearer ann"}) as http:
                refused = await http.post("/graphql", json={"query": THING, "variables": {"key": "a"}})
            assert refused.status_code == 503
            assert app.resolved == 4
            await app.close()


async def test_a_request_known_by_its_bytes_is_held_to_the_same_rules(
    apps: Callable[..., AnswersApp], client: Client
) -> None:
    """Bytes that were answered before are not read again, but session, limit, writes and privacy count as ever."""
    app = apps(limits={"authenticated": 4, "anonymous": 3})
    await client.execute("SET", KeyTokens.key("ann"), 1)
    note = '{ thing(key: "a") { note } }'
    assert (await ask(app, note, token="ann")).json()["data"]["thing"]["note"] == "ann's note on a"
    assert app.endpoint.lane is not None
    assert len(app.endpoint.lane._recalled) == 1  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownArgumentType] - the lane's own memory
    assert (await ask(app, note)).json()["data"]["thing"]["note"] == "None's note on a"
    assert (await ask(app, note, token="ann")).json()["data"]["thing"]["note"] == "ann's note on a"
    async with app.cache.invalidating("a"):
        pass
    resolved = app.resolved
    await ask(app, note, token="ann")
    assert app.resolved == resolved + 1
    await ask(app, note, token="ann")
    async with browse(app.endpoint, headers={"Authorization": "Bearer ann"}) as http:
        assert (await http.post("/graphql", json={"query": note, "variables": None})).status_code == 429
        assert (await http.post("/graphql", json=[{"query": note, "variables": None}])).status_code == 429


class Blind:
    """A context that does not note who was asked for."""

    def __init__(self, sight: Sight) -> None:
        self.app = sight.app
        self.caller = sight._caller
        self.response = sight.response


async def test_without_a_word_on_who_was_asked_for_nothing_is_given_to_others(
    apps: Callable[..., AnswersApp], client: Client
) -> None:
    """What a context without `viewer_touched` was read for nobody knows: its public answers are not kept."""
    app = apps(sight=Blind)
    await client.execute("SET", KeyTokens.key("ann"), 1)
    await client.execute("SET", KeyTokens.key("bob"), 1)
    async with browse(app.endpoint) as http:
        for name in ("ann", "bob", "ann"):
            headers = {"authorization": f"Bearer {name}"}
            owned = await http.data('{ thing(key: "a") { version owner } }', headers=headers)
            assert owned["thing"]["owner"] == name
        assert app.resolved == 3
