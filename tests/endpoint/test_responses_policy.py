"""What may be kept of an operation, as read off its document, and the policies that a server refuses to start with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import strawberry
from graphql import OperationDefinitionNode, parse
from strawberry.permission import BasePermission

from graph.api.auth.access import ANYBODY, SIGNED_IN, requires
from graph.api.schema import build_schema
from graph.endpoint.declare import BadPolicy, Scope, cached, check, uncached
from graph.endpoint.declare.caching import problems
from graph.endpoint.document import Policy, derive

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import GraphQLSchema


def core(query: type, mutation: type | None = None, types: Sequence[type] = ()) -> GraphQLSchema:
    """The schema of graphql-core that Strawberry makes."""
    return strawberry.Schema(query, mutation, types=types)._schema


@strawberry.type
class Author:
    """Below a book."""

    name: str

    @strawberry.field(metadata=uncached())
    def online(self) -> bool:
        return True

    @strawberry.field(metadata=cached(10, scope=Scope.VIEWER))
    def followed(self) -> bool:
        return False


@strawberry.type
class Book:
    """May be kept as long as the field that led to it says, but for what it says itself."""

    title: str
    author: Author

    @strawberry.field(metadata=cached(60, tags=["prices"]))
    def price(self) -> int:
        return 1


@strawberry.interface
class Item:
    """Says nothing of its fields."""

    @strawberry.field
    def price(self) -> int:
        return 1

    @strawberry.field
    def stock(self) -> int:
        return 1

    @strawberry.field
    def liked(self) -> bool:
        return False

    @strawberry.field
    def name(self) -> str:
        return ""


@strawberry.type
class Game(Item):
    """Says what may be kept of them."""

    @strawberry.field(metadata=cached(60, tags=["prices"]))
    def price(self) -> int:
        return 1

    @strawberry.field(metadata=uncached())
    def stock(self) -> int:
        return 1

    @strawberry.field(metadata=cached(100, scope=Scope.VIEWER))
    def liked(self) -> bool:
        return False


@strawberry.type
class Query:
    """Two fields that may be kept and one that may not."""

    @strawberry.field(metadata=cached(300, tags=lambda given: [f"book:{given.get('number')}"]))
    def book(self, number: int = 0) -> Book:
        raise NotImplementedError

    @strawberry.field(metadata=cached(200))
    def item(self) -> Item:
        raise NotImplementedError

    @strawberry.field(metadata=cached(600))
    def count(self) -> int:
        return 1

    @strawberry.field
    def viewer(self) -> str | None:
        return None


@strawberry.type
class Mutation:
    """Never kept."""

    @strawberry.mutation
    def touch(self) -> int:
        return 1


SCHEMA = core(Query, Mutation, [Game])


def policy(text: str) -> Policy | None:
    """What follows for the first operation of `text`."""
    document = parse(text)
    (operation, *_) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    return derive(SCHEMA, document, operation)


@pytest.mark.parametrize(
    ("text", "max_age", "scope"),
    [
        ("{ count }", 600, Scope.PUBLIC),
        ("{ book { title author { name } } }", 300, Scope.PUBLIC),
        ("{ count book { title } }", 300, Scope.PUBLIC),
        ("{ book { price } }", 60, Scope.PUBLIC),
        ("{ book { author { followed } } count }", 10, Scope.VIEWER),
        ("{ __typename count }", 600, Scope.PUBLIC),
        ("{ ...A } fragment A on Query { book { ...B } } fragment B on Book { price }", 60, Scope.PUBLIC),
        ("{ ... { ... on Query { count } } }", 600, Scope.PUBLIC),
        ("{ item { name } }", 200, Scope.PUBLIC),
        ("{ item { price } }", 60, Scope.PUBLIC),
        ("{ item { ... on Game { liked } } }", 100, Scope.VIEWER),
        ("{ item { liked } }", 100, Scope.VIEWER),
    ],
)
def test_an_operation_keeps_the_shortest_age_and_the_closest_scope(text: str, max_age: float, scope: Scope) -> None:
    """All fields count, wherever a fragment has put them, and of an interface those of the types behind it."""
    found = policy(text)
    assert found is not None
    assert (found.max_age, found.scope) == (max_age, scope)


@pytest.mark.parametrize(
    "text",
    [
        "{ viewer }",
        "{ count viewer }",
        "{ book { author { online } } }",
        "{ item { stock } }",
        "{ ...A } fragment A on Query { count ...B } fragment B on Query { viewer }",
        "{ __typename }",
        "{ __schema { queryType { name } } count }",
        "mutation { touch }",
        "{ book { ... @defer { title } } }",
        "{ count @skip(if: true) viewer @include(if: false) }",
    ],
)
def test_one_field_that_may_not_be_kept_is_enough(text: str) -> None:
    """Nothing is kept of an operation with a field that says nothing at the root, or forbids it anywhere."""
    assert policy(text) is None


def test_tags_are_made_of_the_arguments() -> None:
    """Declared tags get the arguments as literals, variables, or not at all, each once."""
    found = policy(
        "query Q($n: Int, $other: Int) { a: book(number: $n) { price } b: book(number: 7) { price } c: book { title } }"
    )
    assert found is not None
    assert found.variables == {"n", "other"}
    assert found.tags({"n": 3}) == ["book:3", "prices", "book:7", "book:None"]


class Member(BasePermission):
    """Somebody."""

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return False


@strawberry.type
class Below:
    """Nothing that leads here may be kept."""

    @strawberry.field(metadata=cached(5))
    def unreached(self) -> int:
        return 1


@strawberry.type
class BadQuery:
    """Mistakes, and what looks like one."""

    plain: Below
    fine: int = strawberry.field(metadata=cached(1), default=1)
    endless: int = strawberry.field(metadata=cached(float("inf")), default=1)
    negative: int = strawberry.field(metadata=cached(-1), default=1)
    pointless: int = strawberry.field(metadata=cached(0, tags=["t"]), default=1)
    guarded: int = strawberry.field(metadata=cached(1), default=1, permission_classes=[Member])
    for_members: int = strawberry.field(metadata=cached(1), default=1, extensions=[requires(SIGNED_IN)])
    for_anybody: int = strawberry.field(metadata=cached(1), default=1, extensions=[requires(ANYBODY)])
    own: int = strawberry.field(metadata=cached(1, scope=Scope.VIEWER), default=1, extensions=[requires(SIGNED_IN)])


@strawberry.type
class BadMutation:
    """One more."""

    @strawberry.mutation(metadata=cached(1))
    def write(self) -> int:
        return 1


def test_policies_that_cannot_work_are_named() -> None:
    """Each mistake is found, with the field that makes it; nothing else is."""
    found = list(problems(core(BadQuery, BadMutation)))
    assert sorted(sentence.partition(":")[0] for sentence in found) == [
        "BadMutation.write",
        "BadQuery.endless",
        "BadQuery.forMembers",
        "BadQuery.guarded",
        "BadQuery.negative",
        "BadQuery.pointless",
        "Below.unreached",
    ]
    with pytest.raises(BadPolicy, match="guarded"):
        check(core(BadQuery, BadMutation))


def test_the_products_own_policies_work() -> None:
    """The schema that is served passes the check, and its catalog may be kept."""
    schema = build_schema()._schema
    check(schema)
    document = parse("{ products(first: 20) { nodes { id name category { name productCount } } } }")
    (operation,) = (one for one in document.definitions if isinstance(one, OperationDefinitionNode))
    found = derive(schema, document, operation)
    assert found is not None
    assert found.scope is Scope.PUBLIC


@strawberry.interface
class Titled:
    """Never returned itself: only types that inherit from it are."""

    @strawberry.field(metadata=cached(60))
    def title(self) -> str:
        return "title"


@strawberry.type
class Leaflet(Titled):
    """Inherits what may be kept."""


@strawberry.type
class LeafletQuery:
    """Gives the type alone."""

    @strawberry.field(metadata=cached(100))
    def leaflet(self) -> Leaflet:
        return Leaflet()


def test_what_only_a_type_inherits_has_an_effect() -> None:
    """The declaration of an interface that no field gives is no mistake where one gives its type."""
    check(core(LeafletQuery))
