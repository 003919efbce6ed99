"""The rate limit of operations, as the extension, the endpoint and the local budget keep it."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from strawberry.asgi import GraphQL
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.admission import Ticket
from graph.endpoint.admission.headers import headers
from graph.endpoint.admission.local import LocalBudget
from graph.endpoint.document import Persisted
from graph.endpoint.identity import Anonymous, Caller
from graph.patterns.client import open_client
from graph.patterns.limiter import Charge, Limit, Verdict
from harness.valkey import ValkeyServer
from harness.waiting import within
from tests.support.apps.small import LOG, Scene, Tokens, make_admission, make_endpoint, make_schema
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.websockets import WebSocket

    from graph.patterns.client import Client

ANN = {"authorization": "Bearer ann"}


async def test_the_limit_is_exact_and_told(client: Client) -> None:
    """Five pass, the sixth is refused with 429, Retry-After and the same facts in its error; another caller passes."""
    async with browse(make_endpoint(client, limits={"anonymous": 5, "authenticated": 7})) as http:
        for left in (4, 3, 2, 1, 0):
            answer = await http.ask("{hello}")
            assert answer.status_code == 200
            assert answer.headers["x-ratelimit-remaining"] == str(left)
            assert answer.headers["ratelimit"].startswith(f'"anonymous";r={left};t=')
            assert answer.headers["ratelimit-policy"] == '"anonymous";q=5;w=60'
        refused = await http.ask("{hello}")
        assert refused.status_code == 429
        assert "data" not in refused.json()
        facts = refused.json()["errors"][0]["extensions"]
        assert facts["code"] == "RATE_LIMITED"
        assert facts["limit"] == 5
        assert 55 <= int(refused.headers["retry-after"]) == facts["retryAfter"] <= 61
        for _ in range(7):
            assert (await http.ask("{hello}", headers=ANN)).status_code == 200
        assert (await http.ask("{hello}", headers=ANN)).status_code == 429
        assert (await http.ask("{hello}", headers={"authorization": "Bearer bob"})).status_code == 200


async def test_every_operation_counts_once_however_it_comes(client: Client) -> None:
    """Each operation of a batch counts, a mistake counts, and nothing counts twice."""
    async with browse(make_endpoint(client, limits={"anonymous": 10})) as http:
        batch = await http.post("/graphql", json=[{"query": "{hello}"}, {"query": "{"}, {"query": "{whoami}"}])
        assert batch.headers["x-ratelimit-remaining"] == "7"
        for query in ("{", "{nothing}", "{items(first:1000){totalCount}}"):
            last = await http.ask(query)
        assert last.headers["x-ratelimit-remaining"] == "4"
        assert (await http.get("/graphql", params={"query": "{hello}"})).status_code == 403  # never got that far
        batch = await http.post("/graphql", json=[{"query": "{hello}"}] * 6)
        assert [("data" in one) for one in batch.json()].count(True) == 4
        batch = await http.post("/graphql", json=[{"query": "{hello}"}] * 2)
        assert batch.status_code == 429


async def test_of_many_at_once_exactly_the_limit_passes(client: Client, scaled: Callable[[int, int], int]) -> None:
    """400 requests in parallel (1,000 with --full): 100 pass and the others are refused."""
    async with browse(make_endpoint(client, limits={"authenticated": 100}), timeout=60) as http:
        answers = await asyncio.gather(*(http.ask("{hello}", headers=ANN) for _ in range(scaled(1000, 400))))
    assert sorted({answer.status_code for answer in answers}) == [200, 429]
    assert sum(answer.status_code == 200 for answer in answers) == 100


async def test_a_refused_operation_does_not_run(client: Client) -> None:
    """Over the limit a mutation changes nothing."""
    LOG.clear()
    async with browse(make_endpoint(client, limits={"anonymous": 1})) as http:
        await http.data('mutation{note(text:"first")}')
        assert await http.code('mutation{note(text:"second")}') == "RATE_LIMITED"
    assert LOG == ["first"]


async def test_a_caller_over_the_limit_costs_neither_redis_nor_the_parser(client: Client) -> None:
    """A flood of new documents from a refused caller is not even parsed, and asks Redis nothing."""
    endpoint = make_endpoint(client, limits={"anonymous": 1})
    async with browse(endpoint) as http:
        await http.ask("{hello}")
        await http.ask("{hello}")
        before = (await client.execute("INFO", "commandstats")).count(b"evalsha"), len(endpoint.engine.operations)
        calls = await client.execute("INFO", "stats")
        for n in range(50):
            assert (await http.ask(f"query New{n}{{hello}}")).status_code == 429
        assert len(endpoint.engine.operations) == before[1]
        assert commands(await client.execute("INFO", "stats")) - commands(calls) < 10


async def test_a_refused_callers_hashes_are_not_looked_up(client: Client) -> None:
    """Unknown persisted hashes from a caller over the limit get its refusal, and Redis hears nothing of them."""
    endpoint = make_endpoint(client, limits={"anonymous": 1}, persisted=Persisted(client))
    async with browse(endpoint) as http:
        await http.ask("{hello}")
        await http.ask("{hello}")
        await client.execute("CONFIG", "RESETSTAT", retry=True)
        for n in range(5):
            extensions = {"persistedQuery": {"version": 1, "sha256Hash": f"{n:064x}"}}
            assert await http.code(None, extensions=extensions) == "RATE_LIMITED"
        assert b"cmdstat_hget" not in await client.execute("INFO", "commandstats")


def commands(info: bytes) -> int:
    """How many commands the server has run."""
    return int(info.partition(b"total_commands_processed:")[2].split()[0])


async def test_reading_the_budget_costs_nothing(client: Client) -> None:
    """The free field can be read at will, over the limit too; beside others, or twice, it is an operation like any."""
    async with browse(make_endpoint(client, limits={"anonymous": 3})) as http:
        for _ in range(5):  # the document is charged when it is new
            assert await http.data("{quota{remaining}}") == {"quota": {"remaining": 2}}
        assert await http.data("{quota{remaining} hello}") == {"quota": {"remaining": 1}, "hello": "world"}
        assert await http.data("{quota{remaining}}") == {"quota": {"remaining": 1}}
        assert await http.data("{...F} fragment F on Query{hello}") == {"hello": "world"}
        assert await http.code("{hello}") == "RATE_LIMITED"
        assert await http.data("{quota{remaining}}") == {"quota": {"remaining": 0}}


async def test_no_new_document_is_free(client: Client) -> None:
    """Whatever a document asks for, it is charged before anybody looks into it, and not looked into over the limit."""
    endpoint = make_endpoint(client, limits={"anonymous": 3})
    async with browse(endpoint) as http:
        texts = [f"query Q{n}{{quota{{remaining}}}}" for n in range(9)]
        batches = [[{"query": one} for one in texts[n::3]] for n in range(3)]
        answers = await asyncio.gather(*(http.post("/graphql", json=batch) for batch in batches))
        codes = [one.get("errors", [{}])[0].get("extensions", {}).get("code") for a in answers for one in a.json()]
        assert sorted(codes, key=str) == [None] * 3 + ["RATE_LIMITED"] * 6
        assert len(endpoint.engine.operations) == 3
        assert await http.code("query B{__typename}") == "RATE_LIMITED"


async def test_a_new_document_is_part_of_what_its_operation_costs(client: Client) -> None:
    """In the mode "cost" the unit for preparing a document is the first of those of its operation."""
    limits = {"anonymous": 10, "mode": "cost", "unit": 100}
    text = "query($n:Int){items(first:$n){nodes{id name related(first:2){id}}}}"
    async with browse(make_endpoint(client, limits=limits)) as http:
        for left in ("5", "0"):
            answer = await http.ask(text, variables={"n": 90})
            assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, left)


async def test_cost_mode_charges_what_an_operation_asks_for(client: Client) -> None:
    """In the mode "cost" the estimate is charged before anything runs; what exceeds the whole limit never passes."""
    limits = {"anonymous": 10, "mode": "cost", "unit": 100}
    async with browse(make_endpoint(client, limits=limits)) as http:
        answer = await http.ask(
            "query($n:Int){items(first:$n){nodes{id name related(first:2){id}}}}", variables={"n": 90}
        )
        assert answer.headers["x-ratelimit-remaining"] == "5"  # 2 + 90 · (1 + 1 + 1 + 2) = 452 fields
        assert (await http.ask("{hello}")).headers["x-ratelimit-remaining"] == "4"
        refused = await http.ask(
            "query($n:Int){items(first:$n){nodes{id name related(first:2){id}}}}", variables={"n": 90}
        )
        assert refused.status_code == 429
        assert refused.headers["x-ratelimit-remaining"] == "4"
        never = await http.ask("{items(first:100){nodes{related(first:20){id}}}}")
        assert never.status_code == 429
        assert "retry-after" not in never.headers


async def test_forwarded_addresses_count_only_from_trusted_proxies(client: Client) -> None:
    """Behind a trusted proxy each client has its own budget; anybody else's X-Forwarded-For changes nothing."""
    endpoint = make_endpoint(client, limits={"anonymous": 1}, authenticator=Anonymous())
    for trusted, codes in (("127.0.0.1", [200, 200, 429]), ("10.0.0.1", [200, 429, 429])):
        await client.execute("FLUSHALL", retry=False)
        endpoint.engine.admission = make_admission(client, anonymous=1)
        app = ProxyHeadersMiddleware(endpoint, trusted)  # pyright: ignore[reportArgumentType] - Starlette's and uvicorn's names for ASGI
        async with browse(app) as http:  # pyright: ignore[reportArgumentType] - the same
            addresses = ("2001:db8:1:2::1", "2001:db8:9:9::1", "2001:db8:1:2:ffff::9")
            answers = [await http.ask("{hello}", headers={"x-forwarded-for": one}) for one in addresses]
            assert [answer.status_code for answer in answers] == codes


