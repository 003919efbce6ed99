"""No request leaves cycles behind: what it was made of is gone with its answer, and needs no collector of garbage.

A collection under load walks whatever lives, and nobody is answered meanwhile.
"""

from __future__ import annotations

import gc
import json
from collections import Counter
from contextlib import asynccontextmanager, contextmanager
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from graph.app import create_app
from graph.catalog import NewProduct
from graph.leaderboard import NewBoard
from graph.patterns.fair_queue import FairQueue
from graph.server.http_express import HttpProtocol
from graph.services import open_services
from graph.settings import RateLimitSettings, RedisSettings, ServerSettings, Settings
from harness.subscriber import hear
from harness.waiting import within
from tests.support.apps.one_schema import schema_made_once
from tests.support.apps.serving import serving
from tests.support.clients.raw_http import Connection, post
from tests.support.engines.migrated import migrated
from tests.support.models.players import add_players

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Generator
    from pathlib import Path

    from graph.patterns.client import Client
    from harness.valkey import ValkeyServer

WARM = 20
TIMES = 40
SHOWN = "id sku name price { amount currency } category { name }"
PAGE = f"query ($one: Decimal) {{ products(first: 5, filter: {{ minPrice: $one }}) {{ nodes {{ {SHOWN} }} }} }}"
COUNTED = """query ($one: Decimal) { products(first: 5, filter: { minPrice: $one }) {
  totalCount edges { cursor node { category { productCount } } } } }"""
BOARD = 'leaderboard(slug: "main")'
ENTRY = "rank score player { displayName }"
SCORE = """mutation ($one: Float!) {
  submitScore(input: { board: "main", score: $one }) { ... on ScoreSubmitted { rank } } }"""
ASKED: dict[str, tuple[str, Any]] = {
    "nothing of its own": ("{ __typename }", None),
    "a page that is kept": (f"{{ products(first: 5) {{ nodes {{ {SHOWN} }} }} }}", None),
    "a page": (PAGE, "0.@"),
    "a page and its count": (COUNTED, "0.@"),
    "a search": ("query ($one: String!) { products(filter: { search: $one }) { nodes { name } } }", "thing@"),
    "a product": (f"query ($one: String!) {{ product(by: {{ sku: $one }}) {{ {SHOWN} }} }}", "S@"),
    "a node": ("query ($one: ID!) { node(id: $one) { id ... on Product { name } } }", "UHJvZHVjdDox"),
    "who am I": ("{ viewer { user { id email } } }", None),
    "my place": (f"{{ {BOARD} {{ around(range: 1) {{ entry {{ {ENTRY} }} above {{ {ENTRY} }} }} }} }}", None),
    "a top": (f"{{ {BOARD} {{ size top(first: 3) {{ nodes {{ {ENTRY} }} }} }} }}", None),
    "a score": (SCORE, 0),
    "an unknown field": ("{ nothing }", None),
    "a document that is new": ('{ leaderboard(slug: "@") { size } }', None),
    "a new one that is wrong": ("{ nothing@ }", None),
    "no document": ("{", None),
    "a new one that breaks off": (f"{{ products {{ nodes {{ {SHOWN} }} }} a@: __typename", None),
    "arguments out of bounds": ("{ products(first: 5, last: @) { nodes { id } } }", None),
    "a wrong cursor": ("query ($one: String) { products(first: 5, after: $one) { nodes { id } } }", "x@"),
    "a wrong variable": ("query ($one: Int) { products(first: $one) { nodes { id } } }", "x@"),
    "what is forbidden": ("mutation ($one: ID!) { deleteProduct(id: $one) { __typename } }", "x@"),
}
"""What is asked, and the variable of each request; ``@`` is its number."""
FORM = b"""--b\r
Content-Disposition: form-data; name="operations"\r
\r
{"query": "mutation ($f: Upload!) { previewImport(input: { file: $f }) { __typename } }", "variables": {"f": null}}\r
--b\r
Content-Disposition: form-data; name="map"\r
\r
{"0": ["variables.f"]}\r
--b\r
Content-Disposition: form-data; name="0"; filename="a.csv"\r
\r
sku,name,price\r
--b--\r
"""
SAID = {
    "a query": "{ __typename }",
    "a page": 'query { products(first: 5, filter: { minPrice: "0.@" }) { nodes { name } } }',
    "a score": 'mutation { submitScore(input: { board: "main", score: @ }) { __typename } }',
    "a wrong document": "{ nothing }",
    "a subscription that is shared": 'subscription { leaderboardChanged(board: "main") { entries { score } } }',
    "a subscription of one's own": "subscription { jobsChanged { name } }",
    "a subscription to nothing": 'subscription { leaderboardChanged(board: "none") { entries { score } } }',
}
"""Operations on a WebSocket."""


class Served(NamedTuple):
    """The application as it is served, and the tokens of a player and of an ADMIN."""

    port: int
    token: str
    admin: str

    def request(self, name: str, number: int) -> bytes:
        """A request for one of `ASKED`."""
        query, value = ASKED[name]
        one = value.replace("@", str(number)) if isinstance(value, str) else float(number)
        body = {"query": query.replace("@", str(number)), "variables": {} if value is None else {"one": one}}
        return self.post(body)

    def batch(self, number: int) -> bytes:
        """A request for two things at once."""
        return self.post([{"query": PAGE, "variables": {"one": f"0.{number}"}}, {"query": "{ __typename }"}])

    def form(self, _: int) -> bytes:
        """A request with a file, from somebody who may not send it."""
        lines = (
            *("POST /graphql HTTP/1.1", "Host: a", "GraphQL-Require-Preflight: 1"),
            *("Content-Type: multipart/form-data; boundary=b", f"Content-Length: {len(FORM)}"),
            *(f"Authorization: Bearer {self.token}", "", ""),
        )
        return "\r\n".join(lines).encode() + FORM

    def post(self, body: object) -> bytes:
        """A request of the player."""
        return post(json.dumps(body).encode(), extra=f"Authorization: Bearer {self.token}\r\n".encode())


