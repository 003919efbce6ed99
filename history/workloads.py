"""What clients do while engines fail: six workloads, each with what it writes down and how it ends.

`run` goes on until it is stopped; `finish` is called when everything is well again, and waits for what was promised to
come true: that jobs end, that events arrive. What has not come by then is written down as it is, and is the checker's
to judge.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from typing import TYPE_CHECKING, Any

from websockets.exceptions import WebSocketException

from harness.subscriber import subscriber
from harness.waiting import HANG

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from history.client import Answer, Client

SETTLING = HANG
"""Seconds that promises get to come true after everything is well again."""

_SURELY = 5
"""Answers that there is no such job, after everything is well, before it is believed."""

_CREATE = """mutation ($sku: String!) {
  createProduct(input: {sku: $sku, name: $sku, price: {amount: "0.00"}}) { __typename ... on Product { id } }
}"""
_REPRICE = """mutation ($id: ID!, $amount: Decimal!) {
  updateProduct(input: {id: $id, price: {amount: $amount}}) { __typename ... on UserError { code } }
}"""
_PRICE = "query ($sku: String!) { product(by: {sku: $sku}) { price { amount } } }"
_FOLLOW = """subscription ($ids: [ID!], $after: Cursor) {
  productChanged(ids: $ids, after: $after) { cursor gap productId product { price { amount } } }
}"""
_GUEST = """mutation ($name: String) {
  playAsGuest(displayName: $name) { __typename ... on GuestPayload { secret auth { token } } }
}"""
_RESUME = "mutation ($secret: String!) { resumeGuest(secret: $secret) { ... on AuthPayload { token } } }"
_SUBMIT = """mutation ($board: String!, $score: Float!, $key: String!) {
  submitScore(input: {board: $board, score: $score, key: $key}) { __typename }
}"""
_BOARD = (
    'mutation ($slug: String!) { createLeaderboard(input: {slug: $slug, name: "H", operator: SUM}) { __typename } }'
)
_TOP = """query ($board: String!) {
  leaderboard(slug: $board) { top(first: 50) { nodes { score player { displayName } } } }
}"""
_IMPORT = "mutation ($path: String!) { importProducts(input: {path: $path}) { __typename ... on Job { id } } }"
_JOB = "query ($id: ID!) { node(id: $id) { ... on Job { state } } }"


class Workload:
    """One kind of clients. `key` is the API key of somebody who may do everything that a program may."""

    name = ""

    def __init__(self, client: Client, key: str, *, pause: float = 0.03) -> None:
        """Rest for about `pause` seconds between two operations."""
        self.client = client
        self.history = client.history
        self.key = key
        self.stopped = asyncio.Event()
        self._pause = pause
        self._tasks: list[asyncio.Task[None]] = []

    async def prepare(self) -> None:
        """Make what is needed before anything fails."""

    def clients(self) -> list[Awaitable[None]]:
        """What goes on at once until `stopped`."""
        raise NotImplementedError

    async def run(self) -> None:
        """Go on until `stopped`; raises what a client of it raised."""
        await asyncio.gather(*self.clients())

    async def finish(self) -> None:
        """Wait for what was promised."""

    async def rest(self, times: float = 1.0) -> None:
        """Let a moment pass."""
        await asyncio.sleep(self._pause * times * self.client.random.uniform(0.5, 1.5))

    async def insist(self, what: Callable[[], Awaitable[Answer]]) -> Any:
        """Ask until it is done, and give the data; raises TimeoutError when it never is."""
        async with asyncio.timeout(SETTLING):
            while (answer := await what()).outcome != "ok":
                await asyncio.sleep(0.1)
        return answer.data

    async def new_product(self, sku: str) -> str:
        """Make a product."""

        async def create() -> Answer:
            return await self.client.ask(self.client.any(), _CREATE, token=self.key, sku=sku)

        data = await self.insist(create)
        return str(data["createProduct"]["id"])

    async def reprice(self, product: str, value: int, workload: str, subject: str) -> None:
        """Write a number as the price of a product, once."""
        began, server = time.monotonic(), self.client.any()
        answer = await self.client.ask(server, _REPRICE, token=self.key, id=product, amount=f"{value}.00")
        outcome = answer.outcome
        if outcome == "ok" and answer.data["updateProduct"]["__typename"] != "Product":
            outcome = "refused"
        self.history.add(workload, "write", subject, value, began, outcome=outcome, server=server)


class Catalog(Workload):
    """Products with one writer each, and readers of all of them on all servers."""

    name = "catalog"
    PRODUCTS = 3
    READERS = 3

    async def prepare(self) -> None:
        """Make the products."""
        self.products: dict[str, str] = {}
        for _ in range(self.PRODUCTS):
            sku = f"h-{secrets.token_hex(4)}"
            began = time.monotonic()
            self.products[sku] = await self.new_product(sku)
            self.history.add(self.name, "write", sku, 0, began)

    def clients(self) -> list[Awaitable[None]]:
        """A writer a product, and the readers."""
        return [*(self._write(sku) for sku in self.products), *(self._read() for _ in range(self.READERS))]

    async def _write(self, sku: str) -> None:
        value = 0
        while not self.stopped.is_set():
            value += 1
            await self.reprice(self.products[sku], value, self.name, sku)
            await self.rest(4)

    async def _read(self) -> None:
        while not self.stopped.is_set():
            await self.read_one(self.client.random.choice(list(self.products)), self.client.any())
            await self.rest()

    async def read_one(self, sku: str, server: int) -> None:
        """Read a price."""
        began = time.monotonic()
        answer = await self.client.ask(server, _PRICE, sku=sku)
        value = None
        if answer.outcome == "ok":
            value = int(float(answer.data["product"]["price"]["amount"])) if answer.data["product"] else -1
        self.history.add(self.name, "read", sku, value, began, outcome=answer.outcome, server=server)

    async def finish(self) -> None:
        """Read everything everywhere once more."""
        for sku in self.products:
            for server in range(len(self.client.urls)):
                await self.read_one(sku, server)


class SignIns(Workload):
    """Guests who sign in, look around, and sign out; ended sessions are tried again and again."""

    name = "sessions"

    async def prepare(self) -> None:
        """Nothing is needed."""
        self.over: list[tuple[str, str]] = []

    def clients(self) -> list[Awaitable[None]]:
        """Two who come and go, and one who tries what is over."""
        return [self._come_and_go(), self._come_and_go(), self._try_again()]

    async def _come_and_go(self) -> None:
        while not self.stopped.is_set():
            answer = await self.client.ask(self.client.any(), _GUEST)
            if answer.outcome != "ok" or answer.data["playAsGuest"]["__typename"] != "GuestPayload":
                await self.rest(5)
                continue
            token, subject = answer.data["playAsGuest"]["auth"]["token"], secrets.token_hex(4)
            for _ in range(2):
                await self._check(subject, token)
            began, server = time.monotonic(), self.client.any()
            left = await self.client.ask(server, "mutation { logout }", token=token)
            self.history.add(self.name, "end", subject, None, began, outcome=left.outcome, server=server)
            if left.outcome != "refused":
                self.over.append((subject, token))
            for server in range(len(self.client.urls)):
                await self._check(subject, token, server)
            await self.rest(2)

    async def _try_again(self) -> None:
        while not self.stopped.is_set():
            if self.over:
                await self._check(*self.client.random.choice(self.over))
            await self.rest()

    async def _check(self, subject: str, token: str, server: int | None = None) -> None:
        server, began = self.client.any() if server is None else server, time.monotonic()
        answer = await self.client.ask(server, "{ viewer { user { id } } }", token=token)
        outcome, alive = answer.outcome, None
        if outcome == "ok":
            alive = answer.data["viewer"] is not None
        elif "UNAUTHENTICATED" in answer.codes:
            outcome, alive = "ok", False
        self.history.add(self.name, "check", subject, alive, began, outcome=outcome, server=server)

    async def finish(self) -> None:
        """Try every session that is over once more."""
        for subject, token in self.over:
            await self._check(subject, token)


class Boards(Workload):
    """Players on a board that adds up; each score is sent under a key until it is acknowledged."""

    name = "boards"
    PLAYERS = 3

    async def prepare(self) -> None:
        """Make the board and the players."""
        self.board = f"h-{secrets.token_hex(4)}"
        self.players: dict[str, str] = {}

        async def create() -> Answer:
            return await self.client.ask(self.client.any(), _BOARD, token=self.key, slug=self.board)

        await self.insist(create)
        for _ in range(self.PLAYERS):
            name = f"P{secrets.token_hex(4)}"

            async def join(name: str = name) -> Answer:
                return await self.client.ask(self.client.any(), _GUEST, name=name)

            self.players[name] = (await self.insist(join))["playAsGuest"]["secret"]

    def clients(self) -> list[Awaitable[None]]:
        """The players, and one who looks at the board."""
        return [*(self._play(name, secret) for name, secret in self.players.items()), self._look_on()]

    async def _play(self, name: str, secret: str) -> None:
        token = ""
        while not self.stopped.is_set():
            key, done = secrets.token_hex(8), False
            while not done and not self.stopped.is_set():
                if not token:
                    resumed = await self.client.ask(self.client.any(), _RESUME, secret=secret)
                    token = resumed.data["resumeGuest"].get("token", "") if resumed.outcome == "ok" else ""
                    await self.rest()
                    continue
                began, server = time.monotonic(), self.client.any()
                answer = await self.client.ask(server, _SUBMIT, token=token, board=self.board, score=1.0, key=key)
                if "UNAUTHENTICATED" in answer.codes:
                    token = ""
                self.history.add(self.name, "submit", name, (key, 1), began, outcome=answer.outcome, server=server)
                done = answer.outcome == "ok"
                await self.rest(1 if done else 3)

    async def _look_on(self) -> None:
        while not self.stopped.is_set():
            await self._total("total", self.client.any())
            await self.rest(3)

    async def _total(self, kind: str, server: int) -> dict[str, int] | None:
        began = time.monotonic()
        answer = await self.client.ask(server, _TOP, board=self.board)
        if answer.outcome != "ok":
            return None
        nodes = answer.data["leaderboard"]["top"]["nodes"]
        found = dict.fromkeys(self.players, 0) | {one["player"]["displayName"]: int(one["score"]) for one in nodes}
        for name, score in found.items():
            self.history.add(self.name, kind, name, score, began, server=server)
        return found

    async def finish(self) -> None:
        """Wait until the board has what was acknowledged, on every server; then, or after a while, it is final."""
        acknowledged = dict.fromkeys(self.players, 0)
        for one in self.history.of(self.name, "submit"):
            acknowledged[one.subject] += one.outcome == "ok"
        for server in range(len(self.client.urls)):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLING):
                    while (found := await self._total("total", server)) is None or any(
                        found[name] < score for name, score in acknowledged.items()
                    ):
                        await asyncio.sleep(0.1)
            await self.insist_final(server)

    async def insist_final(self, server: int) -> None:
        """Write down what this server says in the end."""
        async with asyncio.timeout(SETTLING):
            while await self._total("final", server) is None:
                await asyncio.sleep(0.1)


class Subscriptions(Workload):
    """Subscribers who change servers and resume, each with products of its own that somebody writes."""

    name = "subscriptions"
    SUBSCRIBERS = 2

    async def prepare(self) -> None:
        """Make the products, and follow them until the first event has come."""
        self.products: dict[str, str] = {}
        self.heard: dict[str, int] = {}
        self.ready: dict[str, asyncio.Event] = {}
        self.leaving = asyncio.Event()
        for number in range(self.SUBSCRIBERS):
            name = f"subscriber {number}"
            self.products[name] = await self.new_product(f"h-{secrets.token_hex(4)}")
            self.heard[name], self.ready[name] = 0, asyncio.Event()
        self._tasks = [asyncio.create_task(self._follow(name)) for name in self.products]
        async with asyncio.timeout(SETTLING):
            cents = 0
            while not all(ready.is_set() for ready in self.ready.values()):
                cents += 1  # what changes nothing is no event
                for product in self.products.values():  # a first one, whose cursor is where the account begins
                    amount = f"1.{cents % 100:02}"
                    await self.client.ask(self.client.any(), _REPRICE, token=self.key, id=product, amount=amount)
                await asyncio.sleep(0.2)
        await asyncio.sleep(1)  # the events of those that were not the first

    def clients(self) -> list[Awaitable[None]]:
        """The writers."""
        return [self._write(name) for name in self.products]

    async def _write(self, name: str) -> None:
        value = 1
        while not self.stopped.is_set():
            value += 1
            await self.reprice(self.products[name], value, self.name, self.products[name])
            await self.rest(3)

    async def _follow(self, name: str) -> None:
        product, cursor = self.products[name], None
        while not self.leaving.is_set():
            server = self.client.any()
            port = int(self.client.urls[server].rpartition(":")[2])
            with contextlib.suppress(OSError, WebSocketException, TimeoutError, KeyError):
                async with asyncio.timeout(30), subscriber(port, self.key) as socket:
                    following = await socket.follow(_FOLLOW, ids=[product], after=cursor)
                    until = time.monotonic() + self.client.random.uniform(2, 6)
                    taken = 0
                    while not self.leaving.is_set() and not socket.gone and following.errors is None:
                        for result in following.results[taken:]:
                            taken += 1
                            if not result.get("data"):  # told as an error, without its cursor: asked for again
                                raise ConnectionError
                            event = result["data"]["productChanged"]
                            if cursor is None:
                                self.history.add(self.name, "follow", product, None, time.monotonic(), client=name)
                                self.ready[name].set()
                            else:
                                value = (event["cursor"], event["gap"], event["productId"])
                                self.history.add(
                                    self.name, "event", product, value, time.monotonic(), server=server, client=name
                                )
                                self.heard[name] += 1
                            cursor = event["cursor"]
                        if time.monotonic() > until:
                            break
                        await asyncio.sleep(0.02)
            await self.rest(3)

    async def finish(self) -> None:
        """Wait until as many events came as writes were acknowledged, or a gap was told."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLING):
                while not all(self._is_told(name) for name in self.products):
                    await asyncio.sleep(0.2)
        self.leaving.set()
        await asyncio.gather(*self._tasks)

    def _is_told(self, name: str) -> bool:
        product = self.products[name]
        writes = sum(one.outcome == "ok" for one in self.history.of(self.name, "write") if one.subject == product)
        gap = any(one.value[1] for one in self.history.of(self.name, "event") if one.client == name)
        return gap or self.heard[name] >= writes