async def test_a_schema_without_the_extension_is_limited_too(client: Client) -> None:
    """The endpoint charges by itself what no extension has charged."""
    admission = make_admission(client, anonymous=1)
    endpoint = GraphQLEndpoint(
        make_schema(),
        authenticator=Tokens(),
        admission=admission,
        context=lambda caller, _, response: Scene(caller, response),
    )
    LOG.clear()
    async with browse(endpoint) as http:
        assert await http.data("{hello}") == {"hello": "world"}
        assert await http.code('mutation{note(text:"a")}') == "RATE_LIMITED"
    assert LOG == []


# --- while Redis is away ---


async def test_while_redis_is_away_each_process_grants_its_share() -> None:
    """Without Redis a process of four lets a quarter of the limit through; with Redis back, the limit is whole."""
    with ValkeyServer() as server:
        async with (
            open_client(server.url) as client,
            browse(make_endpoint(client, limits={"anonymous": 20, "processes": 4})) as http,
        ):
            assert (await http.ask("{hello}")).headers["x-ratelimit-limit"] == "20"
            server.kill()
            statuses = [(await http.ask("{hello}")).status_code for _ in range(7)]
            assert statuses == [200] * 5 + [429] * 2
            server.start()
            async with within("the whole limit to be back"):
                while (await http.ask("{hello}")).headers["x-ratelimit-limit"] != "20":
                    await asyncio.sleep(0.05)


