"""Work: what fields, arguments and fields of inputs declare to cost, and how it is charged."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import strawberry

from graph.endpoint import GraphQLEndpoint
from graph.endpoint.admission import RateLimit
from graph.endpoint.declare import cost, declare_costs
from graph.endpoint.document import Bounds, Operations
from graph.endpoint.identity import Anonymous
from tests.support.apps.small import make_admission
from tests.support.clients.browser import browse

if TYPE_CHECKING:
    from graph.patterns.client import Client


@strawberry.input
class Inner:
    """Goes round in a circle."""

    words: str | None = strawberry.field(default=None, metadata=cost(100, per_word=30))
    again: Within | None = None


@strawberry.input
class Within:
    """Declares nothing itself."""

    inner: list[Inner] | None = None
    name: str | None = None


@strawberry.type
class Page:
    """A page."""

    @strawberry.field
    def ids(self) -> list[int]:
        return [1]

    @strawberry.field(metadata=cost(200))
    def total(self) -> int:
        return 1


@strawberry.type
class Query:
    """What can be read."""

    @strawberry.field(metadata=cost(10))
    def page(self, first: int = 5, within: Within | None = None, inner: Inner | None = None) -> Page:
        return Page()

    @strawberry.field
    def pages(self, first: int = 2) -> list[Page]:
        return [Page() for _ in range(first)]


SCHEMA = strawberry.Schema(Query)
SEARCH: dict[str, Any] = {"inner": [{"words": "a"}, {"words": "b", "again": {"inner": [{"words": "c"}]}}, {}]}
CASES: list[tuple[str, dict[str, Any], int]] = [
    ("{page{ids}}", {}, 10),
    ("{a:page{ids} b:page{ids}}", {}, 20),
    ("{page{total}}", {}, 210),
    ("{...Q ...Q} fragment Q on Query{page{total}}", {}, 420),
    ("{pages(first:3){total}}", {}, 600),
    ("query($n:Int!){pages(first:$n){total}}", {"n": 4}, 800),
    ('{page(inner:{words:"a"}){ids}}', {}, 110),
    ("{page(inner:{words:null}){ids}}", {}, 10),
    ('{page(inner:{words:"a  b-c"}){ids}}', {}, 170),
    ("query($i:Inner){page(inner:$i){ids}}", {"i": {"words": "a b"}}, 140),
    ("query($i:Inner){page(inner:$i){ids}}", {"i": {"words": ""}}, 110),
    ("query($w:String){page(inner:{words:$w}){ids}}", {"w": "a b c d"}, 200),
    ('{page(within:{name:"x",inner:[{words:"a"},{words:"b",again:{inner:{words:"c"}}},{}]}){ids}}', {}, 310),
    ("query($w:Within){page(within:$w){ids}}", {"w": SEARCH}, 310),
    ("query($w:Within){page(within:$w){ids}}", {"w": None}, 10),
    ("query($w:Within){page(within:$w){ids}}", {}, 10),
    ('query($w:Within={inner:[{words:"a"}]}){page(within:$w){ids}}', {}, 110),
    ("query($i:[Inner!]){a:page(within:{inner:$i}){ids} b:page(within:{inner:$i}){ids}}", {"i": [{"words": ""}]}, 220),
    ("query($t:String){page(inner:{words:$t}){ids}}", {"t": "a"}, 110),
    ("query($t:String){page(inner:{words:$t}){ids}}", {"t": None}, 10),
    ("query($w:Within){page(within:$w){ids}}", {"w": {"inner": {"words": {"words": [1]}}, "words": 1}}, 110),
    ("query($w:Within){page(within:$w){ids}}", {"w": [[["inner"]], 7]}, 10),
]


@pytest.mark.parametrize(("text", "variables", "work"), CASES)
def test_what_is_declared_counts_where_it_is_asked_for(text: str, variables: dict[str, Any], work: int) -> None:
    """Work adds up over fields, aliases, fragments, lists and inputs, literal or variable, however they are nested."""
    operations = Operations(SCHEMA._schema, Bounds(complexity=1 << 40))
    prepared = operations.prepare(text)
    assert not prepared.errors
    estimate = operations.check(prepared.select(None), variables)
    assert estimate.work == work
    assert estimate.cost >= work


def test_a_large_variable_is_weighed_once_however_often_it_is_used() -> None:
    """The same variable in many places is walked once: the steps grow with the request, not with their product."""

    class Counted(dict[str, Any]):
        looked = 0

        def items(self) -> Any:
            Counted.looked += 1
            return super().items()

    operations = Operations(SCHEMA._schema, Bounds(complexity=1 << 40, aliases=1000))
    fields = " ".join(f"a{n}:page(within:$w){{ids}}" for n in range(80))
    operation = operations.prepare(f"query($w:Within){{{fields}}}").select(None)
    estimate = operations.check(operation, {"w": Counted(inner=[{"words": "a"}])})
    assert (estimate.work, Counted.looked) == (80 * 110, 1)


def test_the_schema_shows_what_is_declared() -> None:
    """As the directive `@cost`, on fields of types and of inputs, and only where something is declared."""
    schema = strawberry.Schema(Query)
    declare_costs(schema._schema)
    declare_costs(schema._schema)
    text = schema.as_str()
    assert "total: Int! @cost(weight: 200)\n" in text
    assert "words: String = null @cost(weight: 100, perWord: 30)\n" in text
    assert len(re.findall(r"@cost\(weight: \d", text)) == 3


@pytest.mark.parametrize("mode", ["count", "cost"])
async def test_work_is_charged_in_units(client: Client, mode: str) -> None:
    """Fifteen searches in one operation weigh fifteen, and as many variables of a known document; one weighs one."""
    admission = make_admission(client, anonymous=40, mode=mode)
    endpoint = GraphQLEndpoint(
        strawberry.Schema(Query, extensions=[lambda: RateLimit(admission)]),
        authenticator=Anonymous(),
        admission=admission,
        context=lambda caller, _, response: caller,
    )
    one = "query($w:Within){page(within:$w){__typename}}"
    many = "{" + " ".join(f'a{n}:page(first:0,inner:{{words:"w{n}"}}){{__typename}}' for n in range(15)) + "}"
    left = 40
    async with browse(endpoint) as http:
        for text, variables, weight in (
            (one, {"w": {"name": "x"}}, 1),
            (one, {"w": SEARCH}, 4),
            (many, {}, 17),
            (one, {"w": {"inner": [{"words": "a"}] * 3}}, 4),
        ):
            answer = await http.ask(text, variables=variables)
            left -= weight
            assert answer.headers["x-ratelimit-remaining"] == str(left)
        refused = await http.ask(many)
        assert refused.status_code == 429
        assert refused.json()["errors"][0]["extensions"]["weight"] == 17
        never = await http.ask(one, variables={"w": {"inner": [{"words": "a"}] * 48}})
        assert "retry-after" not in never.headers
