"""Each setting of Strawberry's schema and of its router is honoured or refused in a sentence, and is on the page."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import httpx
import pytest
import strawberry
from fastapi import APIRouter, FastAPI
from strawberry.fastapi import GraphQLRouter
from strawberry.schema.config import StrawberryConfig

from graph.endpoint import Bounds, GraphQLEndpoint
from graph.endpoint.document import Operations
from graph.library import FastGraphQL
from graph.library.limits import Unlimited
from harness.serving import ROOT

PAGE = (ROOT / "docs/library.md").read_text()
REFUSED: dict[str, Any] = {
    "graphql_ide": None,
    "allow_queries_via_get": False,
    "keep_alive": True,
    "keep_alive_interval": 1.0,
    "connection_init_wait_timeout": None,
    "max_subscriptions_per_connection": 1,
    "multipart_uploads_enabled": True,
    "allowed_origins": (),
}
"""Arguments of Strawberry's router that are called otherwise here, with a value of each."""


@strawberry.type
class Spoon:
    """A field without a resolver."""

    length: int


@strawberry.type
class Query:
    """One field, and one whose object has fields by name."""

    @strawberry.field
    def hello(self) -> str:
        """A greeting."""
        return "world"

    @strawberry.field
    def spoon(self) -> Spoon:
        """An object that is no object of the type."""
        return {"length": 7}  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


async def ask(config: StrawberryConfig, sent: Any, **options: Any) -> httpx.Response:
    """What a router with a schema of this configuration answers."""
    app = FastAPI()
    app.include_router(FastGraphQL(strawberry.Schema(Query, config=config), **options), prefix="/graphql")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as web:
        return await web.post("/graphql", json=sent)


def test_each_setting_of_the_schema_is_on_the_page() -> None:
    """The newest release's; a new one fails here until somebody has looked at it."""
    rows = "".join(re.findall(r"^\| `StrawberryConfig`: (.*)$", PAGE, re.MULTILINE))
    named = set(re.findall(r"`(\w+)`", rows))
    assert {field.name for field in dataclasses.fields(StrawberryConfig)} - named == set()


def test_each_argument_of_the_router_is_taken_or_refused() -> None:
    """Those of FastAPI's router go there; what has another name here says which."""
    theirs = set(inspect.signature(GraphQLRouter.__init__).parameters) - {"self", "kwargs"}
    ours = set(inspect.signature(FastGraphQL.__init__).parameters) | set(inspect.signature(APIRouter).parameters)
    assert theirs - ours - set(REFUSED) == set()
    schema = strawberry.Schema(Query)
    for name, value in REFUSED.items():
        with pytest.raises(TypeError, match=f"FastGraphQL has no argument `{name}`: "):
            FastGraphQL(schema, **{name: value})
        assert re.search(rf"^\| `GraphQLRouter`: .*`{name}`.*refused", PAGE, re.MULTILINE), name


@pytest.mark.parametrize(
    ("config", "debug", "told"),
    [
        (StrawberryConfig(), False, False),
        (StrawberryConfig(), True, True),
        (StrawberryConfig(disable_field_suggestions=True), True, False),
    ],
)
async def test_suggestions_can_be_disabled(config: StrawberryConfig, *, debug: bool, told: bool) -> None:
    """Even where they are shown for debugging, in documents and in variables."""
    found = await ask(config, {"query": "{ hallo }"}, debug=debug)
    assert ("Did you mean" in found.text) is told


async def test_batches_are_bounded_by_the_schema() -> None:
    """By its own number where that is lower."""
    few = StrawberryConfig(batching_config={"max_operations": 2})
    many = StrawberryConfig(batching_config={"max_operations": 1000})
    one = {"query": "{ hello }"}
    assert (await ask(few, [one, one])).json() == [{"data": {"hello": "world"}}] * 2
    refused = (await ask(few, [one] * 3)).json()
    assert refused["errors"][0]["extensions"] == {"code": "BATCH_TOO_LARGE", "limit": 2}
    assert len((await ask(many, [one] * 4, bounds=Bounds(batch=4))).json()) == 4
    assert (await ask(many, [one] * 5, bounds=Bounds(batch=4))).json()["errors"][0]["extensions"]["limit"] == 4
    schema = strawberry.Schema(Query, config=few)
    operations = Operations(schema._schema, Bounds(batch=3))

    def context(*_: object) -> None:
        """Nothing."""

    with pytest.raises(TypeError, match=r"lower `Bounds\.batch`"):
        GraphQLEndpoint(schema, admission=Unlimited(), context=context, operations=operations)


async def test_a_default_resolver_is_asked() -> None:
    """In place of `getattr`, by compiled code as well."""
    by_key = StrawberryConfig(default_resolver=lambda source, name: source[name])
    assert (await ask(by_key, {"query": "{ spoon { length } }"})).json() == {"data": {"spoon": {"length": 7}}}
