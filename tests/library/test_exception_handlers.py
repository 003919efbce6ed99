"""What a schema makes of exceptions by itself: `exception_handlers`, and input that a pydantic model refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from pydantic import BaseModel, Field
from strawberry.fastapi import GraphQLRouter

from graph.library import Compiled, FastGraphQL

if TYPE_CHECKING:
    from fastapi import APIRouter

pytest.importorskip("strawberry.pydantic", reason="this Strawberry has none")
from strawberry import pydantic


@pydantic.input
class Age(BaseModel):
    """What may be sent."""

    years: Annotated[int, Field(gt=0)]


class Refused(Exception):
    """What a resolver may raise."""


@strawberry.type
class Denied:
    """What a client is told of it."""

    why: str


@strawberry.type
class Granted:
    """The other answer."""

    years: int


class Handler(strawberry.ExceptionHandler[Refused, Denied]):
    """Turns the one into the other, but for what it declines."""

    def handle(self, exception: Refused, *, field: Any, info: Any) -> Denied | None:
        return None if str(exception) == "bug" else Denied(why=str(exception))


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field
    async def grant(self, age: Age, why: str = "") -> Granted | Denied:
        """Raises what it is told."""
        if why:
            raise Refused(why)
        return Granted(years=age.years)

    @strawberry.field
    def checked(self, age: Age) -> Annotated[Granted | pydantic.ValidationError, strawberry.union("Checked")]:
        """Has an answer for input that is refused."""
        return Granted(years=age.years)


def schema(*extensions: Any) -> strawberry.Schema:
    """The schema, with both handlers."""
    return strawberry.Schema(
        Query, extensions=extensions, exception_handlers=[Handler(), pydantic.PydanticValidationErrorHandler()]
    )


async def ask(router: APIRouter, query: str) -> dict[str, Any]:
    """What the router answers."""
    app = FastAPI()
    app.include_router(router, prefix="/graphql")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as http:
        return (await http.post("/graphql", json={"query": query})).json()


@pytest.mark.parametrize(
    "query",
    [
        "{ grant(age: {years: 3}) { __typename ... on Granted { years } } }",
        '{ grant(age: {years: 3}, why: "late") { __typename ... on Denied { why } } }',
        "{ checked(age: {years: 3}) { __typename } }",
        "{ checked(age: {years: 0}) { ... on ValidationError { errors { location message } } } }",
    ],
)
async def test_what_handlers_make_of_exceptions_is_the_answer(query: str) -> None:
    """As under Strawberry's router, compiled there or not."""
    stock = await ask(GraphQLRouter(schema(), path=""), query)
    assert "errors" not in stock
    assert await ask(FastGraphQL(schema()), query) == stock
    assert await ask(GraphQLRouter(schema(Compiled), path=""), query) == stock


async def test_input_that_a_model_refuses_is_the_clients_mistake() -> None:
    """Its reasons are told; what a handler declines is a bug."""
    told = (await ask(FastGraphQL(schema()), "{ grant(age: {years: 0}) { __typename } }"))["errors"][0]
    assert told["extensions"]["code"] == "BAD_USER_INPUT"
    assert told["extensions"]["validationErrors"][0]["location"] == ["age", "years"]
    query = '{ grant(age: {years: 3}, why: "bug") { __typename } }'
    (bug,) = (await ask(FastGraphQL(schema()), query))["errors"]
    assert (bug["message"], bug["extensions"]["code"]) == ("Internal server error", "INTERNAL_SERVER_ERROR")
