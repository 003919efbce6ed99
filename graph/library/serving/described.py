"""What an app's OpenAPI document, and so its page ``/docs``, says of a router: how to ask, and what is answered.

The schema itself is told by introspection. Operations have the names that Strawberry's router gives them, so that what
was generated from the document of an app with that one still fits.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

_GRAPHQL = "application/graphql-response+json"


class ErrorPlace(BaseModel):
    """Where in the document."""

    line: int
    column: int


class ToldError(BaseModel):
    """One of the errors of an answer."""

    message: str
    path: list[str | int] = Field(default=[])
    locations: list[ErrorPlace] = Field(default=[])
    extensions: dict[str, Any] = Field(default={}, description="`code` says what it is.")


class GraphQLAnswer(BaseModel):
    """Data, or data with errors."""

    data: dict[str, Any] | None = None
    errors: list[ToldError] = Field(default=[])
    extensions: dict[str, Any] = Field(default={})


class GraphQLRefusal(BaseModel):
    """A request that was not executed."""

    errors: list[ToldError]


_OPERATION = {
    "type": "object",
    "properties": {
        "query": {"type": "string"},
        "operationName": {"type": ["string", "null"]},
        "variables": {"type": ["object", "null"]},
        "extensions": {"type": ["object", "null"]},
    },
    "example": {"query": "{ __typename }"},
}
_QUERY = {
    "query": "The document.",
    "operationName": "Which of its operations, if there are several.",
    "variables": "A JSON object.",
    "extensions": "A JSON object.",
}
_REFUSALS = {
    400: "No operation, or one that is not valid",
    403: "A page of another site may have had a browser send it",
    405: "Another method is needed, as POST is for a mutation",
    406: "There is no answer of a type that the client accepts",
    408: "The body did not come in time",
    413: "More than is taken",
    415: "The body is of a type that is not read",
    429: "Over the rate limit: Retry-After says when it passes",
    503: "What it needs is away, or it took too long",
}


class _Parameters(list[dict[str, Any]]):
    """Parameters that FastAPI adds to those of dependencies, of which none may be there twice."""

    def __radd__(self, declared: list[dict[str, Any]]) -> list[dict[str, Any]]:
        names = {(one["in"], one["name"]) for one in declared}
        return [*declared, *(one for one in self if (one["in"], one["name"]) not in names)]


def by_post() -> dict[str, Any]:
    """Arguments of the route for POST."""
    return {
        "name": "handle_http_post",
        "summary": "Answer a GraphQL operation",
        "responses": {200: {"model": GraphQLAnswer, "content": {_GRAPHQL: {}}}, **_refusals()},
        "openapi_extra": {"requestBody": {"required": True, "content": {"application/json": {"schema": _OPERATION}}}},
    }


def by_get(*, queries: bool, page: bool) -> dict[str, Any]:
    """Arguments of the route for GET, which answers `queries`, shows browsers a `page`, does both or neither."""
    told = {
        "name": "handle_http_get",
        "summary": "Answer a GraphQL query" if queries else "Show GraphiQL",
        "include_in_schema": queries or page,
    }
    shown = {"text/html": {"schema": {"type": "string"}}} if page else {}
    if not queries:
        return {**told, "responses": {200: {"description": "GraphiQL, for a browser", "content": shown}, **_refusals()}}
    parameters = _Parameters(
        {"name": name, "in": "query", "required": False, "description": what, "schema": {"type": "string"}}
        for name, what in _QUERY.items()
    )
    return {
        **told,
        "responses": {200: {"model": GraphQLAnswer, "content": {_GRAPHQL: {}, **shown}}, **_refusals()},
        "openapi_extra": {"parameters": parameters},
    }


def _refusals() -> dict[int | str, dict[str, Any]]:
    return {status: {"model": GraphQLRefusal, "description": why} for status, why in _REFUSALS.items()}
