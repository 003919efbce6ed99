"""The cache: recipes that are read far more often than they are renamed.

::

    python examples/cache_app.py

A recipe is read from its book once, then from Redis; a rename is seen by the very next read, in every process.
"""

import os

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from graph.library import Redis, cached

redis = Redis(os.environ.get("REDIS_URL"), prefix="recipes")
BOOK = {1: "Bread", 2: "Soup"}  # stands for a slow database


@cached(redis, ttl=60, tags="recipe:{number}")
async def read(number: int) -> str | None:
    """The name of a recipe, from the book."""
    print(f"reading recipe {number} from the book")
    return BOOK.get(number)


@strawberry.type
class Query:
    """Reading the book."""

    @strawberry.field
    async def recipe(self, number: int) -> str | None:
        """The name of a recipe."""
        return await read(number)


@strawberry.type
class Mutation:
    """Writing into it."""

    @strawberry.mutation
    async def rename(self, number: int, name: str) -> str:
        """Give a recipe another name."""
        async with redis.cache.writing(f"recipe:{number}"):
            BOOK[number] = name
        return name


app = FastAPI()
app.include_router(GraphQLRouter(strawberry.Schema(Query, Mutation)), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app)
