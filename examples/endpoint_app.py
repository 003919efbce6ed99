"""The endpoint in somebody else's Strawberry app: a guest book behind bounds and a rate limit.

::

    python examples/endpoint_app.py
    curl localhost:8000/graphql -H 'content-type: application/json' -d '{"query": "{ entries(first: 3) }"}' -i

Nothing here knows the shop. The schema is plain Strawberry; `RateLimit` is an extension like any other.
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.types import Info  # noqa: TC002 - Strawberry reads it at run time

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.admission import Admission, RateLimit
from graph.endpoint.declare import cost
from graph.endpoint.document import Bounds, Persisted
from graph.endpoint.identity import Anonymous
from graph.library import Redis

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graph.endpoint.identity import Caller

BOOK: list[str] = ["Welcome!"]


@dataclass
class Context:
    """What a resolver sees: one of these for each operation."""

    caller: Caller


@strawberry.type
class Query:
    """Reading the book."""

    @strawberry.field(metadata=cost(2))
    def entries(self, first: int = 10) -> list[str]:
        """The newest entries."""
        return BOOK[-first:]


@strawberry.type
class Mutation:
    """Writing into it."""

    @strawberry.mutation
    def sign(self, info: Info[Context, None], text: str) -> str:
        """Leave an entry, signed with the writer's address."""
        BOOK.append(f"{text} ({info.context.caller.address})")
        return BOOK[-1]


def create_app(redis_url: str | None) -> FastAPI:
    """A FastAPI app with the guest book at ``/graphql``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with Redis(redis_url, prefix="guestbook") as redis:
            nobody_signs_in = Anonymous()
            admission = Admission(redis.limiter, budget=nobody_signs_in.budget, anonymous=5, prefix="guestbook")
            endpoint = GraphQLEndpoint(
                strawberry.Schema(Query, Mutation, extensions=[lambda: RateLimit(admission)]),
                authenticator=nobody_signs_in,
                admission=admission,
                context=lambda caller, _connection, _response: Context(caller),
                bounds=Bounds(depth=5, complexity=500),
                persisted=Persisted(redis.client, prefix="guestbook"),
            )
            app.router.routes.append(endpoint.at("/graphql"))
            yield

    return FastAPI(lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(os.environ.get("REDIS_URL")))
