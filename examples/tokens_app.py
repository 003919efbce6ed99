"""One-time tokens: invitations to a party, each for one guest.

::

    python examples/tokens_app.py
"""

import os

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from graph.library import Redis

redis = Redis(os.environ.get("REDIS_URL"), prefix="party")
invitations = redis.tokens("invitation", ttl=7 * 86_400.0)


@strawberry.type
class Query:
    """Looking at an invitation."""

    @strawberry.field
    async def invited(self, token: str) -> str | None:
        """Whom an invitation is for, as long as it was not used."""
        return await invitations.peek(token)


@strawberry.type
class Mutation:
    """Inviting, and coming."""

    @strawberry.mutation
    async def invite(self, name: str) -> str:
        """An invitation for `name`, good for a week."""
        return await invitations.issue(name)

    @strawberry.mutation
    async def come(self, token: str) -> str:
        """Come in by an invitation, which lets nobody in after that."""
        name = await invitations.take(token)
        return f"Welcome, {name}!" if name is not None else "This invitation lets nobody in any more."


app = FastAPI()
app.include_router(GraphQLRouter(strawberry.Schema(Query, Mutation)), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app)
