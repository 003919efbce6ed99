"""Operations that are never kept: admitted with one trip to Redis, and charged as they are without it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.clients.browser import browse
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    import httpx

    from graph.patterns.client import Client

PLAIN = "{ plain }"


@pytest.fixture
async def make(client: Client) -> AsyncIterator[Callable[..., AnswersApp]]:
    """Makes apps over one Redis."""
    made: list[AnswersApp] = []

    def make(**options: Any) -> AnswersApp:
        made.append(AnswersApp(client, Truth(), **options))
        return made[-1]

    yield make
    for app in made:
        await app.close()


async def ask(app: AnswersApp, query: str, token: str | None = None) -> httpx.Response:
    """Ask for a document that is known."""
    app.endpoint.engine.operations.prepare(query)
    async with browse(app.endpoint, headers={"Authorization": f"Bearer {token}"} if token else {}) as http:
        return await http.post("/graphql", json={"query": query})


async def _reads(client: Client) -> int:
    stats: bytes = await client.execute("INFO", "stats")
    return int(stats.partition(b"total_reads_processed:")[2].partition(b"\r")[0])


@pytest.mark.parametrize("token", [None, "ann"])
async def test_session_and_charge_are_one_trip(
    make: Callable[..., AnswersApp], client: Client, token: str | None
) -> None:
    """What is executed in any case costs one trip before it runs, whoever asks."""
    app = make()
    await client.execute("SET", KeyTokens.key("ann"), 1)
    await ask(app, PLAIN, token)
    before = await _reads(client)
    answer = await ask(app, PLAIN, token)
    assert await _reads(client) - before == 2  # that one, and the question itself
    assert answer.json() == {"data": {"plain": 2}}


async def test_the_limit_is_exact(make: Callable[..., AnswersApp], client: Client) -> None:
    """As many as the limit allows run, mutations as well as queries; the next is refused, and does not run."""
    app = make(limits={"authenticated": 3})
    await client.execute("SET", KeyTokens.key("ann"), 1)
    mutation = 'mutation { write(key: "a") }'
    for query, left in ((PLAIN, "2"), (mutation, "1"), (PLAIN, "0")):
        answer = await ask(app, query, "ann")
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, left)
    refused = await ask(app, mutation, "ann")
    assert refused.status_code == 429
    assert refused.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert app.truth.versions == {"a": 1}
    assert app.resolved == 2


async def test_a_session_that_has_ended_charges_the_address(make: Callable[..., AnswersApp], client: Client) -> None:
    """A token without a session leaves the budget of its user as it is: the address pays."""
    app = make(limits={"authenticated": 5, "anonymous": 2})
    await client.execute("SET", KeyTokens.key("ann"), 1)
    assert (await ask(app, PLAIN, "ann")).headers["x-ratelimit-remaining"] == "4"
    await client.execute("DEL", KeyTokens.key("ann"))
    for left in ("1", "0"):
        answer = await ask(app, PLAIN, "ann")
        assert (answer.status_code, answer.headers["x-ratelimit-remaining"]) == (200, left)
    assert (await ask(app, PLAIN, "ann")).status_code == 429
    await client.execute("SET", KeyTokens.key("ann"), 1)
    assert (await ask(app, PLAIN, "ann")).headers["x-ratelimit-remaining"] == "3"


async def test_a_mutation_by_get_is_refused_without_running(make: Callable[..., AnswersApp], client: Client) -> None:
    """A known mutation does not come in by the way that only queries may take."""
    app = make()
    mutation = 'mutation { write(key: "a") }'
    app.endpoint.engine.operations.prepare(mutation)
    headers = {"GraphQL-Require-Preflight": "1"}
    async with browse(app.endpoint, headers=headers) as http:
        answer = await http.get("/graphql", params={"query": mutation})
    assert answer.status_code == 405
    assert app.truth.versions == {}


async def test_an_outdated_entry_is_looked_at_once(make: Callable[..., AnswersApp], client: Client) -> None:
    """The lease of an invalidated answer brings its old entry again, which is not asked for a third time."""

    async def looks() -> int:
        stats: bytes = await client.execute("INFO", "commandstats")
        return int(stats.partition(b"cmdstat_mget:calls=")[2].partition(b",")[0])

    app = make()
    app.truth.versions["a"] = 1
    query = '{ thing(key: "a") { version } }'
    for _ in range(3):
        await ask(app, query)
    await app.cache.invalidate("a")
    before = await looks()
    assert (await ask(app, query)).json() == {"data": {"thing": {"version": 1}}}
    assert await looks() - before == 2
