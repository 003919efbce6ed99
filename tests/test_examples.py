"""Each part in somebody else's small Strawberry app."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from examples import keyspace_app
from graph.patterns.lock import Locks
from harness.serving import ROOT
from harness.subscriber import subscriber
from harness.waiting import HANG, until, within
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.serving import serving
from tests.support.processes import fork_server

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from fastapi import FastAPI

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer


class Visitor:
    """Somebody who sends operations to an example."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http

    async def post(self, query: str, token: str = "") -> httpx.Response:
        """The whole answer."""
        return await self.http.post(
            "/graphql", json={"query": query}, headers={"authorization": f"Bearer {token}"} if token else {}
        )

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
def load(url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """``load("cache")`` gives the example as a process of its own has it, on an empty Redis."""
    monkeypatch.setenv("REDIS_URL", url)

    def loaded(name: str) -> Any:
        called = f"{name}_example"
        spec = importlib.util.spec_from_file_location(called, ROOT / f"examples/{name}_app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, called, module)
        spec.loader.exec_module(module)
        return module

    return loaded


@pytest.fixture
def url(client: Client, valkey: ValkeyServer) -> str:
    """An empty Redis."""
    del client  # it emptied the server
    return valkey.url


async def test_the_cache_reads_once_and_sees_a_rename(
    load: Callable[[str], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two processes read the book once between them, and once more after a rename in one of them."""
    here, there = load("cache"), load("cache")
    there.BOOK = here.BOOK
    async with visiting(here.app) as one, visiting(there.app) as two:
        assert [await each.ask("{ recipe(number: 1) }") for each in (one, two, one)] == ["Bread"] * 3
        await one.ask('mutation { rename(number: 1, name: "Rye bread") }')
        assert [await each.ask("{ recipe(number: 1) }") for each in (two, one, two)] == ["Rye bread"] * 3
    assert capsys.readouterr().out.count("reading recipe 1") == 2


async def test_the_rate_limit_refuses_under_strawberrys_own_view(load: Callable[[str], Any]) -> None:
    """Three operations pass over two processes; the fourth is refused with 429, a code and Retry-After."""
    async with visiting(load("limiter").app) as one, visiting(load("limiter").app) as two:
        answers = [await each.post("{ joke }") for each in (one, two, one, two)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert 1 <= int(answers[3].headers["retry-after"]) <= 60


async def test_a_field_has_limits_of_its_own(load: Callable[[str], Any]) -> None:
    """The joke is told aloud once."""
    async with visiting(load("limiter").app) as visitor:
        answers = [await visitor.post(query) for query in ("{ aloud }", "{ aloud }", "{ joke }")]
    assert [answer.status_code for answer in answers] == [200, 429, 200]


async def test_a_session_ends_everywhere(load: Callable[[str], Any]) -> None:
    """Tokens and cookies sign in until the member leaves everywhere; neither shows the name."""
    example = load("sessions")
    async with visiting(example.app) as visitor:
        begun = await visitor.post('mutation { enter(name: "eve@example.com") }')
        cookie = begun.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "Secure" in cookie
        assert "eve" not in begun.text + cookie
        headers = {"cookie": cookie.partition(";")[0]}
        answer = await visitor.http.post("/graphql", json={"query": "{ member }"}, headers=headers)
        assert answer.json()["data"] == {"member": "eve@example.com"}
        first, second = [await visitor.ask('mutation { enter(name: "ann") }') for _ in range(2)]
        assert await visitor.ask("{ member }", first) == "ann"
        assert await visitor.ask("{ member }") is None
        assert await visitor.ask("mutation { leaveEverywhere }", second) == 2
        assert await visitor.ask("{ member }", first) is None


async def test_the_ranking_knows_neighbours(load: Callable[[str], Any]) -> None:
    """Sums are ranked, and a player's neighbours are those next to it."""
    async with visiting(load("ranking").app) as visitor:
        rank = None
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


async def test_a_chat_goes_on_after_a_cursor(load: Callable[[str], Any]) -> None:
    """A reader that was away is told what it missed, and then what is said live, in order."""
    app = load("broker").app
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


async def test_one_bakes_at_a_time(load: Callable[[str], Any], client: Client) -> None:
    """Who can have the oven in time gets it after the other; who cannot is told so and bakes nothing."""
    here, there = load("lock"), load("lock")
    there.NOTES = here.NOTES
    async with visiting(here.app) as one, visiting(there.app) as two:
        async with Locks(client, prefix="bakery") as locks, locks.hold("oven"):
            assert await one.ask('mutation { bake(bread: "rye") }') is False
        baking = [each.ask(f'mutation {{ bake(bread: "{bread}") }}') for each, bread in ((one, "oat"), (two, "spelt"))]
        assert await asyncio.gather(*baking) == [True, True]
        assert sorted(await two.ask("{ baked }")) == ["oat", "spelt"]


async def test_an_invitation_lets_one_guest_in(load: Callable[[str], Any]) -> None:
    """Of two doors and ten guests with one invitation."""
    async with visiting(load("tokens").app) as one, visiting(load("tokens").app) as two:
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


async def test_a_letter_is_sent_after_the_answer(load: Callable[[str], Any]) -> None:
    """By the process that runs jobs beside the app; a letter that waits is not queued again."""
    example = load("jobs")
    async with visiting(example.app) as visitor:
        jobs = [await visitor.ask(f'mutation {{ write(to: "{name}") }}') for name in ("ann", "bob")]
        assert len(set(jobs)) == 2
        await until(lambda: sorted(example.SENT) == ["ann", "bob"])
        assert sorted(await visitor.ask("{ sent }")) == ["ann", "bob"]


async def test_the_compiled_executor_needs_nothing_else(load: Callable[[str], Any]) -> None:
    """It answers as Strawberry does."""
    async with visiting(load("compiled").app) as visitor:
        assert await visitor.ask("{ stars(first: 1) { number name } }") == [{"number": 1, "name": "HD 1"}]


async def test_the_router_serves_a_foreign_schema_within_its_limits(load: Callable[[str], Any]) -> None:
    """A plain Strawberry schema gets bounds, codes, a sign-in and the rate limit by being included."""
    async with visiting(load("router").app) as visitor:
        sign = 'mutation { sign(text: "Hi") }'
        assert await visitor.ask(sign) == "Hi (somebody)"
        assert await visitor.ask(sign, "the-token-of-ann") == "Hi (Ann)"
        answers = [await visitor.post(query) for query in ("{entries(first: 101)}", "{nothing}", "{entries}", sign)]
        answers += [await visitor.post("{entries}") for _ in range(3)]
    codes = [answer.json()["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer.json()]
    assert codes[:2] == ["BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"]
    assert (answers[-1].status_code, codes[-1]) == (429, "RATE_LIMITED")


def test_a_newcomer_needs_no_redis(tmp_path: Path) -> None:
    """Without an address an example runs the embedded Valkey in the folder that it is called in, and ends with it."""
    script = (
        "import asyncio, runpy, httpx\n"
        f"app = runpy.run_path({str(ROOT / 'examples/cache_app.py')!r})['app']\n"
        "async def ask():\n"
        "    http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url='http://t')\n"
        "    print((await http.post('/graphql', json={'query': '{ recipe(number: 1) }'})).text)\n"
        "asyncio.run(ask())\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "REDIS_URL"}
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        assert fork_server.forked(("-c", script), environment, out, err, tmp_path).wait(HANG) == 0
    assert (tmp_path / "out").read_text().splitlines()[-1] == '{"data":{"recipe":"Bread"}}'
    assert (tmp_path / "err").read_text() == ""
    assert (tmp_path / ".graph").is_dir()
    assert not list(tmp_path.rglob("socket"))


def test_each_part_is_few_lines() -> None:
    """What an example has of this library is ten lines at most, imports counted."""
    for path in sorted((ROOT / "examples").glob("*_app.py")):
        if path.stem in {"keyspace_app", "endpoint_app"}:  # for those who build on the patterns themselves
            continue
        names = {
            name.strip()
            for line in re.findall(r"^from graph\S* import (.*)$", path.read_text(), re.MULTILINE)
            for name in line.split(",")
        }
        lines = path.read_text().splitlines()
        made = {line.split(" = ")[0] for line in lines if re.match(r"\w+ = redis\.", line)}
        used = re.compile(rf"\b({'|'.join({*names, *made, 'redis'})})\b|^from graph|^import os$")
        code = [
            line
            for line in lines
            if used.search(line) and '"""' not in line and not line.startswith(("    python", "A ", "The "))
        ]
        assert len(code) <= 10, (path.name, code)
