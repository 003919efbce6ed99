"""Queries whose answer nobody has made yet, or is outdated: the lease comes with session and limit."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest

from graph.patterns.client import open_client
from harness.valkey import ValkeyServer
from harness.waiting import until, within
from tests.support.apps.answers import AnswersApp, KeyTokens
from tests.support.clients.browser import browse
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import httpx

    from graph.patterns.client import Client, Command

ONE = "query One($key: String!) { thing(key: $key) { key version } }"
ODD = "query Odd($key: String!) { thing(key: $key) { key odd } }"
MINE = "query Mine($key: String!) { thing(key: $key) { note } }"
COUNTED = ("ratelimit", "x-ratelimit-remaining", "x-ratelimit-reset")
_ID = re.compile(rb'"id":"[0-9a-f]{16}"')  # of a masked error
SOON = 20.0
"""Seconds in which a lease that was given up is gone, however slow the machine: it lives longer by itself."""


@pytest.fixture
async def apps(client: Client) -> AsyncIterator[Callable[..., AnswersApp]]:
    """Makes processes over one truth; without `express` a request is always parsed."""
    truth = Truth()
    truth.versions.update({f"key {number}": number for number in range(40)})
    made: list[AnswersApp] = []

    def make(*, express: bool = True, **limits: int) -> AnswersApp:
        made.append(AnswersApp(client, truth, express=express, limits=limits, kept={"lease": 60, "patience": 60}))
        for query in (ONE, ODD, MINE):
            made[-1].endpoint.engine.operations.prepare(query)
        return made[-1]

    yield make
    for app in made:
        await app.close()


async def ask(app: AnswersApp, *keys: Any, query: str = ONE, **headers: str) -> list[httpx.Response]:
    """Ask for each key, one after the other."""
    async with browse(app.endpoint, headers=headers) as http:
        return [await http.post("/graphql", json={"query": query, "variables": {"key": key}}) for key in keys]


def alike(one: httpx.Response, other: httpx.Response) -> bool:
    """Whether two answers are the same, apart from what is counted down."""
    heads = [{**answer.headers, **dict.fromkeys(COUNTED)} for answer in (one, other)]
    bodies = {_ID.sub(b"", answer.content) for answer in (one, other)}
    return len(bodies) == 1 and list(one.headers) == list(other.headers) and heads[0] == heads[1]


@pytest.mark.parametrize("query", [ONE, ODD, MINE])
async def test_they_are_answered_alike(apps: Callable[..., AnswersApp], client: Client, query: str) -> None:
    """From the second head on each is made at once, charged once, and not a byte differs from the usual way."""
    await client.execute("SET", KeyTokens.key("ann"), 1)
    keys = [f"key {number}" for number in range(6)] + ["no such key", 5]
    for headers in ({"authorization": "Bearer ann"}, {"accept": "application/graphql-response+json"}, {}):
        await client.execute("FLUSHALL")
        await client.execute("SET", KeyTokens.key("ann"), 1)
        app, usual = apps(), apps(express=False)
        expected = await ask(usual, *keys, query=query, **headers)
        await client.execute("FLUSHALL")
        await client.execute("SET", KeyTokens.key("ann"), 1)
        answers = await ask(app, *keys, query=query, **headers)
        assert [alike(*pair) for pair in zip(answers, expected, strict=True)] == [True] * len(keys)
        assert app.endpoint.expressed >= len(keys) - 2 or (query == MINE and "authorization" not in headers)
        left = [int(answer.headers["x-ratelimit-remaining"]) for answer in answers[:-1]]
        assert left == list(range(left[0], left[0] - len(left), -1))
        assert app.resolved == usual.resolved == len(keys) - 1


async def test_what_comes_at_once_is_made_once(apps: Callable[..., AnswersApp]) -> None:
    """However many ask, in two processes; and the next ones find it."""
    processes = [apps(), apps()]
    for app in processes:
        await ask(app, "key 1")
    asked = [ask(app, "key 2") for app in processes for _ in range(10)]
    async with within("the answers", SOON):
        answers = [answer for answers in await asyncio.gather(*asked) for answer in answers]
    assert {answer.json()["data"]["thing"]["version"] for answer in answers} == {2}
    assert sum(app.resolved for app in processes) == 2
    await asyncio.gather(*(ask(app, "key 2") for app in processes))
    assert sum(app.resolved for app in processes) == 2


@pytest.mark.parametrize("express", [True, False])
async def test_whoever_is_refused_holds_no_lease(
    apps: Callable[..., AnswersApp], client: Client, *, express: bool
) -> None:
    """A caller over the limit keeps nobody else from making the answer."""
    app, other = apps(express=express, anonymous=3), apps()
    answers = await ask(app, *(f"key {number}" for number in range(4)))
    assert [answer.status_code for answer in answers] == [200] * 3 + [429]
    async with within("the lease to be given up", SOON):
        (answer,) = await ask(other, "key 3", authorization="Bearer bob")
    assert answer.json()["data"]["thing"]["version"] == 3
    async with within("no lease to be left", SOON):
        while await client.execute("KEYS", "graph:response-lease:*", retry=True):
            await asyncio.sleep(0.01)


async def test_whoever_is_cancelled_holds_no_lease() -> None:
    """Though the request for it has been sent, and is replied to later."""
    sent: list[str] = []

    def note(commands: Sequence[Command], _: object) -> None:
        sent.extend(one.script.name for one in commands if one.script is not None)

    with ValkeyServer() as server:
        async with open_client(server.url, observe=note) as paused:
            app = AnswersApp(paused, Truth(), kept={"lease": 60, "patience": 60})
            app.endpoint.engine.operations.prepare(ONE)
            await ask(app, "a")
            sent.clear()
            server.pause()
            asked = asyncio.create_task(ask(app, "b"))
            await until(lambda: "cache.lease" in sent)
            asked.cancel()
            await asyncio.wait((asked,))
            server.resume()
            await paused.execute("PING", retry=True)
            assert await paused.execute("KEYS", "graph:response-lease:*", retry=True) == []
            await app.close()


async def test_where_nothing_is_kept_no_lease_is_requested(client: Client) -> None:
    """Nobody would wait for it."""
    truth = Truth()
    truth.versions["a"] = 1
    app = AnswersApp(client, truth, enabled=False)
    app.endpoint.engine.operations.prepare(ONE)
    app.gate = asyncio.Event()
    asked = asyncio.create_task(ask(app, "a"))
    await until(lambda: app.resolved)
    found = await client.execute("KEYS", "graph:response*", retry=True)
    app.gate.set()
    await asked
    await app.close()
    assert found == []


async def test_a_session_that_has_ended_is_noticed(apps: Callable[..., AnswersApp], client: Client) -> None:
    """The query after its end is charged to the address, and answered as anybody's."""
    app = apps()
    await client.execute("SET", KeyTokens.key("ann"), 1)
    headers = {"authorization": "Bearer ann"}
    answers = await ask(app, "key 1", "key 2", **headers)
    await client.execute("DEL", KeyTokens.key("ann"))
    answers += await ask(app, "key 3", **headers)
    assert app.endpoint.expressed == 2
    assert ['"authenticated"' in answer.headers["ratelimit"] for answer in answers] == [True, True, False]
    assert answers[-1].json()["data"]["thing"]["version"] == 3


