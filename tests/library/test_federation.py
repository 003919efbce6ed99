"""A subgraph of a federation behind `FastGraphQL`: entities are found, and what finds none is the caller's mistake."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from strawberry import federation

from graph.library import FastGraphQL

if TYPE_CHECKING:
    from typing import Self


@federation.type(keys=["id"])
class Book:
    """An entity that looks itself up."""

    id: strawberry.ID
    title: str = ""

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> Self:  # noqa: A002 - the key of the entity
        """The book, unless the shelf has fallen over."""
        if id == "bug":
            {}["shelf"]
        return cls(id=id, title=f"Book {id}")


@federation.type(keys=["number"])
class Page:
    """An entity that is made of its key."""

    number: int


@federation.type
class Query:
    """Entities alone."""

    book: Book | None = None


async def ask(representation: Any) -> dict[str, Any]:
    """What `_entities` answers for a representation."""
    app = FastAPI()
    app.include_router(FastGraphQL(federation.Schema(Query, types=[Book, Page])), prefix="/graphql")
    query = "query($of: [_Any!]!) {_entities(representations: $of) {... on Book {title} ... on Page {number}}}"
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web:
        return (await web.post("/graphql", json={"query": query, "variables": {"of": [representation]}})).json()


async def test_an_entity_is_found() -> None:
    """By its own method, or made of its key."""
    assert (await ask({"__typename": "Book", "id": "7"}))["data"] == {"_entities": [{"title": "Book 7"}]}
    assert (await ask({"__typename": "Page", "number": 7}))["data"] == {"_entities": [{"number": 7}]}


@pytest.mark.parametrize(
    "representation",
    [
        {"__typename": "Nothing", "id": "7"},
        {"__typename": "Int"},
        {"__typename": ["Book"]},
        {"id": "7"},
        "Book",
        {"__typename": "Book"},
        {"__typename": "Book", "id": "7", "more": 1},
        {"__typename": "Page"},
    ],
)
async def test_what_is_no_entity_is_told_and_is_no_bug(representation: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It has the code of a client's mistake and leaves no line in the log, which clients could fill."""
    (error,) = (await ask(representation))["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert error["message"] != "Internal server error"
    assert caplog.records == []


async def test_a_bug_in_an_entity_stays_one(caplog: pytest.LogCaptureFixture) -> None:
    """It is masked, and logged, though it is of a kind that Strawberry raises as well."""
    (error,) = (await ask({"__typename": "Book", "id": "bug"}))["errors"]
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert len(caplog.records) == 1
