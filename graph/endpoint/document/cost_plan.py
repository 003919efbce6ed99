"""The cost of an operation as a plan that is made once and evaluated for each request with its variables.

A selection set costs ``fixed + sized · size``: `sized` sums up the lists that are as long as the connection around
them, whose size only the field above knows. So the cost of a fragment is a pair of numbers that is computed once,
however often it is spread; evaluating takes one step per field of the document.

Introspection is counted separately, because it has its own limit. `cost_planner` makes the plans.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from graph.endpoint.declare import ASSUMED

if TYPE_CHECKING:
    from collections.abc import Mapping


class Sum(NamedTuple):
    """The cost of a selection set: `fixed`, plus `sized` times the length of the connection around it."""

    fixed: int
    sized: int
    introspection: int


NOTHING = Sum(0, 0, 0)


class Variable(NamedTuple):
    """The value of a variable, or the length of its list; `default` applies when the client leaves it out."""

    name: str
    default: int


Size: TypeAlias = "int | Variable"


@dataclass(slots=True)
class FieldCost:
    """What the plan knows about one field of the document."""

    weight: int
    is_list: bool
    child: int | None
    slices: tuple[Size, ...]
    lengths: tuple[Size, ...]
    assumed: int | None
    introspection: bool
    free: bool


class SetCost(NamedTuple):
    """A selection set: its fields, and the fragments that it spreads (as positions in the plan)."""

    fields: list[FieldCost]
    spreads: list[int]


class Estimate(NamedTuple):
    """The greatest cost of an operation with these variables; `page` is the longest page that it asks for."""

    cost: int
    introspection: int
    page: int


class CostPlan:
    """The cost of one operation, as a function of its variables."""

    def __init__(self, sets: list[SetCost], defaults: Mapping[str, Any]) -> None:
        """Compute the cost of the last of `sets`; each set refers only to earlier ones."""
        self._sets = sets
        self._defaults = defaults
        root = sets[-1]
        self.free = bool(root.fields) and not root.spreads and all(f.free for f in root.fields)
        self._fixed: Estimate | None = None

    @cached_property
    def variable(self) -> bool:
        """Whether the cost depends on variables."""
        return any(
            isinstance(size, Variable) for one in self._sets for f in one.fields for size in (*f.slices, *f.lengths)
        )

    def estimate(self, variables: Mapping[str, Any] | None) -> Estimate:
        """The cost with `variables` as the client sent them."""
        if self.variable:
            return self._evaluate({**self._defaults, **variables} if variables else self._defaults)
        if self._fixed is None:
            self._fixed = self._evaluate({})
        return self._fixed

    def _evaluate(self, variables: Mapping[str, Any]) -> Estimate:
        pages = [0]
        sums: list[Sum] = []
        for fields, spreads in self._sets:
            parts = [_field_sum(field, sums, variables, pages) for field in fields]
            parts += [sums[spread] for spread in spreads]
            sums.append(Sum(*map(sum, zip(*parts, strict=True))) if parts else NOTHING)
        whole = sums[-1]
        return Estimate(whole.fixed + whole.sized * ASSUMED, whole.introspection, max(pages))


def _field_sum(field: FieldCost, sums: list[Sum], variables: Mapping[str, Any], pages: list[int]) -> Sum:
    """The cost that one field adds to its set; the page size that it asks for is appended to `pages`."""
    child = sums[field.child] if field.child is not None else NOTHING
    size: int | None = None
    if field.slices:
        size = max(_number(one, variables) for one in field.slices)
        pages.append(size)
    if field.is_list:
        entry = max(1, child.fixed + child.sized * ASSUMED)  # a list of leaves costs 1 per entry
        if size is None and field.lengths:
            size = max(_length(one, variables) for one in field.lengths)
        if size is None and field.assumed is None and not field.introspection:
            return Sum(field.weight, entry, child.introspection)
        cost = field.weight + entry * (size if size is not None else field.assumed or 1)
    else:
        cost = field.weight + child.fixed + child.sized * (ASSUMED if size is None else size)
    if field.introspection:
        return Sum(0, 0, cost + child.introspection)
    return Sum(cost, 0, child.introspection)


def _number(size: Size, variables: Mapping[str, Any]) -> int:
    if isinstance(size, Variable):
        value = variables.get(size.name)
        return max(0, int(value)) if isinstance(value, (int, float)) else size.default
    return size


def _length(size: Size, variables: Mapping[str, Any]) -> int:
    if isinstance(size, Variable):
        value = variables.get(size.name)
        return len(cast("list[Any]", value)) if isinstance(value, list) else size.default
    return size
