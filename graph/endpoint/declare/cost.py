"""Declares what a field costs, as metadata of the schema's fields; the default suits most fields.

A field costs 1, times the length of every list that it is in. The length of a list is ``first`` or ``last``; else the
length of a list given as an argument (``nodes(ids: […])``); else the size of the connection around it
(``products(first: 20) { edges { … } }``); else `ASSUMED`. A field that costs more declares it,
and so does an argument or a field of an input that makes more work wherever it is given::

    @strawberry.field(metadata=cost(20))
    async def report(self) -> Report: ...

    @strawberry.input
    class Filter:
        search: str | None = strawberry.field(default=strawberry.UNSET, metadata=cost(100, per_word=50))

What is declared so is *work*: it counts wherever operations are charged, also where each one counts as a single unit
whatever fields it selects (`graph.endpoint.admission`). `declare_costs` shows it in the schema, as ``@cost(weight:)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import strawberry
from graphql import GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType
from strawberry.schema_directive import Location

from graph.endpoint.declare.definitions import metadata_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from graphql import GraphQLArgument, GraphQLField, GraphQLInputField, GraphQLSchema

ASSUMED = 10
"""The assumed length of a list about which nothing is known."""

_KEY = "graph.cost"


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one field: its own `weight`, the `assumed` length of its list, and whether it is `free`.

    `page` is the largest `first` or `last` that it takes; None leaves that to the bounds of the endpoint.
    Of a field of an input that holds text, `per_word` is what each word beyond the first adds.
    """

    weight: int = 1
    assumed: int | None = None
    free: bool = False
    per_word: int = 0
    page: int | None = None

    @property
    def work(self) -> int:
        """What was declared beyond that of any field."""
        return self.weight if self.weight > 1 else 0


_DEFAULT = Cost()


def cost(
    weight: int = 1, *, assumed: int | None = None, free: bool = False, per_word: int = 0, page: int | None = None
) -> dict[str, Any]:
    """Metadata for ``strawberry.field(metadata=…)``, of a field, or of a field of an input.

    `weight` is the cost of resolving the field once, in leaf fields; of an input's field, what it adds where a client
    gives it, and `per_word` what each further word of its text adds. `assumed` is the length of its list where the
    arguments do not tell; an operation that selects only `free` fields is not charged to the caller's limit. `page` is
    the largest `first` or `last` that this field takes, in place of the bound of the endpoint (`Bounds.page`).
    """
    return {_KEY: Cost(weight, assumed, free, per_word, page)}


def cost_of(field: GraphQLField | GraphQLArgument | GraphQLInputField) -> Cost:
    """The declared cost of `field`, or the default."""
    declared = metadata_of(field).get(_KEY)
    return declared if isinstance(declared, Cost) else _DEFAULT


def costs_of(fields: Sequence[GraphQLField]) -> Cost:
    """The greatest cost of `fields`, of which one is resolved; each has a limit of its own for its pages."""
    declared = [cost_of(field) for field in fields]
    if len(declared) == 1:
        return declared[0]
    assumed = max((one.assumed for one in declared if one.assumed is not None), default=0)
    unsaid = any(one.assumed is None for one in declared) and assumed <= ASSUMED
    return Cost(
        max(one.weight for one in declared),
        None if unsaid else assumed,
        all(one.free for one in declared),
    )


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.ARGUMENT_DEFINITION, Location.INPUT_FIELD_DEFINITION],
    name="cost",
    description="What it costs to resolve this once, in fields; of an argument or an input's field: what it adds.",
)
class CostDirective:
    """The declaration as the schema shows it."""

    weight: int
    per_word: int | None = strawberry.UNSET


def declare_costs(schema: GraphQLSchema) -> None:
    """Show the work that the fields of `schema` declare as directives, wherever Strawberry prints it."""
    for field in _fields(schema):
        definition: Any = field.extensions.get("strawberry-definition")
        declared = cost_of(field)
        if declared.work and not any(isinstance(one, CostDirective) for one in definition.directives):
            shown = CostDirective(weight=declared.work, per_word=declared.per_word or strawberry.UNSET)
            definition.directives = [*definition.directives, shown]


def _fields(schema: GraphQLSchema) -> Iterator[GraphQLField | GraphQLArgument | GraphQLInputField]:
    for kind in schema.type_map.values():
        if isinstance(kind, GraphQLInputObjectType):
            yield from kind.fields.values()
        elif isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)):
            for field in kind.fields.values():
                yield field
                yield from field.args.values()
