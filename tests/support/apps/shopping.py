"""The product as its clients see it: two servers on the same data, and what may be expected of any engine.

Every step goes through HTTP or WebSocket. A step that a server could not do for the moment says UNAVAILABLE; anything
else that is not the expected answer fails.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import secrets
import urllib.error
import urllib.request
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.serving import Serving
from harness.subscriber import subscriber
from harness.waiting import HANG, within
from tests.support.processes.fork_server import command

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from pathlib import Path

ANONYMOUS = 20
"""Operations that an address may make in a minute: the product's default."""
_LOGIN = """mutation ($email: String!, $password: String!) {
  login(input: {email: $email, password: $password}) { ... on AuthPayload { token } }
}"""
_PRICE = "query ($sku: String!) { product(by: {sku: $sku}) { id price { amount } } }"
_REPRICE = """mutation ($id: ID!, $amount: Decimal!) {
  updateProduct(input: {id: $id, price: {amount: $amount}}) { __typename ... on UserError { message } }
}"""
_CREATE = """mutation ($sku: String!) {
  createProduct(input: {sku: $sku, name: $sku, price: {amount: "1.00"}}) { __typename ... on Product { id } }
}"""
_FOLLOW = "subscription ($after: Cursor) { productChanged(after: $after) { cursor gap product { price { amount } } } }"
_SUBMIT = """mutation ($board: String!, $score: Float!, $key: String!) {
  submitScore(input: {board: $board, score: $score, key: $key}) { __typename }
}"""
_TOP = "query ($board: String!) { leaderboard(slug: $board) { size top(first: 3) { nodes { rank score } } } }"
_IMPORT = "mutation ($path: String!) { importProducts(input: {path: $path}) { __typename ... on Job { id } } }"
_JOB = "query ($id: ID!) { node(id: $id) { ... on Job { state done error } } }"


class Away(Exception):
    """The server said that it cannot do this for the moment."""


class Answer(NamedTuple):
    """A status, and what came with it."""

    status: int
    body: dict[str, Any]


