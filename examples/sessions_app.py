"""Sessions: a club that knows its members by a token, in a header or in a cookie.

::

    python examples/sessions_app.py

Redis holds no token, only its hash, and a session that was ended does not come back. Checking who `enter`s is the
club's own business.
"""

import os
from typing import Annotated, Any

import strawberry
import uvicorn
from fastapi import Depends, FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.types import Info

from graph.library import CurrentSession, Redis

redis = Redis(os.environ.get("REDIS_URL"), prefix="club")
sessions = redis.sessions(idle=3600)


async def get_context(member: Annotated[CurrentSession | None, Depends(sessions.current)]) -> dict[str, Any]:
    """What resolvers know."""
    return {"member": member}


@strawberry.type
class Query:
    """Who is asking."""

    @strawberry.field
    def member(self, info: Info) -> str | None:
        """The member's name; null for a stranger."""
        member = info.context["member"]
        return member.user if member else None


@strawberry.type
class Mutation:
    """Coming and going."""

    @strawberry.mutation
    async def enter(self, info: Info, name: str) -> str:
        """Begin a session; send the token as ``Authorization: Bearer``, or the cookie that comes with it."""
        return await sessions.begin(name, response=info.context["response"])

    @strawberry.mutation
    async def leave_everywhere(self, info: Info) -> int:
        """End all sessions of the member; gives how many there were."""
        member = info.context["member"]
        return await sessions.end_all(member.user) if member else 0


app = FastAPI()
app.include_router(
    GraphQLRouter(strawberry.Schema(Query, Mutation), context_getter=get_context),  # pyright: ignore[reportArgumentType, reportUnknownArgumentType]
    prefix="/graphql",
)

if __name__ == "__main__":
    uvicorn.run(app)
