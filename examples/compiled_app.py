"""The compiled executor under Strawberry's own view, without Redis.

::

    python examples/compiled_app.py
"""

import strawberry
import uvicorn
from fastapi import FastAPI
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.fastapi import GraphQLRouter

from graph.library import Compiled


@strawberry.type
class Star:
    """One of them."""

    number: int
    name: str


@strawberry.type
class Query:
    """Looking up."""

    @strawberry.field
    def stars(self, first: int = 20) -> list[Star]:
        """Some of them."""
        return [Star(number=number, name=f"HD {number}") for number in range(1, first + 1)]


app = FastAPI()
schema = strawberry.Schema(Query, extensions=[ParserCache, ValidationCache, Compiled])
app.include_router(GraphQLRouter(schema), prefix="/graphql")

if __name__ == "__main__":
    uvicorn.run(app)