class Shop:
    """Two servers, and an admin of both."""

    def __init__(self, first: Serving, second: Serving, imports: Path) -> None:
        self.servers = (first, second)
        self.forgetting = False
        """The engine may lose every session at any moment: admins sign in again where they are refused for that."""
        self._imports = imports
        self._addresses = itertools.count(1)
        self._secret = ""
        self._token = ""

    def _send(self, server: Serving, document: str, token: str, address: str, variables: dict[str, Any]) -> Answer:
        headers = {"Content-Type": "application/json", "X-Forwarded-For": address}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        body = json.dumps({"query": document, "variables": variables}).encode()
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"{server.url}/graphql", body, headers), timeout=HANG
            ) as answer:
                return Answer(answer.status, json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.loads(error.read()))

    def new_address(self) -> str:
        """An address that nobody has asked from yet."""
        return f"198.51.{next(self._addresses) // 250}.{next(self._addresses) % 250}"

    async def send(self, server: Serving, document: str, *, token: str = "", address: str = "", **given: Any) -> Answer:
        """Any answer at all."""
        return await asyncio.to_thread(self._send, server, document, token, address or self.new_address(), given)

    async def ask(self, server: Serving, document: str, *, token: str = "", address: str = "", **given: Any) -> Any:
        """The data; raises `Away`. Errors of any other kind fail."""
        return self._data(await self.send(server, document, token=token, address=address, **given))

    def _data(self, answer: Answer) -> Any:
        codes = [error["extensions"]["code"] for error in answer.body.get("errors", ())]
        if "UNAVAILABLE" in codes:
            assert answer.status in (200, 503), answer
            raise Away(answer.body["errors"])
        assert not codes, answer
        assert answer.status == 200, answer
        return answer.body["data"]

    async def insist(self, what: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Do something again until it is not answered with UNAVAILABLE."""
        async with within("an answer that is not UNAVAILABLE"):
            while True:
                try:
                    return await what()
                except Away:
                    await asyncio.sleep(0.05)

    # --- who ---

    async def sign_in(self, email: str, password: str, server: Serving | None = None) -> str:
        """A token."""
        at = server or self.servers[0]
        data = await self.insist(lambda: self.ask(at, _LOGIN, email=email, password=password))
        return str(data["login"]["token"])

    async def admin(self) -> str:
        """The admin's token, a new one if the last has ended."""
        viewer = await self.insist(lambda: self._viewer(self.servers[1], self._token)) if self._token else None
        if viewer is None:
            self._token = await self.sign_in("admin@example.org", self._secret)
        return self._token

    async def by_admin(self, server: Serving, document: str, **given: Any) -> Any:
        """What an admin is answered as soon as it is not UNAVAILABLE."""
        token = await self.admin()

        async def attempt() -> Any:
            nonlocal token
            answer = await self.send(server, document, token=token, **given)
            reasons = [error["extensions"].get("reason") for error in answer.body.get("errors", ())]
            if self.forgetting and reasons == ["SESSION_ENDED"]:
                token = await self.admin()
                raise Away(answer.body["errors"])
            return self._data(answer)

        return await self.insist(attempt)

    async def _viewer(self, server: Serving, token: str) -> Any:
        answer = await self.send(server, "{ viewer { user { id } } }", token=token)
        codes = [error["extensions"]["code"] for error in answer.body.get("errors", ())]
        if "UNAVAILABLE" in codes:
            raise Away
        if codes:
            assert codes == ["UNAUTHENTICATED"], answer
            return None
        return answer.body["data"]["viewer"]

    # --- promises ---

    async def catalog(self, rounds: int = 10) -> None:
        """What one server has acknowledged is what the other one answers at once."""
        first, second = self.servers
        sku = f"M{secrets.token_hex(4)}"
        await self.by_admin(first, _CREATE, sku=sku)
        product = (await self.insist(lambda: self.ask(second, _PRICE, sku=sku)))["product"]["id"]
        for turn in range(rounds):
            amount = f"{turn + 2}.00"
            writer, reader = (first, second) if turn % 2 else (second, first)
            done = await self.by_admin(writer, _REPRICE, id=product, amount=amount)
            assert done["updateProduct"]["__typename"] == "Product", done
            for server in (reader, writer, reader):
                data = await self.insist(lambda server=server: self.ask(server, _PRICE, sku=sku))
                assert data["product"]["price"]["amount"] == amount

    async def accounts(self) -> None:
        """A session is known everywhere at once, and ends everywhere at once."""
        first, second = self.servers
        email, password = f"{secrets.token_hex(4)}@example.org", "a password for the matrix"
        register = """mutation ($email: String!, $password: String!) {
          register(input: {email: $email, password: $password, displayName: "P"}) { __typename }
        }"""
        made = await self.insist(lambda: self.ask(first, register, email=email, password=password))
        assert made["register"]["__typename"] in ("AuthPayload", "EmailTaken"), made
        token, other = await self.sign_in(email, password), await self.sign_in(email, password, second)
        for server in self.servers:
            assert await self.insist(lambda server=server: self._viewer(server, token)) is not None
        await self.insist(lambda: self.ask(first, "mutation { logout }", token=token))
        for server in self.servers:
            assert await self.insist(lambda server=server: self._viewer(server, token)) is None
        await self.insist(lambda: self.ask(second, "mutation { logoutEverywhere }", token=other))
        for server in self.servers:
            assert await self.insist(lambda server=server: self._viewer(server, other)) is None

    async def leaderboards(self) -> None:
        """A score that was acknowledged counts once, whoever is asked."""
        first, second = self.servers
        board = f"m-{secrets.token_hex(4)}"
        create = """mutation ($slug: String!) {
          createLeaderboard(input: {slug: $slug, name: "M", operator: SUM}) { __typename }
        }"""
        await self.by_admin(first, create, slug=board)
        for turn in range(6):
            server, key = self.servers[turn % 2], secrets.token_hex(8)
            for _ in range(2):  # the second one is a repetition
                await self.by_admin(server, _SUBMIT, board=board, score=10.0, key=key)
        async with within("the place on both servers"):
            for server in (first, second):
                while True:
                    found = (await self.insist(lambda server=server: self.ask(server, _TOP, board=board)))[
                        "leaderboard"
                    ]
                    if found["top"]["nodes"] == [{"rank": 1, "score": 60.0}]:
                        break
                    assert all(one["score"] <= 60.0 for one in found["top"]["nodes"]), found
                    await asyncio.sleep(0.05)

    async def subscriptions(self) -> None:
        """Who follows on one server hears what is changed on the other; who resumes is told what was missed."""
        first, second = self.servers
        sku = f"S{secrets.token_hex(4)}"
        product = (await self.by_admin(first, _CREATE, sku=sku))["createProduct"]["id"]
        mine = _FOLLOW.replace("after: $after", f'ids: ["{product}"], after: $after')

        async def reprice(*amounts: str) -> None:
            for amount in amounts:
                await self.by_admin(first, _REPRICE, id=product, amount=amount)

        def heard(events: list[Any]) -> list[str]:
            assert not any(event["gap"] for event in events), events
            return [event["product"]["price"]["amount"] for event in events]

        async with subscriber(second.port) as socket:
            following = await socket.follow(mine)
            await reprice("2.00")
            async with within("the first event"):
                while not following.results:  # it may have been too early for the subscription
                    await asyncio.sleep(0.05)
                    await reprice("1.00", "2.00")  # what is the price already is no event
            await reprice("3.00", "4.00")
            async with within("the others"):
                while heard(following.values("productChanged"))[-1] != "4.00":  # a product is told as it is by then
                    await asyncio.sleep(0.01)
            cursor = following.values("productChanged")[-1]["cursor"]
        await reprice("5.00", "6.00")
        async with subscriber(first.port) as socket:
            following = await socket.follow(mine, after=cursor)
            await following.until(2)
            assert heard(following.values("productChanged"))[1] == "6.00"

    async def limits(self) -> None:
        """An address gets its operations, over both servers together, and not one more."""
        address = self.new_address()
        answers = [
            await self.send(self.servers[turn % 2], "{ products(first: 1) { nodes { id } } }", address=address)
            for turn in range(ANONYMOUS + 6)
        ]
        assert [answer.status for answer in answers] == [200] * ANONYMOUS + [429] * 6, answers

    async def imports(self) -> None:
        """A file is imported by the worker; when that has ended, both servers have it."""
        first, second = self.servers
        sku = f"I{secrets.token_hex(4)}"
        rows = [f"{sku}-{number},Imported {number},{number}.50" for number in range(500)]
        (self._imports / f"{sku}.csv").write_text("\n".join(["sku,name,price", *rows]))
        queued = await self.by_admin(first, _IMPORT, path=f"{sku}.csv")
        job = queued["importProducts"]["id"]
        async with within("the import to end"):
            while True:
                state = (await self.by_admin(second, _JOB, id=job))["node"]
                assert state is not None
                assert state["state"] != "FAILED", state
                if state["state"] == "SUCCEEDED":
                    break
                await asyncio.sleep(0.05)
        for server in (first, second):
            data = await self.insist(lambda server=server: self.ask(server, _PRICE, sku=f"{sku}-499"))
            assert data["product"]["price"]["amount"] == "499.50"

    async def everything(self) -> None:
        """All promises, one after the other."""
        for promise in (
            *(self.catalog, self.accounts, self.leaderboards),
            *(self.subscriptions, self.limits, self.imports),
        ):
            await promise()

    async def well(self) -> None:
        """Wait until both servers say that nothing is away."""
        async with within("both servers to be ready"):
            for server in self.servers:
                while True:
                    status, _, body = await asyncio.to_thread(server.get, "/readyz")
                    if status == 200 and json.loads(body)["status"] == "ok":
                        break
                    await asyncio.sleep(0.05)

    async def open(self, folder: Path, **settings: str) -> None:
        """Wait for the servers, and make the admin."""
        for server in self.servers:
            await asyncio.to_thread(server.ready)
        words = ("user", "add", "admin@example.org", "--role", "ADMIN", "--random")
        made = await asyncio.to_thread(lambda: command(folder, *words, **settings))
        found = re.search(r"Password: (\S+)", made.stdout)
        assert found is not None, made.stderr
        self._secret = found[1]


@asynccontextmanager
async def shop(folder: Path, **settings: str) -> AsyncGenerator[Shop]:
    """Two servers with these settings and data below `folder`; the first one has a worker beside it."""
    imports = folder / "imports"
    imports.mkdir()
    common = {
        "GRAPH_TRUSTED_PROXIES": "127.0.0.1",
        "GRAPH_RATE_LIMIT_AUTHENTICATED": "1000000",
        "GRAPH_ACCESS_LOG": "false",
        "GRAPH_JOBS_IMPORTS": str(imports),
        **settings,
    }
    with Serving(folder, **common) as first, Serving(folder, **{**common, "GRAPH_JOBS_BESIDE": "false"}) as second:
        opened = Shop(first, second, imports)
        await opened.open(folder, **common)
        yield opened
