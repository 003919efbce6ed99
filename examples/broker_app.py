"""Topics: a chat in which a reader who was away misses nothing unnoticed.

::

    python examples/broker_app.py

A reader that reconnects hands back the last `cursor` it saw and is given what came after it, in any process; what is
too old to be told again shows as a `gap`.
"""

import os
from collections.abc import AsyncGenerator

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from graph.library import Redis

redis = Redis(os.environ.get("REDIS_URL"), prefix="chat")
room = redis.topic("room:lobby", max_length=100)


@strawberry.type
class Line:
    """What somebody said; `text` is null where only a gap is told."""

    text: str | None
    cursor: str
    gap: bool


@strawberry.type
class Query:
    """GraphQL asks for one."""

    @strawberry.field
    def room(self) -> str:
        """Where the chat is."""
        return "lobby"


@strawberry.type
class Mutation:
    """Talking."""

    @strawberry.mutation
    async def say(self, text: str) -> bool:
        """Tell everybody, in every process."""
        await room.publish(text)
        return True


@strawberry.type
class Subscription:
    """Listening."""

    @strawberry.subscription
    async def lines(self, after: str | None = None) -> AsyncGenerator[Line]:
        """What is said from now on, or after a cursor."""
        async for event in room.follow(after=after):
            yield Line(text=event.data, cursor=event.cursor, gap=event.gap)


app = FastAPI()
app.include_router(GraphQLRouter(strawberry.Schema(Query, Mutation, Subscription)), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app)
