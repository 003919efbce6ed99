"""A lock: one oven, however many processes want to bake.

::

    python examples/lock_app.py

Whoever finds the oven in use waits for it a second at most. Each turn has a higher fence than all before it, so the
cook book can refuse the note of a baker who fell asleep and lost the oven.
"""

import asyncio
import os

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from graph.library import LockTimeout, Redis

redis = Redis(os.environ.get("REDIS_URL"), prefix="bakery")
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
    async def bake(self, bread: str) -> bool:
        """Bake alone; false when the oven was in use for too long."""
        try:
            async with redis.lock("oven", ttl=10, wait=1) as held:
                await asyncio.sleep(0.1)  # it bakes
                if held.fence >= max(NOTES, default=0):
                    NOTES[held.fence] = bread
        except LockTimeout:
            return False
        return True


app = FastAPI()
app.include_router(GraphQLRouter(strawberry.Schema(Query, Mutation)), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app)
