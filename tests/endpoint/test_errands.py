"""Recognised mutations: executed and answered as by the application, which they pass by."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.clients.browser import browse
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx

    from graph.patterns.client import Client

WRITE = "mutation Write($key: String!) { write(key: $key) }"
COUNTED = ("ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset")


@pytest.fixture
async def app(client: Client) -> AsyncIterator[AnswersApp]:
    """An app that recognises what it has seen once."""
    made = AnswersApp(client, Truth(), express=True, limits={"authenticated": 40, "anonymous": 30})
    made.endpoint.engine.operations.prepare(WRITE)
    yield made
    await made.close()


async def write(app: AnswersApp, *keys: Any, query: str = WRITE, **headers: str) -> list[httpx.Response]:
    """Write to each key, one after the other."""
    async with browse(app.endpoint, headers=headers) as http:
        return [await http.post("/graphql", json={"query": query, "variables": {"key": key}}) for key in keys]


async def test_a_mutation_of_a_known_document_is_answered_alike(app: AnswersApp, client: Client) -> None:
    """From the second on the head is known: each is executed once, charged once, and answered in the same form."""
    await client.execute("SET", KeyTokens.key("ann"), 1)
    for headers in ({}, {"authorization": "Bearer ann"}, {"accept": "application/graphql-response+json"}):
        expressed, before = app.endpoint.expressed, dict(app.truth.versions)
        answers = await write(app, "a", "b", "c", "a", **headers)
        assert app.endpoint.expressed == expressed + 3
        assert app.truth.versions == {key: before.get(key, 0) + count for key, count in (("a", 2), ("b", 1), ("c", 1))}
        assert [answer.json()["data"]["write"] for answer in answers[1:3]] == [
            app.truth.versions["b"],
            app.truth.versions["c"],
        ]
        usual, last = answers[0], answers[-1]
        assert list(usual.headers.items()) == list(
            ({**last.headers, **{name: usual.headers[name] for name in COUNTED}}).items()
        )
        left = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers]
        assert left == list(range(left[0], left[0] - 4, -1))


async def test_errors_are_the_same(app: AnswersApp) -> None:
    """Variables of a wrong type are refused as in the usual way, in both media types."""
    for accept in ("application/json", "application/graphql-response+json"):
        usual, _, expressed = await write(app, 1, "a", 1, accept=accept)
        assert app.endpoint.expressed
        assert (usual.status_code, usual.json()) == (expressed.status_code, expressed.json())
        assert expressed.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_the_limit_holds(app: AnswersApp) -> None:
    """Beyond the limit nothing is executed, and the refusal says when to come again."""
    async with browse(app.endpoint) as http:
        sent = [http.post("/graphql", json={"query": WRITE, "variables": {"key": "a"}}) for _ in range(40)]
        answers = [await sent.pop(), *await asyncio.gather(*sent)]
    assert sorted(answer.status_code for answer in answers) == [200] * 30 + [429] * 10
    assert app.truth.versions["a"] == 30
    assert app.endpoint.expressed > 20
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert int(refused.headers["retry-after"]) > 0


async def test_a_session_that_ends_is_noticed(app: AnswersApp, client: Client) -> None:
    """The mutation after the session's end is charged to the address."""
    await client.execute("SET", KeyTokens.key("ann"), 1)
    answers = await write(app, "a", "a", authorization="Bearer ann")
    assert app.endpoint.expressed == 1
    assert '"authenticated"' in answers[-1].headers["ratelimit"]
    await client.execute("DEL", KeyTokens.key("ann"))
    (answer,) = await write(app, "a", authorization="Bearer ann")
    assert app.endpoint.expressed == 2
    assert '"anonymous"' in answer.headers["ratelimit"]
