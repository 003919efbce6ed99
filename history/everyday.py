"""What ``make soak`` has clients do: what the product is for, on a fixed set of products, users, boards and files."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import time
from typing import TYPE_CHECKING

import aiohttp
from websockets.exceptions import WebSocketException

from harness.subscriber import subscriber
from history.client import Client
from history.workloads import Jobs, SignIns, Workload

if TYPE_CHECKING:
    from collections.abc import Awaitable

_LIVE = "query @live { products(first: 5, sort: NEWEST) { nodes { id name price { amount } } totalCount } }"
_PAGE = "{ products(first: %d, sort: %s) { nodes { id sku name stock %s price { amount currency } } } }"
_JUNK = (b"", b"{", b"[]", b'{"query": 1}', b'{"query": "{"}', b'{"query": "{ nothing }"}', b"\xff\xfe")
_RESUME = "mutation ($secret: String!) { resumeGuest(secret: $secret) { ... on AuthPayload { token } } }"
_GUEST = "mutation { playAsGuest { ... on GuestPayload { secret auth { token } } } }"
_ADMIN_WATCHES = (
    "subscription { serverChanged(seconds: 1) { requestsPerSecond sockets operations { name p99 } } }",
    "subscription { jobsChanged(first: 10) { id state done } }",
)
_NEW_KEY = """mutation { createApiKey(input: {name: "soak", scopes: [CATALOG]}) {
  ... on ApiKeyCreated { key apiKey { id } }
} }"""
_LOGIN = """mutation ($e: String!, $p: String!) { login(input: {email: $e, password: $p}) {
  ... on AuthPayload { token }
} }"""
_RESET = "mutation ($e: String!) { requestPasswordReset(email: $e) { __typename } }"
_UPLOAD = "mutation ($file: Upload!) { %s(input: {file: $file}) { __typename } }"
_PAGES = ("console", "graphiql", "board/soak", "nowhere", "favicon.ico")
_TOP = 'subscription { leaderboardChanged(board: "soak", first: 5) { entries { rank score } } }'
_BOARD = 'mutation { createLeaderboard(input: {slug: "soak", name: "Soak"}) { __typename } }'
_SCORE = 'mutation ($s: Float!) { submitScore(input: {board: "soak", score: $s}) { __typename } }'


class Addressed(Client):
    """Asks from three hundred addresses, again and again."""

    def new_address(self) -> str:
        """The next of them."""
        number = next(self._addresses) % 300
        return f"10.1.{number >> 8}.{number & 255}"


class Returning(SignIns):
    """The same twenty guests sign in and out."""

    async def prepare(self) -> None:
        """Make the guests."""
        await super().prepare()
        self.guests: list[str] = []
        for _ in range(20):
            made = await self.insist(lambda: self.client.ask(0, _GUEST))
            self.guests.append(made["playAsGuest"]["secret"])
            await self.client.ask(0, "mutation { logout }", token=made["playAsGuest"]["auth"]["token"])

    async def _come_and_go(self) -> None:
        while not self.stopped.is_set():
            secret, subject = self.client.random.choice(self.guests), secrets.token_hex(4)
            resumed = await self.client.ask(0, _RESUME, secret=secret)
            if resumed.outcome == "ok" and (token := resumed.data["resumeGuest"].get("token")):
                await self._check(subject, token)
                left = await self.client.ask(0, "mutation { logout }", token=token)
                self.history.add(self.name, "end", subject, None, time.monotonic(), outcome=left.outcome)
                self.over = [*self.over[-50:], (subject, token)]
            await self.rest()


class Repeating(Jobs):
    """The same ten files are imported, with other prices each time."""

    async def _queue(self) -> None:
        for number in itertools.count():
            if self.stopped.is_set():
                return
            name = f"soak-{number % 10}"
            (self.imports / f"{name}.csv").write_text(f"sku,name,price\n{name},Imported,{number % 90 + 1}.00\n")
            document = "mutation ($p: String!) { importProducts(input: {path: $p}) { ... on Job { id } } }"
            answer = await self.client.ask(0, document, token=self.key, p=f"{name}.csv")
            job = answer.data["importProducts"].get("id", "") if answer.outcome == "ok" else ""
            if job:
                self.accepted = [*self.accepted[-20:], job]
            self.history.add(self.name, "queue", job, None, time.monotonic(), outcome=answer.outcome)
            await self.rest(15)


class Visitors(Workload):
    """Live queries, pages of all kinds, bytes that make no sense, and clients that hang up."""

    name = "visitors"

    def clients(self) -> list[Awaitable[None]]:
        """One of each."""
        return [self._live(), self._live(), self._browse(), self._talk_nonsense(), self._hang_up(), self._scrape()]

    async def _live(self) -> None:
        port = int(self.client.urls[0].rpartition(":")[2])
        while not self.stopped.is_set():
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with asyncio.timeout(60), subscriber(port, self.key) as socket:
                    following = await socket.follow(_LIVE)
                    await following.until(1 + self.client.random.randrange(10))
                    self.history.add(self.name, "live", "page", len(following.results), time.monotonic())
            await self.rest()

    async def _browse(self) -> None:
        for number in itertools.count():
            if self.stopped.is_set():
                return
            order = ("PRICE_ASC", "PRICE_DESC", "NEWEST")[number % 3]
            document = _PAGE % (1 + number % 50, order, "description" if number % 2 else "")
            began = time.monotonic()
            answer = await self.client.ask(0, document)
            self.history.add(self.name, "page", document, None, began, outcome=answer.outcome)
            await self.rest(0.3)

    async def _talk_nonsense(self) -> None:
        async with aiohttp.ClientSession() as http:
            for body in itertools.cycle(_JUNK):
                if self.stopped.is_set():
                    return
                with contextlib.suppress(aiohttp.ClientError):
                    headers = {"Content-Type": "application/json"}
                    async with http.post(f"{self.client.urls[0]}/graphql", data=body, headers=headers) as answer:
                        await answer.read()
                        self.history.add(self.name, "nonsense", "", answer.status, time.monotonic())
                await self.rest(3)

    async def _hang_up(self) -> None:
        port = int(self.client.urls[0].rpartition(":")[2])
        body = b'{"query": "{ products(first: 50) { nodes { name description } } }"}'
        head = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        whole = head % len(body) + body
        while not self.stopped.is_set():
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(whole[: self.client.random.randrange(1, len(whole) + 1)])
                await asyncio.sleep(self.client.random.uniform(0, 0.05))
                writer.transport.abort()
                self.history.add(self.name, "hang up", "", None, time.monotonic())
            await self.rest(3)

    async def _scrape(self) -> None:
        async with aiohttp.ClientSession() as http:
            while not self.stopped.is_set():
                for path in ("healthz", "readyz", "metrics"):
                    with contextlib.suppress(aiohttp.ClientError):
                        async with http.get(f"{self.client.urls[0]}/{path}") as answer:
                            await answer.read()
                await self.rest(50)


class Staff(Workload):
    """An admin at the console: what happens now, keys, passwords, uploads; and who looks at the pages."""

    name = "staff"

    def __init__(self, client: Client, email: str, password: str, token: str, *, pause: float) -> None:
        """Sign in with `email` and `password`; `token` is that of a session which stays."""
        super().__init__(client, token, pause=pause)
        self._email = email
        self._password = password

    async def prepare(self) -> None:
        """Make the board whose page is looked at, and its player."""
        await self.insist(lambda: self.client.ask(0, _BOARD, token=self.key))
        made = await self.insist(lambda: self.client.ask(0, _GUEST))
        self.player = str(made["playAsGuest"]["auth"]["token"])

    def clients(self) -> list[Awaitable[None]]:
        """Everything that is done at a console, once at a time."""
        return [*(self._watch(one) for one in _ADMIN_WATCHES), self._listen(), self._steps()]

    def _note(self, kind: str, outcome: str, began: float) -> None:
        self.history.add(
            self.name, kind, "", None, began, outcome="ok" if outcome in {"ok", "200", "404"} else "refused"
        )

    async def _watch(self, document: str) -> None:
        port = int(self.client.urls[0].rpartition(":")[2])
        while not self.stopped.is_set():
            began = time.monotonic()
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with asyncio.timeout(30), subscriber(port, self.key) as socket:
                    following = await socket.follow(document)
                    await following.until(1 + self.client.random.randrange(5))
                    self._note("watch", "ok", began)
            await self.rest(5)

    async def _listen(self) -> None:
        """Follow a board by server-sent events, as its page does."""
        async with aiohttp.ClientSession() as http:
            while not self.stopped.is_set():
                began = time.monotonic()
                headers = {"Accept": "text/event-stream", "X-Forwarded-For": self.client.new_address()}
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                    async with (
                        asyncio.timeout(20),
                        http.post(f"{self.client.urls[0]}/graphql", json={"query": _TOP}, headers=headers) as answer,
                    ):
                        for _ in range(1 + self.client.random.randrange(20)):
                            await answer.content.readline()
                        self._note("listen", str(answer.status), began)
                await self.rest(5)

    async def _steps(self) -> None:
        for number in itertools.count():
            for step in (self._keys, self._sign_in, self._upload, self._look_at_pages, self._play):
                if self.stopped.is_set():
                    return
                began = time.monotonic()
                self._note(step.__name__, await step(number), began)
                await self.rest(5)

    async def _keys(self, _: int) -> str:
        made = await self.client.ask(0, _NEW_KEY, token=self.key)
        if made.outcome != "ok" or "key" not in made.data["createApiKey"]:
            return "refused"
        key, name = made.data["createApiKey"]["key"], made.data["createApiKey"]["apiKey"]["id"]
        await self.client.ask(0, "{ products(first: 1) { nodes { id } } }", token=key)
        gone = await self.client.ask(0, "mutation ($id: ID!) { revokeApiKey(id: $id) }", token=self.key, id=name)
        return gone.outcome

    async def _sign_in(self, _: int) -> str:
        await self.client.ask(0, _RESET, e=self._email)
        await self.client.ask(0, _LOGIN, e=self._email, p="not it, and long enough")
        found = await self.client.ask(0, _LOGIN, e=self._email, p=self._password)
        if found.outcome != "ok" or not (token := found.data["login"].get("token")):
            return "refused"
        return (await self.client.ask(0, "mutation { logout }", token=token)).outcome

    async def _upload(self, number: int) -> str:
        form, name = aiohttp.FormData(), f"soak-{number % 10}"
        document = _UPLOAD % ("uploadProducts" if number % 5 else "previewImport")
        form.add_field("operations", json.dumps({"query": document, "variables": {"file": None}}))
        form.add_field("map", '{"0": ["variables.file"]}')
        form.add_field("0", f"sku,name,price\n{name},Uploaded,{number % 80 + 1}.00\n".encode(), filename=f"{name}.csv")
        headers = {"Authorization": f"Bearer {self.key}", "GraphQL-Require-Preflight": "1"}
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.client.urls[0]}/graphql", data=form, headers=headers) as answer,
        ):
            said = await answer.json()
        return "ok" if "errors" not in said else "refused"

    async def _look_at_pages(self, _: int) -> str:
        status = 0
        async with aiohttp.ClientSession() as http:
            for path in _PAGES:
                async with http.get(f"{self.client.urls[0]}/{path}", headers={"Accept": "text/html"}) as answer:
                    await answer.read()
                    status = max(status, answer.status)
        return str(status)

    async def _play(self, number: int) -> str:
        return (await self.client.ask(0, _SCORE, token=self.player, s=float(number))).outcome