@asynccontextmanager
async def served(valkey: ValkeyServer, folder: Path) -> AsyncGenerator[Served]:
    """Serve a shop and a board."""
    settings = Settings(
        server=ServerSettings(data_dir=folder),
        redis=RedisSettings(url=valkey.url),
        rate_limit=RateLimitSettings(anonymous=1_000_000, authenticated=1_000_000),
    )
    migrated(folder / "graph.db")
    with schema_made_once():
        async with open_services(settings) as services:
            await add_players(services.database, 20)
            await services.leaderboards.create_board(NewBoard("main", "Main"))
            for number in range(10):
                await services.catalog.create(NewProduct(f"S{number}", f"Thing {number}", Decimal("3.50"), "USD"))
            token, _ = await services.sessions.create("3", role="PLAYER")
            admin, _ = await services.sessions.create("4", role="ADMIN")
            async with serving(create_app(settings, services), http=HttpProtocol, state={}) as port:
                yield Served(port, token, admin)


@contextmanager
def uncollected() -> Generator[Counter[str]]:
    """Collect no garbage in the block; what it has left is counted by its types at the end."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.freeze()  # what is there already need not be looked through again
    gc.disable()
    try:
        yield found
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        found.update(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def of_each(found: Counter[str]) -> Counter[str]:
    """What is left of each of those who were there.

    What happens now and then, such as an end amid a statement, leaves some objects of many types.
    """
    return Counter({kind: number for kind, number in found.items() if number >= TIMES})


async def test_a_request_leaves_nothing_to_collect(valkey: ValkeyServer, client: Client, tmp_path: Path) -> None:
    """Hits and misses, reads and writes, and what is refused, all on a connection that is kept."""
    assert client
    left: dict[str, Counter[str]] = {}
    async with served(valkey, tmp_path) as shop, Connection(shop.port) as connection:
        requests = {name: partial(shop.request, name) for name in ASKED}
        for name, request in {**requests, "two at once": shop.batch, "a form": shop.form}.items():
            for number in range(WARM):
                await connection.ask(request(number))
            with uncollected() as found:
                for number in range(WARM, WARM + TIMES):
                    await connection.ask(request(number))
            if each := of_each(found):
                left[name] = each
    assert not left


async def test_an_operation_on_a_socket_leaves_nothing_to_collect(
    valkey: ValkeyServer, client: Client, tmp_path: Path
) -> None:
    """Nor does a subscription that its client ends after the first result."""
    assert client
    left: dict[str, Counter[str]] = {}
    async with served(valkey, tmp_path) as shop:
        protocol = Subprotocol("graphql-transport-ws")
        async with connect(f"ws://127.0.0.1:{shop.port}/graphql", subprotocols=[protocol]) as socket:

            async def say(kind: str, **more: Any) -> str:
                await socket.send(json.dumps({"type": kind, **more}))
                async with within("the answer"):
                    return str((await hear(socket))["type"])

            async def follow(query: str, number: int) -> None:
                payload = {"query": query.replace("@", str(number))}
                kind = await say("subscribe", id=str(number), payload=payload)
                if kind == "next" and query.startswith("subscription"):
                    await socket.send(json.dumps({"type": "complete", "id": str(number)}))
                    kind = await say("ping")
                while kind == "next":
                    kind = (await hear(socket))["type"]

            assert await say("connection_init", payload={"Authorization": f"Bearer {shop.admin}"}) == "connection_ack"
            for name, query in SAID.items():
                for number in range(1, WARM):
                    await follow(query, number)
                with uncollected() as found:
                    for number in range(WARM, WARM + TIMES):
                        await follow(query, number)
                if each := of_each(found):
                    left[name] = each
    assert not left


async def test_an_event_leaves_nothing_to_collect(valkey: ValkeyServer, client: Client, tmp_path: Path) -> None:
    """The snapshots of a board that one WebSocket gets, one for each score."""
    assert client
    query = 'subscription { leaderboardChanged(board: "main") { entries { score } } }'
    async with served(valkey, tmp_path) as shop, Connection(shop.port) as connection:
        protocol = Subprotocol("graphql-transport-ws")
        async with connect(f"ws://127.0.0.1:{shop.port}/graphql", subprotocols=[protocol]) as socket:
            await socket.send('{"type": "connection_init"}')
            await socket.recv()
            await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
            await socket.recv()

            async def score(number: int) -> None:
                async with within("the event"):
                    await connection.ask(shop.request("a score", number))
                    await socket.recv()

            for number in range(1, WARM):
                await score(number)
            with uncollected() as found:
                for number in range(WARM, WARM + TIMES):
                    await score(number)
    assert not of_each(found)


async def test_waiting_in_vain_leaves_nothing_to_collect() -> None:
    """Whoever gives up waiting for a place leaves nothing: that happens under load, when it matters most."""
    queue = FairQueue(1, 1, 0.001)
    async with queue.place():
        with uncollected() as found:
            for _ in range(TIMES):
                with pytest.raises(TimeoutError):
                    await queue.enter()
    assert not of_each(found)
