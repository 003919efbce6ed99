"""The cache in somebody else's Strawberry app: recipes that are read far more often than they are renamed.

::

    python examples/cache_app.py redis://localhost:6379

A recipe is read from its book once, then from Redis; a rename is seen by the very next read, in every process.
"""

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.types import Info

from graph.patterns.cache import Cache
from graph.patterns.client import open_client

BOOK = {1: "Bread", 2: "Soup"}  # stands for a slow database


@strawberry.type
class Query:
    """Reading the book."""

    @strawberry.field
    async def recipe(self, info: Info, number: int) -> str | None:
        """The name of a recipe."""

        async def load() -> str | None:
            print(f"reading recipe {number} from the book")
            return BOOK.get(number)

        return await info.context["cache"].get(f"recipe:{number}", load, tags=[f"recipe:{number}"], ttl=60)


@strawberry.type
class Mutation:
    """Writing into it."""

    @strawberry.mutation
    async def rename(self, info: Info, number: int, name: str) -> str:
        """Give a recipe another name."""
        async with info.context["cache"].invalidating(f"recipe:{number}"):
            BOOK[number] = name
        return name


def create_app(redis_url: str) -> FastAPI:
    """A FastAPI app with the recipes at ``/graphql``."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        async with open_client(redis_url) as client:
            context = {"cache": Cache(client, prefix="recipes")}
            app.include_router(
                GraphQLRouter(strawberry.Schema(Query, Mutation), context_getter=lambda: context), prefix="/graphql"
            )
            yield
            await context["cache"].close()

    return FastAPI(lifespan=lifespan)


if __name__ == "__main__":
    uvicorn.run(create_app(sys.argv[1]))