async def test_a_write_is_seen_by_whatever_is_made_after_it(apps: Callable[..., AnswersApp]) -> None:
    """The generations were read before the value; one that is written before the answer is kept is not served."""
    app, other = apps(), apps()
    await ask(app, *(f"key {number}" for number in range(5)))
    for number in range(5, 15):
        key = f"key {number}"
        (made,) = await ask(app, key)
        assert made.json()["data"]["thing"]["version"] == number
        async with other.cache.invalidating(key):
            app.truth.versions[key] += 100
        found = [*await ask(app, key), *await ask(other, key)]
        assert [answer.json()["data"]["thing"]["version"] for answer in found] == [number + 100] * 2


async def write(app: AnswersApp, *keys: str) -> None:
    """Change what `keys` are."""
    for key in keys:
        async with app.cache.invalidating(key):
            app.truth.versions[key] += 100


@pytest.mark.parametrize("query", [ONE, ODD, MINE])
async def test_outdated_ones_are_answered_alike(apps: Callable[..., AnswersApp], client: Client, query: str) -> None:
    """Each is made anew at once, charged once, and not a byte differs from the usual way."""
    keys = [f"key {number}" for number in range(6)]
    for headers in ({"authorization": "Bearer ann"}, {"accept": "application/graphql-response+json"}, {}):
        told: list[list[httpx.Response]] = []
        for express in (True, False):
            await client.execute("FLUSHALL")
            await client.execute("SET", KeyTokens.key("ann"), 1)
            app, other = apps(express=express), apps()
            app.truth.versions.update({f"key {number}": number for number in range(40)})
            await ask(app, *keys, query=query, **headers)
            await write(other, *keys)
            before = app.endpoint.expressed
            told.append(await ask(app, *keys, query=query, **headers))
            left = [int(answer.headers["x-ratelimit-remaining"]) for answer in told[-1]]
            assert left == list(range(left[0], left[0] - len(left), -1))
            assert app.resolved == 2 * len(keys)
            if express:
                assert app.endpoint.expressed - before == len(keys) * (query != MINE or "authorization" in headers)
        assert [alike(*pair) for pair in zip(*told, strict=True)] == [True] * len(keys)


