"""Who may do what is declared at every field where it matters, and what is declared is kept."""

from __future__ import annotations

from collections.abc import AsyncGenerator  # noqa: TC003 - Strawberry reads annotations at run time
from typing import TYPE_CHECKING, Any, cast

import pytest
import strawberry
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLSchema, GraphQLUnionType, get_named_type

from graph.api.auth.access import (
    ADMIN,
    ANYBODY,
    CATALOG,
    SERVICE,
    SIGNED_IN,
    VALID,
    Requirement,
    declared,
    requires,
)
from graph.api.errors import InvalidAsResult
from graph.api.schema import build_schema, parts_of
from graph.endpoint.identity import Caller
from graph.errors import Forbidden, Unauthenticated
from graph.product import APP

if TYPE_CHECKING:
    from graphql import GraphQLField, GraphQLNamedType


PRIVATE_TYPES = frozenset[str]().union(*(part.private for part in parts_of(APP)))


def requirement_of(field: GraphQLField) -> Requirement | None:
    """What a field of a built schema declares."""
    return declared(field.extensions["strawberry-definition"])


def leads_to(schema: GraphQLSchema, kind: GraphQLNamedType) -> set[str]:
    """The private types that a field of this type may give; the Node interface is guarded by its loaders."""
    if isinstance(kind, GraphQLUnionType):
        return set[str]().union(*(leads_to(schema, member) for member in kind.types))
    if isinstance(kind, GraphQLInterfaceType):
        return set()
    return {kind.name} & PRIVATE_TYPES


def undeclared(schema: GraphQLSchema) -> list[str]:
    """The fields that ought to declare a requirement and do not."""
    found: list[str] = []
    handed_out = PRIVATE_TYPES | {
        "AuthPayload",
        "UserAccountChanged",
    }  # fields of what one was given belong to whom it was given
    for kind in schema.type_map.values():
        if not isinstance(kind, GraphQLObjectType) or kind.name in handed_out or kind.name.startswith("__"):
            continue
        acts = kind in (schema.mutation_type, schema.subscription_type)
        for name, field in kind.fields.items():
            named = cast("GraphQLNamedType", get_named_type(field.type))
            private = leads_to(schema, named)
            if (acts or private) and requirement_of(field) is None:
                found.append(f"{kind.name}.{name}")
    return found


def test_every_field_that_matters_declares_who_may_use_it() -> None:
    """Every mutation, every subscription and every way to a private type of the whole schema declares a requirement."""
    assert undeclared(build_schema()._schema) == []  # pyright: ignore[reportPrivateUsage] - Strawberry has no other way


def test_every_mutation_that_refuses_invalid_input_does_so_in_one_way() -> None:
    """A mutation has `InvalidInput` among its results if and only if `Invalid` becomes that result."""
    schema = build_schema()._schema  # pyright: ignore[reportPrivateUsage] - as above
    assert schema.mutation_type is not None
    for name, field in schema.mutation_type.fields.items():
        result = cast("GraphQLNamedType", get_named_type(field.type))
        refuses = isinstance(result, GraphQLUnionType) and "InvalidInput" in {kind.name for kind in result.types}
        extensions = field.extensions["strawberry-definition"].extensions
        assert any(isinstance(one, InvalidAsResult) for one in extensions) == refuses, name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("register", ANYBODY),
        ("login", ANYBODY),
        ("logout", ANYBODY),
        ("revokeSession", SIGNED_IN),
        ("logoutEverywhere", SIGNED_IN),
        ("changePassword", SIGNED_IN),
        ("createProduct", CATALOG),
        ("updateProduct", CATALOG),
        ("deleteProduct", CATALOG),
    ],
)
def test_what_is_declared(name: str, expected: Requirement) -> None:
    """The mutations ask for what the contract says they need."""
    mutations = build_schema()._schema.mutation_type  # pyright: ignore[reportPrivateUsage]
    assert mutations is not None
    assert requirement_of(mutations.fields[name]) == expected


