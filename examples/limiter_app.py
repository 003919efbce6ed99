"""Rate limits under Strawberry's own view: three jokes a minute, of which one may be told aloud.

::

    python examples/limiter_app.py
    curl localhost:8000/graphql -H 'content-type: application/json' -d '{"query": "{ joke }"}' -i

The fourth joke is refused with status 429 and a Retry-After that can be trusted.
"""

import os

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from graph.library import RateLimit, Redis, limited

redis = Redis(os.environ.get("REDIS_URL"), prefix="jokes")
JOKE = "There are two hard things: cache invalidation, naming things and off-by-one errors."


@strawberry.type
class Query:
    """What there is to laugh about."""

    @strawberry.field
    def joke(self) -> str:
        """The only one."""
        return JOKE

    @strawberry.field(extensions=[limited("1/minute", "20/day")])
    def aloud(self) -> str:
        """The same, for the whole office."""
        return JOKE.upper()


schema = strawberry.Schema(Query, extensions=[RateLimit(redis, "3/minute")])
app = FastAPI()
app.include_router(GraphQLRouter(schema), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app)
