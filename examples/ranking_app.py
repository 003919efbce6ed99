"""A ranking in somebody else's Strawberry app: who threw the darts best.

::

    python examples/ranking_app.py redis://localhost:6379

Ranks, scores and neighbours of one answer are taken at one instant; whoever reached a score first stands first.
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
from graph.patterns.ranking import Operator, Ranking


@strawberry.type
class Place:
    """Where a player stands."""

    rank: int
    player: str
    score: float


@strawberry.type
class Query:
    """Reading the board."""

    @strawberry.field
    async def top(self, info: Info, first: int = 10) -> list[Place]:
        """The best players."""
        page = await info.context["darts"].page(min(first, 100))
        return [Place(rank=entry.rank, player=entry.player, score=entry.score) for entry in page.entries]

    @strawberry.field
    async def rivals(self, info: Info, player: str) -> list[str] | None:
        """Who stands next to a player, on both sides; null for one who never threw."""
        found = await info.context["darts"].around(player, 1)
        return None if found is None else [entry.player for entry in (*found.above, *found.below)]


@strawberry.type
class Mutation:
    """Throwing."""

    @strawberry.mutation
    async def throw(self, info: Info, player: str, points: int) -> int | None:
        """Add points to a player's sum; gives the player's rank."""
        return (await info.context["darts"].submit(player, points)).rank


def create_app(redis_url: str) -> FastAPI:
    """A FastAPI app with the board at ``/graphql``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_client(redis_url) as client:
            context = {"darts": Ranking(client, "darts", operator=Operator.SUM, prefix="pub")}
            await context["darts"].create()
            schema = strawberry.Schema(Query, Mutation)
            app.include_router(GraphQLRouter(schema, context_getter=lambda: context), prefix="/graphql")
            yield

    return FastAPI(lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]))