async def test_an_outdated_one_takes_one_trip_more() -> None:
    """For session and lease; then it is loaded under the generations that showed that it is outdated."""
    batches: list[list[str]] = []

    def note(commands: Sequence[Command], _: object) -> None:
        batches.append([one.script.name if one.script is not None else str(one.args[0]) for one in commands])

    with ValkeyServer() as server:
        async with open_client(server.url, observe=note) as watched, open_client(server.url) as client:
            truth = Truth()
            truth.versions["a"] = 1
            app, other = (AnswersApp(one, truth, express=True) for one in (watched, client))
            await client.execute("SET", KeyTokens.key("ann"), 1)
            for one in (app, other):
                one.endpoint.engine.operations.prepare(ONE)
                await ask(one, "a", "a", authorization="Bearer ann")
            await write(other, "a")
            app.gate, loads = asyncio.Event(), len(truth.loads)
            batches.clear()
            asked = asyncio.create_task(ask(app, "a", authorization="Bearer ann"))
            await until(lambda: len(truth.loads) > loads)
            assert batches == []  # but for what is delivered: turnstile and generations, then session and lease
            app.gate.set()
            (answer,) = await asked
            assert answer.json()["data"]["thing"]["version"] == 101
            for one in (app, other):
                await one.close()


async def test_what_is_outdated_is_made_once(apps: Callable[..., AnswersApp]) -> None:
    """However many ask for it in two processes, and whoever asks then is served what the other one made."""
    processes = [apps(), apps()]
    for app in processes:
        await ask(app, "key 1", "key 2", "key 2")
    for _ in range(3):
        before = sum(app.resolved for app in processes)
        await write(processes[0], "key 2")
        asked = [ask(app, "key 2") for app in processes for _ in range(10)]
        async with within("the answers", SOON):
            answers = [answer for answers in await asyncio.gather(*asked) for answer in answers]
        version = processes[0].truth.versions["key 2"]
        assert {answer.json()["data"]["thing"]["version"] for answer in answers} == {version}
        assert sum(app.resolved for app in processes) == before + 1


async def test_a_write_while_an_outdated_one_is_made_outdates_it_again(apps: Callable[..., AnswersApp]) -> None:
    """It is kept under the generations that were read before it was loaded, however late it is."""
    app, other = apps(), apps()
    await ask(app, "key 1", "key 1")
    await write(other, "key 1")
    app.gate, loads = asyncio.Event(), len(app.truth.loads)
    asked = asyncio.create_task(ask(app, "key 1"))
    await until(lambda: len(app.truth.loads) > loads)
    await write(other, "key 1")
    app.gate.set()
    await asked
    for one in (app, other):
        (answer,) = await ask(one, "key 1")
        assert answer.json()["data"]["thing"]["version"] == 201


@pytest.mark.parametrize("ended", [False, True])
async def test_one_that_holds_on_to_an_outdated_one_is_waited_for(
    apps: Callable[..., AnswersApp], *, ended: bool
) -> None:
    """Whoever comes while it is made joins, and is told of a write that was acknowledged before."""
    app, other = apps(), apps()
    await ask(app, "key 1", "key 1")
    await write(other, "key 1")
    app.gate, loads = asyncio.Event(), len(app.truth.loads)
    first = asyncio.create_task(ask(app, "key 1"))
    await until(lambda: len(app.truth.loads) > loads)
    if ended:
        await write(other, "key 1")
    then = [asyncio.create_task(ask(app, "key 1")) for _ in range(3)]
    await asyncio.sleep(0)
    app.gate.set()
    await first
    answers = [answer for answers in await asyncio.gather(*then) for answer in answers]
    assert {answer.json()["data"]["thing"]["version"] for answer in answers} == {201 if ended else 101}
    assert len(app.truth.loads) - loads == 1 + ended


async def test_without_redis_a_session_is_not_guessed() -> None:
    """Whose session cannot be checked is told so; whoever has none is answered."""
    truth = Truth()
    truth.versions.update({"a": 1, "b": 2})
    with ValkeyServer() as server:
        async with open_client(server.url) as client:
            app = AnswersApp(client, truth, express=True)
            app.endpoint.engine.operations.prepare(ONE)
            await client.execute("SET", KeyTokens.key("ann"), 1)
            for headers in ({}, {"authorization": "Bearer ann"}):
                await ask(app, "a", **headers)
            server.kill()
            (nobody,) = await ask(app, "b")
            (ann,) = await ask(app, "b", authorization="Bearer ann")
            assert nobody.json()["data"]["thing"]["version"] == 2
            assert (ann.status_code, ann.json()["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
            await app.close()
