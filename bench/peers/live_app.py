"""The schema of the benchmark of live queries behind this project's endpoint: items that are read through the cache.

``POST /publish?events=N`` writes every item N times, each time the next number; ``/random?writes=N&pace=S`` one item
after the other, with so many seconds in between; ``/stats`` tells how many executions there were, and the last number.
The items are strings in Redis, as they are for the server in ``live/``. ``python -m bench.peers.live_app PORT`` serves
them with the connections and the garbage collection of `graph serve`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import strawberry
from prometheus_client import REGISTRY

from bench.peers.connections import serve
from graph.cli.serve import spare_the_collector
from graph.endpoint import GraphQLEndpoint
from graph.endpoint.admission import Admission
from graph.endpoint.declare import cached
from graph.endpoint.identity import Anonymous
from graph.endpoint.kept import KeptAnswers
from graph.endpoint.websocket import SocketLimits
from graph.patterns.cache import ByteCache, Cache
from graph.patterns.client import open_client
from graph.patterns.limiter import Limiter

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from starlette.types import Receive, Scope, Send

    from graph.patterns.client import Client

KEYS = int(os.environ.get("KEYS", "100"))
TITLE = "x" * 60


class Context:
    """What a resolver sees; nothing asks who is there."""

    viewer_touched = False

    def __init__(self, client: Client, cache: Cache) -> None:
        self.client = client
        self.cache = cache


Info = strawberry.Info[Context, None]


@strawberry.type
class Author:
    """Somebody."""

    name: str


@strawberry.type
class Item:
    """Something with a number that rises."""

    id: strawberry.ID
    number: int
    title: str
    author: Author


@strawberry.type
class Query:
    """What can be followed."""

    @strawberry.field(metadata=cached(3600))
    async def item(self, info: Info, id: strawberry.ID) -> Item:  # noqa: A002 - the peer's store wants this name
        """One item."""
        client = info.context.client

        async def load() -> Any:
            return json.loads(await client.execute("GET", f"db:{id}", retry=True) or b"{}")

        found = await info.context.cache.get(f"item:{id}", load, tags=[f"item:{id}"], ttl=3600)
        author = Author(name="Ann")
        return Item(id=id, number=found.get("number", 0), title=found.get("title", TITLE), author=author)


class Server:
    """Sends /graphql to the endpoint, and does what the driver asks for."""

    def __init__(self) -> None:
        self._number = 0
        self._ready: GraphQLEndpoint[Context] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one scope."""
        if scope["type"] == "lifespan":
            await receive()
            async with self._opened():
                await send({"type": "lifespan.startup.complete"})
                await receive()
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["path"] == "/graphql":
            assert self._ready is not None
            await self._ready(scope, receive, send)
        else:
            body = await self._do(scope["path"], parse_qs(scope["query_string"].decode()))
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[None]:
        async with open_client(os.environ["REDIS_URL"]) as client:
            self._client, self._cache = client, Cache(client)
            nobody = Anonymous()
            answers = ByteCache(client, self._cache.generations)
            self._ready = GraphQLEndpoint(
                strawberry.Schema(Query),
                authenticator=nobody,
                admission=Admission(Limiter(client), budget=nobody.budget, anonymous=1_000_000_000),
                context=lambda _caller, _connection, _response: Context(client, self._cache),
                kept=KeptAnswers(client, answers),
                # A crowd that is slow to answer is not what is measured.
                sockets=SocketLimits(init_timeout=600, ping_interval=600, operations=1_000_000),
            )
            async with self._ready:
                spare_the_collector()
                yield
            await answers.close()
            await self._cache.close()

    async def _do(self, path: str, query: dict[str, list[str]]) -> bytes:
        if path == "/publish":
            for _ in range(int(query["events"][0])):
                self._number += 1
                await asyncio.gather(*(self._write(str(key)) for key in range(KEYS)))
        elif path == "/random":
            for _ in range(int(query["writes"][0])):
                self._number += 1
                await self._write(str(random.randrange(KEYS)))
                await asyncio.sleep(float(query["pace"][0]))
        made = REGISTRY.get_sample_value("graph_live_executions_total")
        return json.dumps({"number": self._number, "executions": made}).encode()

    async def _write(self, key: str) -> None:
        async with self._cache.invalidating(f"item:{key}"):
            text = json.dumps({"number": self._number, "title": TITLE})
            await self._client.execute("SET", f"db:{key}", text, retry=True)


if __name__ == "__main__":
    serve(Server(), int(sys.argv[1]))
