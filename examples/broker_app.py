"""Subscriptions in somebody else's Strawberry app: a chat in which a reader who was away misses nothing unnoticed.

::

    python examples/broker_app.py redis://localhost:6379

A reader that reconnects hands back the last `cursor` it saw and is given what came after it, in any process; what is
too old to be told again shows as a `gap`.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.types import Info

from graph.patterns.broker import Broker, Topic
from graph.patterns.client import open_client

ROOM = Topic("room:lobby", max_length=100)


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
        return ROOM.name


@strawberry.type
class Mutation:
    """Talking."""

    @strawberry.mutation
    async def say(self, info: Info, text: str) -> bool:
        """Tell everybody, in every process."""
        await info.context["broker"].publish(ROOM, text)
        return True


@strawberry.type
class Subscription:
    """Listening."""

    @strawberry.subscription
    async def lines(self, info: Info, after: str | None = None) -> AsyncGenerator[Line]:
        """What is said from now on, or after a cursor."""
        async with info.context["broker"].subscribe(ROOM, after) as events:
            async for event in events:
                yield Line(text=event.data, cursor=event.cursor, gap=event.gap)


def create_app(redis_url: str) -> FastAPI:
    """A FastAPI app with the chat at ``/graphql``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_client(redis_url) as client, Broker(client, prefix="chat") as broker:
            schema = strawberry.Schema(Query, Mutation, Subscription)
            app.include_router(GraphQLRouter(schema, context_getter=lambda: {"broker": broker}), prefix="/graphql")
            yield

    return FastAPI(lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]))
