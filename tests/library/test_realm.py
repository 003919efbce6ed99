"""Which routers give each other's kept answers."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from strawberry.scalars import JSON
from strawberry.types import Info

from graph.endpoint import Scope, cached
from graph.library import FastGraphQL, Redis
from graph.library.serving.realm import realm_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.valkey import ValkeyServer


ANY: Any = {"any": 1}


@strawberry.type
class Query:
    """Something that is kept for a user."""

    @strawberry.field(metadata=cached(3600, scope=Scope.VIEWER))
    def mine(self, info: Info[dict[str, Any]], like: JSON = ANY) -> str:
        """Whose it is, and of which tenant."""
        return f"{info.context['caller'].user} of {info.context['tenant']}"


def user_of(token: str, tenant: str = "") -> str | None:
    """Everybody has a name."""
    return token if tenant else None


def told(tenant: str) -> dict[str, str]:
    """A context."""
    return {"tenant": tenant}


class Tenant:
    """Signs in, and makes contexts, of one tenant."""

    def __init__(self, name: str) -> None:
        self.name = name

    def user_of(self, token: str) -> str | None:
        """Everybody has a name."""
        return user_of(token, self.name)

    def context(self) -> dict[str, str]:
        """Whose it is."""
        return told(self.name)

    def __call__(self, token: str) -> str | None:
        """The same as `user_of`."""
        return self.user_of(token)


def closures(tenant: str) -> tuple[Any, Any]:
    """Functions that keep the tenant."""

    def sign_in(token: str) -> str | None:
        return user_of(token, tenant)

    def context() -> dict[str, str]:
        return told(tenant)

    return sign_in, context


A: Callable[[str], str | None] = lambda token: user_of(token, "a")  # noqa: E731 - it has no name
B: Callable[[str], str | None] = lambda token: user_of(token, "b")  # noqa: E731 - the same
NAMELESS: dict[str, tuple[Any, Any]] = {"a": (A, lambda: {"tenant": "a"}), "b": (B, lambda: {"tenant": "b"})}


WAYS: dict[str, Callable[[str], tuple[Any, Any]]] = {
    "closures": closures,
    "lambdas": lambda tenant: NAMELESS[tenant],
    "partials": lambda tenant: (partial(user_of, tenant=tenant), closures(tenant)[1]),
    "methods": lambda tenant: (Tenant(tenant).user_of, Tenant(tenant).context),
    "objects": lambda tenant: (Tenant(tenant), Tenant(tenant).context),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_tenant_never_gets_what_was_kept_for_anothers_user(valkey: ValkeyServer, way: str) -> None:
    """Also where the functions that tell of the tenant have one name; a router of the same tenant does."""
    async with Redis(valkey.url, prefix=f"realms-{way}") as redis:

        async def ask(tenant: str) -> list[str]:
            sign_in, context = WAYS[way](tenant)
            app = FastAPI()
            app.include_router(
                FastGraphQL(strawberry.Schema(Query), keep=redis, sign_in=sign_in, context_getter=context),
                prefix="/graphql",
            )
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                headers = {"authorization": "Bearer ann"}
                for _ in range(2):
                    await http.post("/graphql", json={"query": "{ mine }"}, headers=headers)
                answer = await http.post("/graphql", json={"query": "{ mine }"}, headers=headers)
                return [answer.json()["data"]["mine"], answer.headers["etag"]]

        first = await ask("a")
        assert [(await ask(tenant))[0] for tenant in "ab"] == ["ann of a", "ann of b"]
        assert await ask("a") == first


def test_schemas_of_one_factory_are_told_apart_by_what_their_resolvers_keep() -> None:
    """They have the same types, and classes of the same name."""

    def made(answer: str) -> str:
        @strawberry.type
        class Made:
            @strawberry.field
            def word(self) -> str:
                return answer

        return realm_name(strawberry.Schema(Made))

    assert made("a") == made("a") != made("b")


def test_every_process_finds_the_same() -> None:
    """Whatever the seed of its hashes, and wherever in memory things lie: another process, and this one."""
    code = (
        "import strawberry\n"
        "from tests.library.test_realm import WAYS, Query\n"
        "from graph.endpoint.kept.approach import realm_of\n"
        "from graph.library.serving.realm import realm_name\n"
        "schema = strawberry.Schema(Query)\n"
        "sets = [lambda token: token in {'a', 'b', 'c', 'd'}, lambda word={'a', 'b', 'c', 'd'}: word]\n"
        "ways = [way(one) for way in WAYS.values() for one in 'ab']\n"
        "names = [realm_name(schema, *one) for one in [*ways, sets]]\n"
        "assert len({*names}) == len(names)\n"
        "found = [realm_of(schema, name).hex() for name in names]\n"
    )
    other = subprocess.run(
        [sys.executable, "-c", f"{code}print(found)"],
        env={**os.environ, "PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    here: dict[str, Any] = {"__name__": "__main__"}
    exec(code, here)
    assert f"{here['found']}\n" == other
