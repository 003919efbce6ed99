"""A lock in somebody else's Strawberry app: one oven, however many processes want to bake.

::

    python examples/lock_app.py redis://localhost:6379

Whoever finds the oven in use waits for it a second at most. Each turn has a higher fence than all before it, so the
cook book can refuse the note of a baker who fell asleep and lost the oven.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.types import Info

from graph.patterns.client import open_client
from graph.patterns.lock import Locks, LockTimeout

NOTES: dict[int, str] = {}  # stands for a table whose newest row has the highest fence


@strawberry.type
class Query:
    """Reading the cook book."""

    @strawberry.field
    def baked(self) -> list[str]:
        """What was baked, in order."""
        return list(NOTES.values())


@strawberry.type
class Mutation:
    """Baking."""

    @strawberry.mutation
    async def bake(self, info: Info, bread: str) -> bool:
        """Bake alone; false when the oven was in use for too long."""
        try:
            async with info.context["locks"].hold("oven", ttl=10, wait=1) as held:
                await asyncio.sleep(0.1)  # it bakes
                if held.fence >= max(NOTES, default=0):
                    NOTES[held.fence] = bread
        except LockTimeout:
            return False
        return True


def create_app(redis_url: str) -> FastAPI:
    """A FastAPI app with the oven at ``/graphql``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_client(redis_url) as client, Locks(client, prefix="bakery") as locks:
            schema = strawberry.Schema(Query, Mutation)
            app.include_router(GraphQLRouter(schema, context_getter=lambda: {"locks": locks}), prefix="/graphql")
            yield

    return FastAPI(lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]))
