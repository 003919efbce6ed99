"""A race: random writes through several server processes, and live queries of every kind that follow them.

Each product and each player has one writer at a time, and what is written rises: stock, score and name carry numbers.
So a screen can tell when it is shown something older than before, and at a quiet moment a lost write is seen.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import time
from collections import Counter
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self, cast

import httpx
import redis

from harness.patches import applied
from harness.serving import Serving, command
from harness.subscriber import Following, subscriber
from harness.valkey import ValkeyServer
from harness.waiting import HANG, within

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path
    from types import TracebackType

PRODUCTS = 40
PLAYERS = 8
BATCH = 10  # writes in one request
CALM = 250  # writes between two faults
PER_SOCKET = 12
FAULTS = ("none", "cut", "killed", "paused")
"""What happens to Redis: nothing, all pub/sub connections are cut, SIGKILL and a start, SIGSTOP and SIGCONT."""
_SETTINGS = {
    "GRAPH_RATE_LIMIT_ANONYMOUS": "1000000",
    "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000",
    "GRAPH_JOBS_BESIDE": "false",
    "GRAPH_MAX_SECONDS": "120",
}

_UPDATE = "updateProduct(input: {{id: {id}, stock: {number}{more}}}) {{ ... on Product {{ sku stock }} }}"
_SCORE = 'submitScore(input: {{board: "all-time", score: {number}}}) {{ __typename }}'
_RENAME = 'renameMe(displayName: "Player {number}") {{ ... on User {{ displayName }} }}'


async def disturb(server: ValkeyServer, fault: str) -> None:
    """Let one of `FAULTS` happen to `server`, and end it."""
    await asyncio.sleep(random.random() * 0.3)
    if fault == "cut":
        for _ in range(4):
            with suppress(redis.RedisError):
                await asyncio.to_thread(server.command, "CLIENT", "KILL", "TYPE", "pubsub")
            await asyncio.sleep(random.random() * 0.3)
    elif fault == "killed":
        server.kill()
        await asyncio.sleep(random.random())
        await asyncio.to_thread(server.start)
    elif fault == "paused":
        server.pause()
        await asyncio.sleep(random.random() * 2)
        server.resume()


class Screen(Following):
    """What a client of one live query shows."""

    def __init__(self, query: str, token: str | None, how: str) -> None:
        """Follow `query` for whoever has `token`, with the arguments `how` of the directive."""
        super().__init__()
        self.query = query
        self.token = token
        self.document = f"query @live({how}) {query}"
        self.data: Any = None
        self.answers = 0
        self.shown = 0.0
        """When the last answer came, by the monotonic clock."""
        self.backwards: list[str] = []
        self._newest: dict[str, float] = {}

    def take(self, message: dict[str, Any]) -> None:
        """Show an answer; note what is older than what was shown before."""
        if message["type"] != "next":
            super().take(message)
            return
        result = message["payload"]
        assert "errors" not in result, result
        self.data = applied(self.data, result["patch"]) if "patch" in result else result["data"]
        self.answers += 1
        self.shown = time.monotonic()
        for what, number in _numbers(self.data, self.token):
            if number < self._newest.get(what, 0):
                self.backwards.append(f"{what}: {number} after {self._newest[what]}")
            self._newest[what] = number


def _numbers(data: Any, token: str | None) -> Generator[tuple[str, float]]:
    """Whatever rises in an answer to whoever has `token`."""
    match data:
        case list():
            for one in cast("list[Any]", data):
                yield from _numbers(one, token)
        case {"sku": sku, "stock": stock}:
            yield f"stock of {sku}", stock
        case {"score": score, "player": {"id": player}}:
            yield f"score of {player}", score
        case {"displayName": str(name)}:
            yield f"name of {token}", int(name.removeprefix("Player "))
        case dict():
            for one in cast("dict[str, Any]", data).values():
                yield from _numbers(one, token)
        case _:
            pass


class Race:
    """Server processes on one Redis and one database, the screens that follow them, and the writers."""

    def __init__(self, folder: Path, *, processes: int = 3) -> None:
        """Keep the data of `processes` servers in `folder`."""
        self._folder = folder
        self._processes = processes
        self._stack = AsyncExitStack()
        self._count = itertools.count(1)
        self.servers: list[Serving] = []
        self.screens: list[Screen] = []
        self.products: list[str] = []
        self.players: list[str] = []
        self.acknowledged: dict[str, int] = {}
        """The newest stock of each product, and name of each player, that a server said it has written."""
        self.refused: Counter[str] = Counter()
        """How many writes were refused, or their outcome is not known, by the code of the error."""

    async def __aenter__(self) -> Self:
        self.redis = self._stack.enter_context(ValkeyServer(aof=True))
        self.http = await self._stack.enter_async_context(httpx.AsyncClient(timeout=HANG))
        few = partial(command, self._folder, "seed", "--products", "60", GRAPH_REDIS_URL=self.redis.url)
        seeded = await asyncio.to_thread(few)
        assert seeded.returncode == 0, seeded.stderr
        for _ in range(self._processes):
            server = Serving(self._folder, **_SETTINGS, GRAPH_REDIS_URL=self.redis.url)
            self._stack.enter_context(server)
            self.servers.append(await asyncio.to_thread(server.ready))
        _, _, self.admin = await asyncio.to_thread(self.servers[0].admin)
        for number in range(PRODUCTS):
            sku, name = f"RACE-{number}", f"Zebu {number}"
            made = await self.ask(
                f'mutation {{ createProduct(input: {{sku: "{sku}", name: "{name}", stock: 1, '
                f'price: {{amount: "0.{number + 10}"}}}}) {{ ... on Product {{ id }} }} }}',
                self.admin,
            )
            self.products.append(made["createProduct"]["id"])
        for _ in range(PLAYERS):
            made = await self.ask(
                'mutation { playAsGuest(displayName: "Player 0") { ... on GuestPayload { auth { token } } } }'
            )
            self.players.append(made["playAsGuest"]["auth"]["token"])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def send(self, document: str, token: str | None = None) -> Any:
        """The whole answer of one of the servers."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"{random.choice(self.servers).url}/graphql"
        self.http.cookies.clear()  # a player who begins to play would be taken for the one before
        return (await self.http.post(url, json={"query": document}, headers=headers)).json()

    async def ask(self, document: str, token: str | None = None) -> Any:
        """The data of an answer without errors."""
        answer = await self.send(document, token)
        assert "errors" not in answer, answer
        return answer["data"]

    # --- following ---

    async def follow(self, count: int) -> None:
        """Open `count` live queries of all kinds, some of them the same, spread over the processes."""
        screens = [self._screen(number) for number in range(count)]
        for place, server in enumerate(self.servers):
            mine = sorted(screens[place :: len(self.servers)], key=lambda one: one.token or "")
            for token, group in itertools.groupby(mine, key=lambda one: one.token):
                for some in _batches(list(group), PER_SOCKET):
                    socket = await self._stack.enter_async_context(subscriber(server.port, token))
                    for screen in some:
                        await socket.start(screen, screen.document)
        self.screens += screens

    def _screen(self, number: int) -> Screen:
        how = f"throttle: {random.choice((50, 200, 500))}, patch: {json.dumps(number % 2 == 1)}"
        size, token = random.randint(2, 12), None
        match number % 5:
            case 0:
                shown = f"first: {size}, sort: {random.choice(('PRICE_ASC', 'NAME_ASC'))}"
                query = f"{{ products({shown}) {{ nodes {{ sku stock price {{ amount }} }} totalCount }} }}"
            case 1:
                shown = f'by: {{sku: "RACE-{random.randrange(PRODUCTS)}"}}'
                query = f"{{ product({shown}) {{ sku stock name price {{ amount }} }} }}"
            case 2:
                shown = f'first: {size}, filter: {{search: "zebu"}}'
                query = f"{{ products({shown}) {{ nodes {{ sku stock name }} }} }}"
            case 3:
                shown = f"size top(first: {size}) {{ nodes {{ score rank player {{ id }} }} }}"
                query = f'{{ leaderboard(slug: "all-time") {{ {shown} }} }}'
            case _:
                query, token = "{ viewer { user { displayName } } }", random.choice(self.players)
        return Screen(query, token, how)

    # --- writing ---

    async def write(self, writer: int, writers: int) -> bool:
        """Send `BATCH` writes of what `writer` of `writers` may change in one request; say whether all were accepted.

        What is refused is counted.
        """
        numbers = [next(self._count) for _ in range(BATCH)]
        if writer % 4 == 3:
            token = random.choice(self.players[writer // 4 :: writers // 4])
            fields = [random.choice((_SCORE, _RENAME)).format(number=1_000_000 + number) for number in numbers]
        else:
            token = self.admin
            places = [random.randrange(writer, PRODUCTS, writers) for _ in numbers]
            fields = [
                _UPDATE.format(id=json.dumps(self.products[place]), number=number, more=_more())
                for place, number in zip(places, numbers, strict=True)
            ]
        document = " ".join(f"w{place}: {field}" for place, field in enumerate(fields))
        answer = await self.send(f"mutation {{ {document} }}", token)
        self.refused.update(error["extensions"]["code"] for error in answer.get("errors", ()))
        for what, number in _numbers(answer.get("data"), token):
            self.acknowledged[what] = int(number)
        return "errors" not in answer

    async def run(self, writes: int, fault: str, *, writers: int = 8) -> None:
        """Make `writes` writes, and let `fault` happen to Redis at the begin and after every `CALM` of them."""
        batches = max(1, writes // BATCH)
        left, done = iter(range(batches)), 0

        async def work(writer: int) -> None:
            nonlocal done
            for _ in left:
                while not await self.write(writer, writers):
                    await asyncio.sleep(0.05)
                done += 1

        async def disturbing() -> None:
            for calm in range(0, batches, CALM // BATCH):
                while done < calm:
                    await asyncio.sleep(0.01)
                await disturb(self.redis, fault)

        await asyncio.gather(disturbing(), *(work(writer) for writer in range(writers)))

    # --- looking ---

    async def settled(self) -> float:
        """Wait until every screen shows what a fresh query does, with all acknowledged writes.

        Returns how many seconds from now on the last answer came that changed a screen.
        """
        began = time.monotonic()
        for screen in self.screens:
            async with within(f"{screen.query} to show what a fresh query does"):
                while (fresh := (await self.send(screen.query, screen.token)).get("data")) is None or (
                    screen.data != fresh
                ):
                    assert screen.errors is None, screen.errors
                    await asyncio.sleep(0.02)
            lost = [
                f"{screen.query}: {what} is {number}"
                for what, number in _numbers(fresh, screen.token)
                if number < self.acknowledged.get(what, 0)
            ]
            assert lost == []
        backwards = [f"{screen.query}: {one}" for screen in self.screens for one in screen.backwards]
        assert backwards == []
        return max(0.0, max(screen.shown for screen in self.screens) - began)

    async def latencies(self, count: int) -> list[float]:
        """Seconds from the answer to a write until a live query of another process shows it, `count` times."""
        sku, found = "RACE-0", list[float]()
        screen = Screen(f'{{ product(by: {{sku: "{sku}"}}) {{ sku stock }} }}', None, "throttle: 0")
        async with subscriber(self.servers[-1].port) as socket:
            await socket.start(screen, screen.document)
            for _ in range(count):
                number = next(self._count)
                url, headers = f"{self.servers[0].url}/graphql", {"Authorization": f"Bearer {self.admin}"}
                update = _UPDATE.format(id=json.dumps(self.products[0]), number=number, more="")
                await self.http.post(url, json={"query": f"mutation {{ {update} }}"}, headers=headers)
                began = time.perf_counter()
                async with within(f"stock {number}"):
                    while screen.data is None or screen.data["product"]["stock"] != number:
                        await asyncio.sleep(0.0005)
                found.append(time.perf_counter() - began)
        return found


def _more() -> str:
    """Now and then a product gets another price or name, too: it moves in pages, or leaves a search."""
    price = f', price: {{amount: "0.{random.randint(10, 99)}"}}' if random.random() < 0.2 else ""
    name = f', name: "{random.choice(("Zebu", "Yak"))} {random.randint(1, 99)}"' if random.random() < 0.1 else ""
    return price + name


def _batches(items: Sequence[Screen], size: int) -> list[Sequence[Screen]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
