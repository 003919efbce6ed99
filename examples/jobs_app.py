"""Jobs: letters that are sent after the answer, by this process or by others.

::

    python examples/jobs_app.py

A letter is queued before the mutation answers, and is sent even if the process dies then; the same letter is not
queued twice while it waits.
"""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from graph.library import Redis

redis = Redis(os.environ.get("REDIS_URL"), prefix="post")
SENT: list[str] = []  # stands for a mail server


@redis.jobs.job(unique="{to}", timeout=30)
async def send(to: str) -> None:
    """Send a letter."""
    SENT.append(to)


@strawberry.type
class Query:
    """Looking."""

    @strawberry.field
    def sent(self) -> list[str]:
        """Who got a letter."""
        return SENT


@strawberry.type
class Mutation:
    """Writing."""

    @strawberry.mutation
    async def write(self, to: str) -> str:
        """Have a letter sent; gives the id of the job."""
        return await send.enqueue(to)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
    """Run jobs beside the app; a process of their own is ``asyncio.run(redis.jobs.work())``."""
    async with redis.jobs.working():
        yield


app = FastAPI(lifespan=lifespan)
app.include_router(GraphQLRouter(strawberry.Schema(Query, Mutation)), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app)