def test_the_local_budget_is_a_sliding_window() -> None:
    """A caller that waits retry_after passes, and one that does not is refused."""
    now = 100.0
    budget = LocalBudget(2, clock=lambda: now)
    charge = Charge(Limit("a", 6, 60.0), "key")
    for _ in range(3):
        assert budget.charge(charge).allowed
        now += 10
    refused = budget.charge(charge)
    assert not refused.allowed
    assert refused.retry_after == 30.0
    now += 29.9
    assert not budget.charge(charge).allowed
    now += 0.1
    assert budget.charge(charge).allowed
    assert not budget.charge(charge).allowed
    assert budget.charge(Charge(Limit("a", 6, 60.0), "key", 4)).retry_after == math.inf


def test_the_local_budget_charges_several_limits_or_none() -> None:
    """What one limit refuses is charged to no other; the refusal is that of the limit that is waited for longest."""
    budget = LocalBudget(1, clock=lambda: 100.0)
    wide, narrow = Charge(Limit("wide", 9, 60.0), "a"), Charge(Limit("narrow", 2, 600.0), "b")
    assert [budget.charge(wide, narrow).allowed for _ in range(3)] == [True, True, False]
    refused = budget.charge(wide, narrow)
    assert (refused.limit.name, refused.retry_after) == ("narrow", 600.0)
    assert budget.charge(Charge(Limit("wide", 9, 60.0), "a", 7)).allowed


