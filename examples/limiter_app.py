"""The rate limit in somebody else's Strawberry app, under Strawberry's own view: `RateLimit` as a schema extension.

::

    python examples/limiter_app.py redis://localhost:6379
    curl localhost:8000/graphql -H 'content-type: application/json' -d '{"query": "{ joke }"}' -i

The fourth joke within ten seconds is refused with status 429 and a Retry-After that can be trusted.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from graph.endpoint.admission import Admission, RateLimit
from graph.endpoint.identity import Caller
from graph.patterns.client import open_client
from graph.patterns.limiter import Limiter


@strawberry.type
class Query:
    """What there is to laugh about."""

    @strawberry.field
    def joke(self) -> str:
        """The only one."""
        return "There are two hard things: cache invalidation, naming things and off-by-one errors."


def caller(context: dict[str, Any]) -> Caller:
    """Count visitors by their address."""
    return Caller(context["request"].client.host)


def create_app(redis_url: str) -> FastAPI:
    """A FastAPI app with the joke at ``/graphql``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_client(redis_url) as client:
            admission = Admission(Limiter(client), budget=lambda _: None, anonymous=3, window=10, prefix="jokes")
            schema = strawberry.Schema(Query, extensions=[lambda: RateLimit(admission, caller=caller)])
            app.include_router(GraphQLRouter(schema), prefix="/graphql")
            yield

    return FastAPI(lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]))