@strawberry.type
class User:
    """Private by its name."""

    name: str


@strawberry.type
class Careless:
    """Declares one of two."""

    @strawberry.field
    def everybody(self) -> list[User]:
        return []

    @strawberry.field(extensions=[requires(ADMIN)])
    def guarded(self) -> User | None:
        return None

    harmless: int = 1


@strawberry.type
class CarelessMutation:
    """Declares nothing."""

    @strawberry.mutation
    def forgotten(self) -> bool:
        return True


@strawberry.type
class CarelessSubscription:
    """Declares nothing."""

    @strawberry.subscription
    async def overheard(self) -> AsyncGenerator[int]:
        yield 1


def test_a_forgotten_declaration_is_found() -> None:
    """The walk sees a mutation, a subscription and a private field that declare nothing."""
    schema = strawberry.Schema(Careless, CarelessMutation, CarelessSubscription)
    assert undeclared(schema._schema) == [  # pyright: ignore[reportPrivateUsage]
        "Careless.everybody",
        "CarelessMutation.forgotten",
        "CarelessSubscription.overheard",
    ]


NOBODY = Caller("192.0.2.1")
BAD = Caller("192.0.2.1", token="x", problem="The session has ended.")
PLAYER = Caller("192.0.2.1", user="1", role="PLAYER")
PROGRAM = Caller("192.0.2.1", user="2", role="SERVICE")
ROOT = Caller("192.0.2.1", user="3", role="ADMIN")


@pytest.mark.parametrize(
    ("requirement", "outcomes"),
    [
        (ANYBODY, [None, None, None, None, None]),
        (VALID, [None, Unauthenticated, None, None, None]),
        (SIGNED_IN, [Unauthenticated, Unauthenticated, None, None, None]),
        (SERVICE, [Unauthenticated, Unauthenticated, Forbidden, None, None]),
        (ADMIN, [Unauthenticated, Unauthenticated, Forbidden, Forbidden, None]),
    ],
)
def test_who_meets_what(requirement: Requirement, outcomes: list[type[Exception] | None]) -> None:
    """Each requirement lets in exactly whom it names."""
    for caller, expected in zip((NOBODY, BAD, PLAYER, PROGRAM, ROOT), outcomes, strict=True):
        if expected is None:
            requirement.check(caller)
        else:
            with pytest.raises(expected, match=BAD.problem if caller is BAD else None):
                requirement.check(caller)


class Context:
    """What a field needs of the context."""

    def __init__(self, caller: Caller) -> None:
        self.caller = caller


@strawberry.type
class Guarded:
    """A field of each kind."""

    @strawberry.field(extensions=[requires(SIGNED_IN)])
    def now(self) -> int:
        return 1

    @strawberry.field(extensions=[requires(SIGNED_IN)])
    async def later(self) -> int:
        return 1


@strawberry.type
class Events:
    """A guarded subscription."""

    @strawberry.subscription(extensions=[requires(SIGNED_IN)])
    async def events(self) -> AsyncGenerator[int]:
        yield 1
        yield 2


async def test_plain_asynchronous_and_subscribing_fields_are_guarded() -> None:
    """The check comes before the resolver, of whatever kind it is."""
    schema = strawberry.Schema(Guarded, subscription=Events)
    for name in ("now", "later"):
        refused = await schema.execute(f"{{ {name} }}", context_value=Context(NOBODY))
        assert refused.errors is not None
        assert isinstance(refused.errors[0].original_error, Unauthenticated)
        assert (await schema.execute(f"{{ {name} }}", context_value=Context(PLAYER))).data == {name: 1}
    stream: Any = await schema.subscribe("subscription { events }", context_value=Context(PLAYER))
    assert [event.data async for event in stream] == [{"events": 1}, {"events": 2}]
    stream = await schema.subscribe("subscription { events }", context_value=Context(NOBODY))
    refusals = [event async for event in stream] if hasattr(stream, "__aiter__") else [stream]
    assert [type(error.original_error) for one in refusals for error in one.errors] == [Unauthenticated]