@pytest.mark.parametrize("away", [False, True])
async def test_an_operation_is_charged_to_several_limits_or_to_none(valkey: ValkeyServer, *, away: bool) -> None:
    """The charges on a ticket are made in one script; a full limit refuses for all, and the others keep their units."""
    async with open_client(valkey.url) as client:
        await client.execute("FLUSHALL", retry=False)
        admission = make_admission(client, anonymous=5)
        caller = Caller("192.0.2.1")
        rare = Charge(Limit("rare", 2, 60.0), "test:rare:{address:192.0.2.1}")
        if away:
            await client.close()
        verdicts: list[Verdict] = []
        for _ in range(4):
            ticket = Ticket(caller, charges=(*admission.charges(caller), rare))
            verdicts.append(await admission.admit(ticket))
            assert ticket.headers["ratelimit-policy"].startswith('"rare"')
        assert [verdict.allowed for verdict in verdicts] == [True, True, False, False]
        last = [await admission.admit(Ticket(caller)) for _ in range(4)]
        assert [verdict.allowed for verdict in last] == [True, True, True, False]


@pytest.mark.parametrize("weight", [0, 1])
def test_headers_say_what_the_draft_says(weight: int) -> None:
    """The fields are those of draft-ietf-httpapi-ratelimit-headers-10; Retry-After goes with refusals alone."""
    told = headers(
        Verdict(
            allowed=not weight,
            limit=Limit("a", 20, 60.0),
            remaining=3,
            reset_after=59.2,
            retry_after=12.3 * weight,
            at=1000.0,
        )
    )
    assert told["ratelimit-policy"] == '"a";q=20;w=60'
    assert told["ratelimit"] == '"a";r=3;t=60'
    assert told["x-ratelimit-reset"] == "1060"
    assert told.get("retry-after") == ("13" if weight else None)


# --- in somebody else's Strawberry app ---


class Stock(GraphQL[Any, None]):
    """Strawberry's own view."""

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Any:
        return {"caller": Caller("192.0.2.1"), "response": response}


async def test_the_extension_works_under_strawberrys_own_view(client: Client) -> None:
    """Status, headers and error are those of the endpoint; invalid documents and syntax errors are charged."""
    from graph.endpoint.admission import RateLimit

    admission = make_admission(client, anonymous=4)
    schema = make_schema()
    schema.extensions = (lambda: RateLimit(admission, caller=lambda context: context["caller"]),)
    app = Starlette(routes=[Mount("/graphql", Stock(schema))])
    async with browse(app, follow_redirects=True) as http:
        for query, left in (("{__typename}", "3"), ("{nothing}", "2"), ("{", "1"), ("{__typename}", "0")):
            answer = await http.ask(query)
            assert answer.headers["x-ratelimit-remaining"] == left
        refused = await http.ask("{__typename}")
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 50
        assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert refused.json()["data"] is None


async def test_the_extension_refuses_subscriptions_with_an_error(client: Client) -> None:
    """A subscription over the limit gets the error, where an exception in a hook would end it without a word."""
    from graph.endpoint.admission import RateLimit

    admission = make_admission(client, anonymous=1)
    schema = make_schema()
    schema.extensions = (lambda: RateLimit(admission, caller=lambda context: context.caller),)
    scene = Scene(Caller("192.0.2.1"), None)
    for expected in ([0, 1, 2], None):
        results = [result async for result in await schema.subscribe("subscription{count}", context_value=scene)]
        if expected is not None:
            assert [(result.data or {})["count"] for result in results] == expected
        else:
            (only,) = results
            assert only.errors is not None
            assert (only.errors[0].extensions or {})["code"] == "RATE_LIMITED"
