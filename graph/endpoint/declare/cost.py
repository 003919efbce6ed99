"""What a field costs: metadata that a schema's fields may carry, with a default that suits most.

A field costs 1, times the size of every list that it stands in. A list is as long as ``first`` or ``last`` says; else
as long as a list given as an argument (``nodes(ids: […])``); else as the connection around it was asked for
(``products(first: 20) { edges { … } }``); else `ASSUMED`. A field that costs more says so::

    @strawberry.field(metadata=cost(20))
    async def report(self) -> Report: ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graphql import GraphQLField

ASSUMED = 10
"""The length of a list of which nothing is known."""

_KEY = "graph.cost"


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of one field: `weight` for itself, `assumed` as the length of its list, `free` of any rate limit."""

    weight: int = 1
    assumed: int | None = None
    free: bool = False


_DEFAULT = Cost()


def cost(weight: int = 1, *, assumed: int | None = None, free: bool = False) -> dict[str, Any]:
    """Metadata for ``strawberry.field(metadata=…)``.

    `weight` is what resolving the field once costs, in leaf fields; `assumed` the length of its list where the
    arguments do not tell it; an operation that selects nothing but `free` fields is not charged to the caller's limit.
    """
    return {_KEY: Cost(weight, assumed, free)}


def cost_of(field: GraphQLField) -> Cost:
    """The declared cost of `field`, or the default."""
    definition = field.extensions.get("strawberry-definition")
    declared = getattr(definition, "metadata", field.extensions).get(_KEY)
    return declared if isinstance(declared, Cost) else _DEFAULT
