"""Limits of operations that are answered by a stream: charged and told as those of any other answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator  # noqa: TC003 - Strawberry reads annotations at run time
from typing import Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from graph.library import FastGraphQL, RateLimit, Redis

EVENTS = "text/event-stream"
PARTS = "multipart/mixed;subscriptionSpec=1.0"
PIECES = "multipart/mixed;deferSpec=20220824"
BOTH = "text/event-stream, application/json"


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    def hello(self) -> str:
        return "world"


@strawberry.type
class Subscription:
    """What can be followed."""

    @strawberry.subscription
    async def count(self) -> AsyncGenerator[int]:
        yield 1


async def asked(router: FastGraphQL, query: str, accept: str, times: int) -> list[httpx.Response]:
    """The answers to a query that is asked several times."""
    app = FastAPI()
    app.include_router(router, prefix="/graphql")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as http:
        return [await http.post("/graphql", json={"query": query}, headers={"accept": accept}) for _ in range(times)]


def schema(*extensions: Any) -> strawberry.Schema:
    """With answers in pieces."""
    config = StrawberryConfig(enable_experimental_incremental_execution=True)
    return strawberry.Schema(Query, None, Subscription, extensions=extensions, config=config)


CASES = [
    ("{ hello }", "application/json"),
    ("{ hello }", EVENTS),
    ("{ hello }", PARTS),
    ("{ hello }", PIECES),
    ("{ hello ... @defer { late: hello } }", PIECES),
    ("{ hello ... @defer { late: hello } }", EVENTS),
    ("{ hello ... @defer(if: false) { late: hello } }", PIECES),
    ("subscription { count }", EVENTS),
    ("subscription { count }", PARTS),
    ("subscription { count }", BOTH),
]


@pytest.mark.parametrize(("query", "accept"), CASES)
async def test_a_refusal_says_when_it_passes(redis: Redis, query: str, accept: str) -> None:
    """Once: what the extension sets on a response is not told beside it."""
    allowed, refused = await asked(FastGraphQL(schema(RateLimit(redis, "1/minute"))), query, accept, 2)
    assert (allowed.status_code, refused.status_code) == (200, 429)
    for name in ("retry-after", "ratelimit", "ratelimit-policy", "x-ratelimit-limit", "x-ratelimit-reset"):
        assert len(refused.headers.get_list(name)) == 1
    assert refused.headers["x-ratelimit-remaining"] == "0"
    assert int(refused.headers["retry-after"]) > 0


@pytest.mark.parametrize(("query", "accept"), CASES)
async def test_a_document_that_is_new_is_charged_once(redis: Redis, query: str, accept: str) -> None:
    """Whatever its answer is sent by, as when it is known."""
    answers = await asked(FastGraphQL(schema(), keep=redis, rates=("9/minute", "9/minute")), query, accept, 2)
    assert [one.headers["x-ratelimit-remaining"] for one in answers] == ["8", "7"]


class Marking(SchemaExtension):
    """Sets a header on every response, and refuses."""

    def on_validate(self) -> None:  # pyright: ignore[reportIncompatibleMethodOverride] - a hook that runs before
        self.execution_context.context["response"].headers["x-marked"] = "yes"
        raise ValueError("a bug")


@pytest.mark.parametrize(("query", "accept"), CASES[:4])
async def test_what_a_hook_sets_is_sent_with_a_refusal(query: str, accept: str) -> None:
    """As with any other answer."""
    (answer,) = await asked(FastGraphQL(schema(Marking)), query, accept, 1)
    assert answer.headers.get_list("x-marked") == ["yes"]
