"""What dependencies, resolvers and route classes set on FastAPI's responses is sent as Strawberry's router sends it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import product
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import strawberry
from fastapi import Depends, FastAPI, Response
from fastapi.routing import APIRoute
from strawberry.fastapi import GraphQLRouter
from strawberry.types import Info

from graph.endpoint import Scope, cached
from graph.library import FastGraphQL, Redis

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from fastapi import Request


MADE: list[str] = []
TOLD = {"x-one", "cache-control", "set-cookie"}


@strawberry.type
class Query:
    """Reads."""

    @strawberry.field
    def plain(self) -> str:
        """Sets nothing."""
        return "plain"

    @strawberry.field(metadata=cached(60, scope=Scope.PUBLIC))
    def often(self) -> str:
        """May be kept."""
        MADE.append("often")
        return "often"

    @strawberry.field
    def marked(self, info: Info) -> str:
        """Sets headers and a cookie."""
        response: Response = info.context["response"]
        response.headers["x-one"] = "resolver"
        response.headers["Cache-Control"] = "max-age=3"
        response.set_cookie("resolver", "1")
        return "marked"

    @strawberry.field
    def status(self, info: Info, to: int | None = None) -> int | None:
        """The status that was set so far; sets another."""
        response: Response = info.context["response"]
        before = response.status_code
        if to is not None:
            response.status_code = to
        return before


SCHEMA = strawberry.Schema(Query)


def marks(response: Response) -> None:
    """A dependency that sets headers and a cookie."""
    response.headers["x-one"] = "dependency"
    response.headers["Cache-Control"] = "max-age=9"
    response.headers["Vary"] = "X-Team"
    response.set_cookie("dependency", "1")


def accepts(response: Response) -> None:
    """One that sets the status."""
    response.status_code = 202


def empties(response: Response) -> None:
    """One that sets a status without a body."""
    response.status_code = 204


class Marking(APIRoute):
    """Routes whose answers have a header."""

    def get_route_handler(self) -> Callable[[Request], Any]:
        """A handler that sets it."""
        inner = super().get_route_handler()

        async def handle(request: Request) -> Response:
            response = await inner(request)
            response.headers["x-one"] = "route"
            return response

        return handle


async def ask(router: Any, query: str, method: str = "POST", **headers: str) -> httpx.Response:
    """What an app with `router` answers."""
    app = FastAPI()
    app.include_router(router, prefix="/graphql")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as http:
        return await http.request(method, "/graphql", json={"query": query}, headers=headers)


def told(answer: httpx.Response) -> Any:
    """What was set of it."""
    return (
        answer.status_code,
        sorted(one for one in answer.headers.multi_items() if one[0] in TOLD and one[1] != "no-store"),
        answer.content,
    )


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({"dependencies": [Depends(accepts)]}, "{ plain }"),
        ({"dependencies": [Depends(accepts)]}, "{ status }"),
        ({"dependencies": [Depends(accepts)]}, "{ status(to: 404) }"),
        ({"dependencies": [Depends(accepts)]}, "{ status(to: 200) }"),
        ({"dependencies": [Depends(marks)]}, "{ plain }"),
        ({"dependencies": [Depends(marks)]}, "{ marked }"),
        ({"dependencies": [Depends(marks)], "route_class": Marking}, "{ plain }"),
        ({"dependencies": [Depends(marks), Depends(accepts)], "route_class": Marking}, "{ marked }"),
    ],
)
async def test_what_was_set_last_counts(options: dict[str, Any], query: str) -> None:
    """On one response, as it were: each header once, the status of a dependency too, and every cookie."""
    stock = await ask(GraphQLRouter(SCHEMA, **options), query)
    assert told(await ask(FastGraphQL(SCHEMA, **options), query)) == told(stock)


async def test_headers_that_are_lists_go_together() -> None:
    """What the endpoint says of caches, and what a dependency says."""
    answer = await ask(FastGraphQL(SCHEMA, dependencies=[Depends(marks)]), "{ plain }")
    assert answer.headers.get_list("vary", split_commas=True) == ["X-Team", "Accept", "Origin", "Accept-Encoding"]


async def test_a_refusal_and_a_stream_are_kept_as_the_endpoint_says() -> None:
    """A dependency meant the answer; and clients read no stream with another status."""
    router = FastGraphQL(SCHEMA, dependencies=[Depends(marks), Depends(accepts)])
    refused = await ask(router, "{ plain }", "PUT")
    streamed = await ask(router, "{ plain }", accept="text/event-stream")
    assert (refused.status_code, streamed.status_code) == (405, 200)
    assert [one.headers.get_list("cache-control") for one in (refused, streamed)] == [
        ["no-store"],
        ["no-cache, no-transform"],
    ]
    assert refused.headers["x-one"] == streamed.headers["x-one"] == "dependency"


async def test_a_status_without_a_body_has_none() -> None:
    """Set by a dependency as by a resolver."""
    answer = await ask(FastGraphQL(SCHEMA, dependencies=[Depends(empties)]), "{ plain }")
    assert (answer.status_code, answer.content) == (204, b"")


async def test_a_kept_answer_has_what_its_own_dependencies_set(redis: Redis) -> None:
    """Nobody else's headers or status, and each time."""
    MADE.clear()
    seen: list[Any] = []

    def one_in_two(response: Response) -> None:
        if len(seen) % 2:
            marks(response)
            accepts(response)

    router = FastGraphQL(SCHEMA, keep=redis, dependencies=[Depends(one_in_two)])
    for _ in range(6):
        answer = await ask(router, "{ often }")
        seen.append((answer.status_code, answer.headers.get_list("x-one"), answer.headers.get_list("set-cookie")))
    mine = (202, ["dependency"], ["dependency=1; Path=/; SameSite=lax"])
    assert seen == [(200, [], []), mine] * 3
    assert MADE == ["often"] * 3  # it is kept once it was asked for before, and that of a status of its own never is


async def test_a_lifespan_of_its_own_is_entered() -> None:
    """What it yields is in the state, and it ends with the app."""
    seen: list[str] = []

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[dict[str, str]]:
        seen.append("start")
        yield {"from": "life"}
        seen.append("stop")

    app = FastAPI()
    app.include_router(FastGraphQL(SCHEMA, lifespan=life), prefix="/graphql")
    async with app.router.lifespan_context(app) as state:
        assert (state, seen) == ({"from": "life"}, ["start"])
    assert seen == ["start", "stop"]


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        (prefix, path)
        for prefix, path in product(["/graphql", "/of/{tenant}", ""], ["", "/", "/v1", "/v1/"])
        if prefix or path  # FastAPI refuses a route at nothing
    ],
)
async def test_every_path_is_served_with_and_without_a_slash(path: str, prefix: str) -> None:
    """HTTP at both, with one of them in the OpenAPI document, under any prefix or none."""
    app = FastAPI()
    app.include_router(FastGraphQL(SCHEMA, path=path), prefix=prefix)
    assert list(app.openapi()["paths"]) == [f"{prefix}{path}"]
    bare = f"{prefix.replace('{tenant}', 'ann')}{path}".removesuffix("/")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as http:
        found = [await http.post(one, json={"query": "{ plain }"}) for one in (bare, f"{bare}/")]
    assert [one.status_code for one in found] == [200, 200]
