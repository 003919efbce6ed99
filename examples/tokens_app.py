"""One-time tokens in somebody else's Strawberry app: invitations to a party, each for one guest.

::

    python examples/tokens_app.py redis://localhost:6379
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.types import Info

from graph.patterns.client import open_client
from graph.patterns.tokens import OneTimeTokens


@strawberry.type
class Query:
    """Looking at an invitation."""

    @strawberry.field
    async def invited(self, info: Info, token: str) -> str | None:
        """Whom an invitation is for, as long as it was not used."""
        return await info.context["invitations"].peek(token)


@strawberry.type
class Mutation:
    """Inviting, and coming."""

    @strawberry.mutation
    async def invite(self, info: Info, name: str) -> str:
        """An invitation for `name`, good for a week."""
        return await info.context["invitations"].issue(name)

    @strawberry.mutation
    async def come(self, info: Info, token: str) -> str:
        """Come in by an invitation, which lets nobody in after that."""
        name = await info.context["invitations"].take(token)
        return f"Welcome, {name}!" if name is not None else "This invitation lets nobody in any more."


def create_app(redis_url: str) -> FastAPI:
    """A FastAPI app with the door at ``/graphql``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_client(redis_url) as client:
            invitations = OneTimeTokens(client, "invitation", prefix="party", ttl=7 * 86_400.0)
            context = {"invitations": invitations}
            router = GraphQLRouter(strawberry.Schema(Query, Mutation), context_getter=lambda: context)
            app.include_router(router, prefix="/graphql")
            yield

    return FastAPI(lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]))
