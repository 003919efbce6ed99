"""The body of a request under `FastGraphQL`: whoever asks for it gets it, and the operation is read from it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import strawberry
from fastapi import Depends, FastAPI, Request
from strawberry.types import Info

from graph.library import FastGraphQL
from harness.waiting import HANG
from tests.support.apps.serving import serving

BODY = {"query": "{ told read }"}


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field
    def told(self, info: Info) -> str | None:
        """What a dependency has read."""
        return info.context.get("told")

    @strawberry.field
    async def read(self, info: Info) -> str:
        """What the resolver reads."""
        return (await info.context["request"].json())["query"]


async def reads(request: Request) -> dict[str, Any]:
    """A context getter that looks at the operation."""
    return {"told": (await request.json())["query"]}


async def looks(request: Request) -> None:
    """A dependency that checks a signature over the body, say."""
    await request.body()


@pytest.mark.parametrize(
    ("options", "told"),
    [({}, None), ({"context_getter": reads}, BODY["query"]), ({"dependencies": [Depends(looks)]}, None)],
    ids=["resolver alone", "context getter", "dependency"],
)
async def test_the_body_can_be_read_before_and_by_resolvers(options: dict[str, Any], told: str | None) -> None:
    """Nothing waits for a second body; what is refused of one that was read is refused as ever."""
    app = FastAPI()
    app.include_router(FastGraphQL(strawberry.Schema(Query), **options), prefix="/graphql")
    async with serving(app) as port:
        http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=HANG)
        async with http:
            answer = await http.post("/graphql", json=BODY)
            assert answer.json() == {"data": {"told": told, "read": BODY["query"]}}
            large = await http.post(
                "/graphql",
                content=b'{"query": "' + b"x" * 200_000 + b'"}',
                headers={"content-type": "application/json"},
            )
            assert large.status_code == 413
