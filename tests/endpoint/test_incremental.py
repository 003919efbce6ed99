"""`@defer` and `@stream` for a client that takes no pieces: the whole answer at once, as the specification allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from graph.endpoint import GraphQLEndpoint
from tests.support.apps.small import Query, Scene, Tokens, make_admission
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from graph.patterns.client import Client

DEFERRED = """
query($n: Int!, $later: Boolean = true) {
  hello
  ... @defer(if: $later, label: "page") { items(first: $n) { nodes @stream(initialCount: 1) { ...Name @defer } } }
}
fragment Name on Item { id name }
"""
WHOLE = {"hello": "world", "items": {"nodes": [{"id": n, "name": f"item {n}"} for n in range(3)]}}


class Around(SchemaExtension):
    """Has operations executed by graphql-core."""

    def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
        return _next(root, info, *args, **kwargs)


def endpoint(client: Client, *extensions: type[SchemaExtension], **options: Any) -> GraphQLEndpoint[Scene]:
    """The endpoint over a schema with incremental delivery."""
    config = StrawberryConfig(enable_experimental_incremental_execution=True)
    return GraphQLEndpoint(
        strawberry.Schema(Query, extensions=extensions, config=config),
        authenticator=Tokens(),
        admission=make_admission(client),
        context=lambda caller, _, response: Scene(caller, response),
        **options,
    )


@pytest.mark.parametrize(
    "accept",
    [
        "application/json",
        "multipart/mixed;boundary=graphql;subscriptionSpec=1.0,application/json",
        "multipart/mixed;deferSpec=20991231,application/graphql-response+json,application/json;q=0.9",
    ],
    ids=["plain", "subscriptions", "another format"],
)
@pytest.mark.parametrize("compiled", [False, True], ids=["core", "compiled"])
async def test_what_is_deferred_or_streamed_comes_with_the_rest(client: Client, accept: str, *, compiled: bool) -> None:
    """A client that takes pieces of another kind gets none."""
    async with browse(endpoint(client, compiled=compiled)) as http:
        for _ in range(2):
            answer = await http.ask(DEFERRED, headers={"accept": accept}, variables={"n": 3})
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(("application/json", "application/graphql-response+json"))
            assert answer.json() == {"data": WHOLE}


async def test_so_it_does_behind_extensions(client: Client) -> None:
    """Whichever way it is executed."""
    async with browse(endpoint(client, Around)) as http:
        assert await http.data(DEFERRED, variables={"n": 3}) == WHOLE


async def test_what_it_says_wrong_is_refused(client: Client) -> None:
    """The directives are validated, and what they stand at is counted, like anything else."""
    async with browse(endpoint(client)) as http:
        for query in (
            "{... @defer(if: 1) {hello}}",
            '{... @defer(label: "a") {hello} ... @defer(label: "a") {echo}}',
            "{hello @stream}",
            "{... @defer {nothing}}",
        ):
            assert await http.code(query) == "GRAPHQL_VALIDATION_FAILED"
        assert await http.code("{... @defer {items(first: 101) {totalCount}}}") == "BAD_USER_INPUT"
