"""The whole endpoint as a router: a guest book behind bounds and a rate limit.

::

    python examples/router_app.py
    curl localhost:8000/graphql -H 'content-type: application/json' -d '{"query": "{ entries(first: 3) }"}' -i

In a browser the same address shows GraphiQL. A token signs its bearer in, as a JWT would.
"""

import os

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.types import Info

from graph.endpoint import Bounds
from graph.library import FastGraphQL, RateLimit, Redis

redis = Redis(os.environ.get("REDIS_URL"), prefix="guestbook")
BOOK = ["Welcome!"]
USERS = {"the-token-of-ann": "Ann"}  # stands for decoding a JWT


@strawberry.type
class Query:
    """Reading the book."""

    @strawberry.field
    def entries(self, first: int = 10) -> list[str]:
        """The newest entries."""
        return BOOK[-first:]


@strawberry.type
class Mutation:
    """Writing into it."""

    @strawberry.mutation
    def sign(self, info: Info, text: str) -> str:
        """Leave an entry, signed with the writer's name."""
        BOOK.append(f"{text} ({info.context['caller'].user or 'somebody'})")
        return BOOK[-1]


schema = strawberry.Schema(Query, Mutation, extensions=[RateLimit(redis, "5/minute")])
app = FastAPI()
app.include_router(FastGraphQL(schema, sign_in=USERS.get, bounds=Bounds(depth=5, page=100)), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app)