class Limits(Workload):
    """Addresses that ask more often than they may, on all servers at once."""

    name = "limits"
    ASKED = 50

    def clients(self) -> list[Awaitable[None]]:
        """One address after the other."""
        return [self._crowd()]

    async def _crowd(self) -> None:
        while not self.stopped.is_set():
            address = self.client.new_address()
            for turn in range(self.ASKED):
                if self.stopped.is_set():
                    return
                await self._ask(address, turn % len(self.client.urls))
                await self.rest(2)

    async def _ask(self, address: str, server: int) -> None:
        began = time.monotonic()
        answer = await self.client.ask(server, "{ products(first: 1) { nodes { id } } }", address=address)
        outcome, passed = answer.outcome, True
        if "RATE_LIMITED" in answer.codes:
            outcome, passed = "ok", False
        self.history.add(self.name, "ask", address, passed, began, outcome=outcome, server=server)


class Jobs(Workload):
    """Imports of small files, and somebody who looks how far they are."""

    name = "jobs"

    def __init__(self, client: Client, key: str, imports: Path, *, pause: float = 0.03) -> None:
        """Put the files into `imports`."""
        super().__init__(client, key, pause=pause)
        self.imports = imports
        self.accepted: list[str] = []

    def clients(self) -> list[Awaitable[None]]:
        """One who queues, one who looks."""
        return [self._queue(), self._look_on()]

    async def _queue(self) -> None:
        while not self.stopped.is_set():
            name = f"h-{secrets.token_hex(6)}"
            (self.imports / f"{name}.csv").write_text(f"sku,name,price\n{name},Imported,1.00\n")
            began, server = time.monotonic(), self.client.any()
            answer = await self.client.ask(server, _IMPORT, token=self.key, path=f"{name}.csv")
            job = answer.data["importProducts"].get("id", "") if answer.outcome == "ok" else ""
            if job:
                self.accepted.append(job)
            outcome = answer.outcome if job or answer.outcome != "ok" else "refused"
            self.history.add(self.name, "queue", job or name, None, began, outcome=outcome, server=server)
            await self.rest(15)

    async def _look_on(self) -> None:
        while not self.stopped.is_set():
            if self.accepted:
                await self._state(self.client.random.choice(self.accepted[-20:]), "state", self.client.any())
            await self.rest(5)

    async def _state(self, job: str, kind: str, server: int) -> str:
        began = time.monotonic()
        answer = await self.client.ask(server, _JOB, token=self.key, id=job)
        if answer.outcome != "ok":
            return ""
        state = str(answer.data["node"]["state"]) if answer.data["node"] else "GONE"
        if kind == "state" or state == "SUCCEEDED":
            self.history.add(self.name, kind, job, state, began, server=server)
        return state

    async def finish(self) -> None:
        """Wait for each job that was accepted; one that has not succeeded by then is told as it is."""
        until = time.monotonic() + SETTLING
        for job in self.accepted:
            gone = 0
            while (state := await self._state(job, "final", self.client.any())) != "SUCCEEDED":
                gone += state == "GONE"
                if gone == _SURELY or time.monotonic() > until:
                    break
                await asyncio.sleep(0.1)
            if state != "SUCCEEDED":
                self.history.add(self.name, "final", job, state, time.monotonic())
