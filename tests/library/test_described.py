"""What the OpenAPI document of an app says of the router in it."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import pytest
import schemathesis
import strawberry
from fastapi import APIRouter, FastAPI, Header
from fastapi.routing import APIRoute
from strawberry.fastapi import GraphQLRouter

from graph.endpoint import Bounds
from graph.library import FastGraphQL

TOLD_ALIKE = ("tags", "operationId", "deprecated")


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field
    def one(self) -> int:
        """It is."""
        return 1


@strawberry.type
class Mutation:
    """Writes."""

    @strawberry.mutation
    def two(self) -> int:
        """It was."""
        return 2


SCHEMA = strawberry.Schema(Query, Mutation)


async def team(x_team: Annotated[str | None, Header()] = None) -> dict[str, Any]:
    """A context that needs a header."""
    return {"team": x_team}


def named(route: APIRoute) -> str:
    """An id of an operation, as an app may make them."""
    return f"x-{route.name}"


def app_of(router: APIRouter, **included: Any) -> FastAPI:
    """A plain app."""
    app = FastAPI()
    app.include_router(router, prefix="/graphql", **included)
    return app


@pytest.mark.parametrize(
    ("options", "included"),
    [
        ({}, {}),
        ({"tags": ["ours"], "deprecated": True}, {"tags": ["graphql"]}),
        ({"include_in_schema": False}, {}),
        ({}, {"include_in_schema": False}),
        ({"path": "/v1"}, {"generate_unique_id_function": named}),
    ],
)
def test_it_is_told_as_strawberrys_router_is(options: dict[str, Any], included: dict[str, Any]) -> None:
    """At one path, with the same methods, tags, names of operations and parameters of dependencies."""
    stock: Any = app_of(GraphQLRouter(SCHEMA, context_getter=team, **options), **included).openapi()["paths"]  # pyright: ignore[reportArgumentType]
    ours: Any = app_of(FastGraphQL(SCHEMA, context_getter=team, **options), **included).openapi()["paths"]
    assert {path: set(told) for path, told in ours.items()} == {path: set(told) for path, told in stock.items()}
    for path, methods in stock.items():
        for method, told in methods.items():
            mine = ours[path][method]
            assert [mine.get(name) for name in TOLD_ALIKE] == [told.get(name) for name in TOLD_ALIKE]
            assert [one for one in told["parameters"] if one not in mine["parameters"]] == []
            assert mine["responses"]["422"] == told["responses"]["422"]


@pytest.mark.parametrize(
    ("options", "summary", "asked"),
    [
        ({}, "Answer a GraphQL query", ["query", "operationName", "variables", "extensions"]),
        ({"bounds": Bounds(queries_by_get=False)}, "Show GraphiQL", None),
        ({"bounds": Bounds(queries_by_get=False), "graphiql": False}, None, None),
    ],
)
def test_what_get_does_is_told(options: dict[str, Any], summary: str | None, asked: list[str] | None) -> None:
    """Queries, the page for browsers, or neither."""
    methods = app_of(FastGraphQL(SCHEMA, **options)).openapi()["paths"]["/graphql"]
    get = methods.get("get", {})
    parameters = get.get("parameters")
    assert (get.get("summary"), parameters and [one["name"] for one in parameters]) == (summary, asked)


def test_of_what_no_document_shows_no_response_is_described() -> None:
    """The same path with a slash, and the methods that are refused: FastAPI would make validators of each of them."""
    routes = [route for route in FastGraphQL(SCHEMA).routes if isinstance(route, APIRoute)]
    assert [len(one.responses) > 5 for one in routes] == [one.include_in_schema for one in routes]
    assert {one.include_in_schema for one in routes} == {True, False}


async def about(query: str = "", x_team: Annotated[str | None, Header()] = None) -> dict[str, Any]:
    """A context that needs a parameter that the endpoint reads, too."""
    return {"query": query, "team": x_team}


def test_no_parameter_is_told_twice() -> None:
    """One that a dependency declares is told as that declares it."""
    app = app_of(FastGraphQL(SCHEMA, context_getter=about))
    told: Any = app.openapi()["paths"]["/graphql"]["get"]["parameters"]
    assert sorted(one["name"] for one in told) == ["extensions", "operationName", "query", "variables", "x-team"]
    assert next(one["schema"]["default"] for one in told if one["name"] == "query") == ""
    assert app_of(FastGraphQL(SCHEMA, context_getter=about)).openapi() == app.openapi()


async def test_what_is_told_is_so() -> None:
    """Its example is an operation, and each answer and refusal has a status and a body that are told."""
    app = app_of(FastGraphQL(SCHEMA, bounds=Bounds(body=1000)))
    document: Any = app.openapi()
    told: Any = schemathesis.openapi.from_dict(document)["/graphql"]
    example = document["paths"]["/graphql"]["post"]["requestBody"]["content"]["application/json"]["schema"]["example"]
    requests: list[tuple[int, str, dict[str, Any]]] = [
        (200, "post", {"json": example}),
        (200, "get", {"params": {"query": "{ one }"}}),
        (200, "post", {"json": {"query": "{ nothing }"}}),
        (400, "post", {"content": b"{", "headers": {"content-type": "application/json"}}),
        (403, "get", {"params": {"query": "{ one }"}, "headers": {"origin": "https://elsewhere.example"}}),
        (405, "get", {"params": {"query": "mutation { two }"}}),
        (406, "post", {"json": example, "headers": {"accept": "image/png"}}),
        (413, "post", {"json": {"query": "{ one }" + " " * 1000}}),
        (415, "post", {"content": b"{ one }", "headers": {"content-type": "text/plain"}}),
    ]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as http:
        for status, method, sent in requests:
            headers = {"accept": "application/json", **sent.pop("headers", {})}
            answer = await http.request(method, "/graphql", headers=headers, **sent)
            assert answer.status_code == status
            assert str(status) in document["paths"]["/graphql"][method]["responses"]
            told[method.upper()].validate_response(answer)


def test_what_an_app_says_itself_is_kept() -> None:
    """Responses that are named for the whole router, under the same status."""
    router = FastGraphQL(SCHEMA, responses={429: {"description": "Come back tomorrow"}})
    told = app_of(router).openapi()["paths"]["/graphql"]["post"]["responses"]["429"]
    assert told["description"] == "Come back tomorrow"
