"""The caller's budget through the product's own schema."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from graph.api.context import Context
from graph.endpoint import GraphQLEndpoint
from graph.endpoint.admission import RateLimit
from graph.endpoint.identity import Anonymous
from tests.support.apps.one_schema import one_schema
from tests.support.apps.small import make_admission
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from graph.patterns.client import Client

ALL = "{ rateLimit { limit remaining cost resetAt windowSeconds } }"


def endpoint(client: Client, **limits: Any) -> GraphQLEndpoint[Context]:
    """The product's schema with no service behind it: the budget needs none."""
    admission = make_admission(client, **limits)
    services: Any = SimpleNamespace()
    return GraphQLEndpoint(
        one_schema(extensions=[lambda: RateLimit(admission)]),
        authenticator=Anonymous(),
        admission=admission,
        context=lambda caller, connection, response: Context(services, caller, connection, response),
    )


async def test_reading_the_budget_is_free_and_true(client: Client) -> None:
    """The budget told is the limiter's, before and after something was spent, and reading it spends nothing."""
    async with browse(endpoint(client, anonymous=22)) as http:
        for text in (ALL, "{ __typename rateLimit { remaining cost } }"):
            assert (await http.data(text))["rateLimit"]["cost"] == 1  # a new document
        for _ in range(3):
            budget = (await http.data(ALL))["rateLimit"]
            assert (budget["limit"], budget["remaining"], budget["cost"], budget["windowSeconds"]) == (22, 20, 0, 60)
        mixed = await http.data("{ __typename rateLimit { remaining cost } }")
        assert mixed["rateLimit"] == {"remaining": 20, "cost": 0}
        spent = await http.data("{ rateLimit { remaining cost } __schema { description } }")
        assert spent["rateLimit"] == {"remaining": 19, "cost": 1}
        reset = datetime.fromisoformat((await http.data(ALL))["rateLimit"]["resetAt"])
        assert timedelta(seconds=50) < reset - datetime.now(UTC) <= timedelta(seconds=61)


SEARCHES = " ".join(f'a{n}:products(first:1,filter:{{search:"s{n}"}}){{nodes{{id}}}}' for n in range(15))
COUNTS = " ".join(f"a{n}:products(first:{n + 1}){{totalCount}}" for n in range(15))
BY_VARIABLE = "query($f:ProductFilter){products(filter:$f){nodes{id} totalCount}}"
LOGINS = " ".join(f'a{n}:login(input:{{email:"a@b.example",password:"{n}"}}){{__typename}}' for n in range(15))
WEIGHTS: list[tuple[str, dict[str, Any], int]] = [
    ("{products{nodes{id name}}}", {}, 1),
    ('{products(filter:{category:"books"}){nodes{id}}}', {}, 1),
    ("{products{totalCount}}", {}, 1),
    ('{products(filter:{search:"a"}){nodes{id}}}', {}, 1),
    (BY_VARIABLE, {"f": {"category": "a"}}, 1),
    (BY_VARIABLE, {"f": {"search": "a"}}, 2),
    (BY_VARIABLE, {"f": {"search": "a", "inStock": True}}, 3),
    (f"{{{SEARCHES}}}", {}, 15),
    (f"{{{COUNTS}}}", {}, 15),
    (f"mutation{{{LOGINS}}}", {}, 15),
]


@pytest.mark.parametrize(("text", "variables", "units"), WEIGHTS)
async def test_searches_and_counts_weigh_what_they_cost(
    client: Client, text: str, variables: dict[str, Any], units: int
) -> None:
    """A page is one unit, however it is filtered; each search, count or hash beyond that is another."""
    async with browse(endpoint(client, anonymous=units)) as http:
        for left in (0, None):
            answer = await http.ask(text, variables=variables)
            assert answer.headers["x-ratelimit-remaining"] == "0"
            assert (answer.status_code == 429) == (left is None)
    async with browse(endpoint(client, anonymous=20)) as http:
        await client.execute("FLUSHALL", retry=False)
        assert (await http.ask(text, variables=variables)).headers["x-ratelimit-remaining"] == str(20 - units)
