"""A keyspace in somebody else's Strawberry app: a guest book in a file, and in Redis how many guests there are.

::

    python examples/keyspace_app.py [guests.json]

Stop it, put an older copy of the file back and start it again: the count in Redis is dropped, and made anew.
"""

import json
import os
import secrets
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.types import Info

from graph.library import Redis
from graph.patterns.keyspace import Keyspace, Mark
from graph.patterns.lock import Locks

COUNT = "hotel:{count}"


class GuestBook:
    """Stands for a database: it has guests, and a mark of its own."""

    def __init__(self, path: Path) -> None:
        """Keep everything in the file at `path`."""
        self._path = path
        if not path.exists():
            self._write({"identity": secrets.token_hex(16), "pulses": [secrets.token_hex(8)], "guests": []})

    def _content(self) -> dict[str, Any]:
        return json.loads(self._path.read_text())

    def _write(self, content: dict[str, Any]) -> None:
        self._path.write_text(json.dumps(content))

    def guests(self) -> list[str]:
        """Who came."""
        return self._content()["guests"]

    def add(self, name: str) -> None:
        """Somebody came."""
        content = self._content()
        self._write({**content, "guests": [*content["guests"], name]})

    async def read(self) -> Mark:
        """Return the mark."""
        content = self._content()
        pulse, *before = content["pulses"]
        return Mark(content["identity"], pulse, tuple(before))

    async def renew(self, seen: Mark) -> Mark:
        """Give it another pulse, unless somebody else has."""
        content = self._content()
        if content["pulses"][0] == seen.pulse:
            self._write({**content, "pulses": [secrets.token_hex(8), *content["pulses"][:63]]})
        return await self.read()

    async def rewound(self) -> None:
        """Nothing in it depends on Redis."""


@strawberry.type
class Query:
    """Reading the guest book."""

    @strawberry.field
    async def count(self, info: Info) -> int:
        """How many guests there were, from Redis; counted only once."""
        client = info.context["client"]
        if (known := await client.execute("GET", COUNT)) is None:
            known = len(info.context["book"].guests())
            await client.execute("SET", COUNT, known, "EX", 3600, retry=True)
        return int(known)


@strawberry.type
class Mutation:
    """Coming."""

    @strawberry.mutation
    async def come(self, info: Info, name: str) -> bool:
        """Write a name into the book."""
        info.context["book"].add(name)
        await info.context["client"].execute("DEL", COUNT, retry=True)
        return True


def create_app(redis_url: str | None, path: Path) -> FastAPI:
    """A FastAPI app with the guest book at ``/graphql``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        book, redis = GuestBook(path), Redis(redis_url, prefix="hotel")
        async with (
            redis,
            Locks(redis.client, prefix="hotel") as locks,
            Keyspace(redis.client, locks, book, prefix="hotel"),
        ):
            context = {"client": redis.client, "book": book}
            router = GraphQLRouter(strawberry.Schema(Query, Mutation), context_getter=lambda: context)
            app.include_router(router, prefix="/graphql")
            yield

    return FastAPI(lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(os.environ.get("REDIS_URL"), Path(next(iter(sys.argv[1:]), "guests.json"))))
