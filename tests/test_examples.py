"""Each pattern lifted into somebody else's small Strawberry app."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from examples import broker_app, cache_app, keyspace_app, limiter_app, lock_app, ranking_app, sessions_app, tokens_app
from graph.patterns.lock import Locks
from harness.subscriber import subscriber
from harness.waiting import within
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from fastapi import FastAPI

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


class Visitor:
    """Somebody who sends operations to an example."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def post(self, query: str, token: str = "") -> httpx.Response:
        """The whole answer."""
        return await self._http.post("/graphql", json={"query": query}, headers={"authorization": f"Bearer {token}"})

    async def ask(self, query: str, token: str = "") -> Any:
        """The one root field of an answer without errors."""
        answer = (await self.post(query, token)).json()
        assert "errors" not in answer, answer
        (value,) = answer["data"].values()
        return value


@contextlib.asynccontextmanager
async def visiting(app: FastAPI) -> AsyncGenerator[Visitor]:
    """Run `app` and visit it."""
    async with (
        Lifespan(app) as running,
        httpx.AsyncClient(transport=httpx.ASGITransport(running.app), base_url="http://t") as http,
    ):
        yield Visitor(http)


@pytest.fixture
def url(client: Client, valkey: ValkeyServer) -> str:
    """An empty Redis."""
    del client  # it emptied the server
    return valkey.url


async def test_the_cache_reads_once_and_sees_a_rename(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two processes read the book once between them, and once more after a rename in one of them."""
    monkeypatch.setitem(cache_app.BOOK, 1, "Bread")
    async with visiting(cache_app.create_app(url)) as one, visiting(cache_app.create_app(url)) as two:
        assert [await each.ask("{ recipe(number: 1) }") for each in (one, two, one)] == ["Bread"] * 3
        await one.ask('mutation { rename(number: 1, name: "Rye bread") }')
        assert [await each.ask("{ recipe(number: 1) }") for each in (two, one, two)] == ["Rye bread"] * 3
    assert capsys.readouterr().out.count("reading recipe 1") == 2


async def test_the_rate_limit_refuses_under_strawberrys_own_view(url: str) -> None:
    """Three operations pass over two processes; the fourth is refused with 429, a code and Retry-After."""
    async with visiting(limiter_app.create_app(url)) as one, visiting(limiter_app.create_app(url)) as two:
        answers = [await each.post("{ joke }") for each in (one, two, one, two)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert 1 <= int(answers[3].headers["retry-after"]) <= 10


async def test_a_session_ends_everywhere(url: str) -> None:
    """Tokens sign in until the member leaves everywhere."""
    async with visiting(sessions_app.create_app(url)) as visitor:
        first, second = [await visitor.ask('mutation { enter(name: "ann") }') for _ in range(2)]
        assert await visitor.ask("{ member }", first) == "ann"
        assert await visitor.ask("{ member }") is None
        assert await visitor.ask("mutation { leaveEverywhere }", second) == 2
        assert await visitor.ask("{ member }", first) is None


async def test_the_ranking_knows_neighbours(url: str) -> None:
    """Sums are ranked, and a player's neighbours are those next to it."""
    async with visiting(ranking_app.create_app(url)) as visitor:
        for player, points in (("ann", 20), ("bob", 30), ("cat", 10), ("ann", 25)):
            rank = await visitor.ask(f'mutation {{ throw(player: "{player}", points: {points}) }}')
        assert rank == 1
        assert await visitor.ask("{ top { rank player score } }") == [
            {"rank": 1, "player": "ann", "score": 45},
            {"rank": 2, "player": "bob", "score": 30},
            {"rank": 3, "player": "cat", "score": 10},
        ]
        assert await visitor.ask('{ rivals(player: "bob") }') == ["ann", "cat"]
        assert await visitor.ask('{ rivals(player: "dan") }') is None


async def test_a_chat_goes_on_after_a_cursor(url: str) -> None:
    """A reader that was away is told what it missed, and then what is said live, in order."""
    app = broker_app.create_app(url)
    lines = "subscription($after: String) { lines(after: $after) { text cursor gap } }"
    async with visiting(app) as visitor, serving(app) as port, subscriber(port) as reader:
        await visitor.ask('mutation { say(text: "before") }')
        early = await reader.follow(lines)
        async with within("the reader to listen"):
            while not early.results:  # until it listens
                await visitor.ask('mutation { say(text: "hello") }')
        cursor = early.values("lines")[0]["cursor"]
        await visitor.ask('mutation { say(text: "missed") }')
        late = await reader.follow(lines, after=cursor)
        await late.until(1)
        await visitor.ask('mutation { say(text: "live") }')
        async with within("the live line"):
            while late.values("lines")[-1]["text"] != "live":
                await late.until(len(late.results) + 1)
    told = late.values("lines")
    assert [line["text"] for line in told if line["text"] != "hello"] == ["missed", "live"]
    assert not any(line["gap"] for line in told)


async def test_one_bakes_at_a_time(url: str, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can have the oven in time gets it after the other; who cannot is told so and bakes nothing."""
    monkeypatch.setattr(lock_app, "NOTES", {})
    async with visiting(lock_app.create_app(url)) as one, visiting(lock_app.create_app(url)) as two:
        async with Locks(client, prefix="bakery") as locks, locks.hold("oven"):
            assert await one.ask('mutation { bake(bread: "rye") }') is False
        baking = [each.ask(f'mutation {{ bake(bread: "{bread}") }}') for each, bread in ((one, "oat"), (two, "spelt"))]
        assert await asyncio.gather(*baking) == [True, True]
        assert sorted(await two.ask("{ baked }")) == ["oat", "spelt"]


async def test_an_invitation_lets_one_guest_in(url: str) -> None:
    """Of two doors and ten guests with one invitation."""
    async with visiting(tokens_app.create_app(url)) as one, visiting(tokens_app.create_app(url)) as two:
        token = await one.ask('mutation { invite(name: "Ann") }')
        assert await two.ask(f'{{ invited(token: "{token}") }}') == "Ann"
        come = f'mutation {{ come(token: "{token}") }}'
        said = await asyncio.gather(*(door.ask(come) for door in (one, two) for _ in range(5)))
        assert said.count("Welcome, Ann!") == 1
        assert await one.ask(f'{{ invited(token: "{token}") }}') is None


async def test_an_older_guest_book_is_counted_anew(url: str, tmp_path: Path) -> None:
    """What Redis knows of guests that the book does not know is dropped."""
    path = tmp_path / "guests.json"
    async with visiting(keyspace_app.create_app(url, path)) as visitor:
        await visitor.ask('mutation { come(name: "Ada") }')
        assert await visitor.ask("{ count }") == 1
    older = path.read_text()
    async with visiting(keyspace_app.create_app(url, path)) as visitor:
        assert await visitor.ask("{ count }") == 1
        await visitor.ask('mutation { come(name: "Grace") }')
        assert await visitor.ask("{ count }") == 2
    path.write_text(older)
    async with visiting(keyspace_app.create_app(url, path)) as visitor:
        assert await visitor.ask("{ count }") == 1
