"""Declares what a field costs, as metadata of the schema's fields; the default suits most fields.

A field costs 1, times the length of every list that it is in. The length of a list is ``first`` or ``last``; else the
length of a list given as an argument (``nodes(ids: […])``); else the size of the connection around it
(``products(first: 20) { edges { … } }``); else `ASSUMED`. A field that costs more declares it::

    @strawberry.field(metadata=cost(20))
    async def report(self) -> Report: ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphql import GraphQLField

ASSUMED = 10
"""The assumed length of a list about which nothing is known."""

_KEY = "graph.cost"


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one field: its own `weight`, the `assumed` length of its list, and whether it is `free`."""

    weight: int = 1
    assumed: int | None = None
    free: bool = False


_DEFAULT = Cost()


def cost(weight: int = 1, *, assumed: int | None = None, free: bool = False) -> dict[str, Any]:
    """Metadata for ``strawberry.field(metadata=…)``.

    `weight` is the cost of resolving the field once, in leaf fields; `assumed` is the length of its list where the
    arguments do not tell; an operation that selects only `free` fields is not charged to the caller's limit.
    """
    return {_KEY: Cost(weight, assumed, free)}


def cost_of(field: GraphQLField) -> Cost:
    """The declared cost of `field`, or the default."""
    definition = field.extensions.get("strawberry-definition")
    declared = getattr(definition, "metadata", field.extensions).get(_KEY)
    return declared if isinstance(declared, Cost) else _DEFAULT
