"""Sessions in somebody else's Strawberry app: a club that knows its members by a token.

::

    python examples/sessions_app.py redis://localhost:6379

Redis holds no token, only its hash, and a session that was ended does not come back. Checking who `enter`s is the
club's own business.
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
from graph.patterns.sessions import Session, Sessions


async def session_of(info: Info) -> Session | None:
    """The session behind the request."""
    token = info.context["request"].headers.get("authorization", "").removeprefix("Bearer ")
    return await info.context["sessions"].touch(token)


@strawberry.type
class Query:
    """Who is asking."""

    @strawberry.field
    async def member(self, info: Info) -> str | None:
        """The member's name; null for a stranger."""
        session = await session_of(info)
        return None if session is None else session.user_id


@strawberry.type
class Mutation:
    """Coming and going."""

    @strawberry.mutation
    async def enter(self, info: Info, name: str) -> str:
        """Begin a session; send the token as ``Authorization: Bearer``."""
        token, _ = await info.context["sessions"].create(name)
        return token

    @strawberry.mutation
    async def leave_everywhere(self, info: Info) -> int:
        """End all sessions of the member; gives how many there were."""
        session = await session_of(info)
        return 0 if session is None else await info.context["sessions"].revoke_all(session.user_id)


def create_app(redis_url: str) -> FastAPI:
    """A FastAPI app with the club at ``/graphql``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_client(redis_url) as client:
            context = {"sessions": Sessions(client, prefix="club", sliding=3600)}
            schema = strawberry.Schema(Query, Mutation)
            app.include_router(GraphQLRouter(schema, context_getter=lambda: context), prefix="/graphql")
            yield

    return FastAPI(lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]))
