"""A ranking: who threw the darts best.

::

    python examples/ranking_app.py

Ranks, scores and neighbours of one answer are taken at one instant; whoever reached a score first stands first.
"""

import os

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from graph.library import Operator, Redis

redis = Redis(os.environ.get("REDIS_URL"), prefix="pub")
darts = redis.ranking("darts", operator=Operator.SUM)


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
    async def top(self, first: int = 10) -> list[Place]:
        """The best players."""
        page = await darts.page(min(first, 100))
        return [Place(rank=entry.rank, player=entry.player, score=entry.score) for entry in page.entries]

    @strawberry.field
    async def rivals(self, player: str) -> list[str] | None:
        """Who stands next to a player, on both sides; null for one who never threw."""
        found = await darts.around(player, 1)
        return None if found is None else [entry.player for entry in (*found.above, *found.below)]


@strawberry.type
class Mutation:
    """Throwing."""

    @strawberry.mutation
    async def throw(self, player: str, points: int) -> int | None:
        """Add points to a player's sum; gives the player's rank."""
        return (await darts.submit(player, points)).rank


app = FastAPI()
app.include_router(GraphQLRouter(strawberry.Schema(Query, Mutation)), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app)
