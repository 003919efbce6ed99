"""The cost of an operation as a plan that is made once and evaluated for each request with its variables.

A selection set costs ``fixed + sized · size``: `sized` sums up the lists that are as long as the connection around
them, whose size only the field above knows. So the cost of a fragment is a pair of numbers that is computed once,
however often it is spread; evaluating takes one step per field of the document.

Introspection is counted separately, because it has its own limit. So is *work*: what fields, arguments and fields of
inputs declare beyond the one that any field costs (`graph.endpoint.declare`). `cost_planner` makes the plans.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from graph.endpoint.declare import ASSUMED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import ArgumentNode, FieldNode


class Sum(NamedTuple):
    """The cost of a selection set: `fixed`, plus `sized` times the length of the connection around it; so is `work`."""

    fixed: int = 0
    sized: int = 0
    introspection: int = 0
    work: int = 0
    work_sized: int = 0


NOTHING = Sum()


class Variable(NamedTuple):
    """The value of a variable, or the length of its list; `default` applies when the client leaves it out."""

    name: str
    default: int


SLICES = ("first", "last")
Size: TypeAlias = "int | Variable"

_WORD = re.compile(r"[^\W_]+")


class Surcharge(NamedTuple):
    """What an argument or a field of an input adds where it is given: `own`, `per_word` beyond the first, and below."""

    own: int
    per_word: int
    type: str | None

    def weight(self, value: object) -> int:
        """What it adds itself with this value."""
        if not self.per_word or not isinstance(value, str):
            return self.own
        return self.own + self.per_word * max(0, len(_WORD.findall(value)) - 1)


Weights: TypeAlias = "Mapping[str, Mapping[str, Surcharge]]"
"""Of each type of input that holds a field with a declared cost: what its fields add."""


class Weighed(NamedTuple):
    """What is declared for an argument that is given as a variable, wherever it is not null."""

    name: str
    given: Surcharge


class Paging(NamedTuple):
    """The arguments that set the length of a page, and the most that it takes; None stands for that of the bounds."""

    sizes: tuple[Size, ...]
    most: int | None

    def size(self, variables: Mapping[str, Any]) -> int:
        """How long it is."""
        return max(_number(one, variables) for one in self.sizes)


@dataclass(slots=True)
class FieldCost:
    """What the plan knows about one field of the document."""

    weight: int
    is_list: bool
    child: int | None
    pages: tuple[Paging, ...]
    """What it may be a page of: behind an interface each type has arguments and a limit of its own."""
    lengths: tuple[Size, ...]
    assumed: int | None
    introspection: bool
    free: bool
    work: int = 0
    inputs: tuple[Weighed, ...] = ()
    node: FieldNode | None = None
    """Where it stands in the document, if it is a page."""


class SetCost(NamedTuple):
    """A selection set: its fields, and the fragments that it spreads (as positions in the plan)."""

    fields: list[FieldCost]
    spreads: list[int]


class Estimate(NamedTuple):
    """The greatest cost of an operation with these variables; `page` is the longest page that it asks for.

    `over` is the least limit that a field declares for its own pages and that is exceeded, if there is one.
    `work` is the part of `cost` that was declared beyond one for each field.
    """

    cost: int
    introspection: int
    page: int
    work: int = 0
    over: int | None = None

    @property
    def fields(self) -> int:
        """What the operation costs in all, introspection too."""
        return self.cost + self.introspection


class CostPlan:
    """The cost of one operation, as a function of its variables."""

    def __init__(self, sets: list[SetCost], defaults: Mapping[str, Any], weights: Weights) -> None:
        """Compute the cost of the last of `sets`; each set refers only to earlier ones."""
        self._sets = sets
        self._weights = weights
        self._defaults = defaults
        root = sets[-1]
        self.free = bool(root.fields) and not root.spreads and all(f.free for f in root.fields)
        self._fixed: Estimate | None = None

    @cached_property
    def variable(self) -> bool:
        """Whether the cost depends on variables."""
        return any(
            f.inputs
            or any(
                isinstance(size, Variable) for size in (*f.lengths, *(size for page in f.pages for size in page.sizes))
            )
            for one in self._sets
            for f in one.fields
        )

    def estimate(self, variables: Mapping[str, Any] | None) -> Estimate:
        """The cost with `variables` as the client sent them."""
        if self.variable:
            return self._evaluate({**self._defaults, **variables} if variables else self._defaults)
        if self._fixed is None:
            self._fixed = self._evaluate({})
        return self._fixed

    def longer(self, most: int, variables: Mapping[str, Any] | None) -> Iterator[ArgumentNode]:
        """The arguments that ask for a page of more than `most` entries, or than its field takes."""
        known = {**self._defaults, **(variables or {})}
        for field in (field for fields, _ in self._sets for field in fields):
            over = any(one.size(known) > (most if one.most is None else one.most) for one in field.pages)
            if over and field.node is not None:
                yield from (one for one in field.node.arguments or () if one.name.value in SLICES)

    def _evaluate(self, variables: Mapping[str, Any]) -> Estimate:
        pages: list[tuple[int, int | None]] = []
        sums: list[Sum] = []
        given: dict[Weighed, int] = {}
        for fields, spreads in self._sets:
            parts = [_field_sum(field, self._work(field, variables, given), sums, variables, pages) for field in fields]
            parts += [sums[spread] for spread in spreads]
            sums.append(Sum(*map(sum, zip(*parts, strict=True))) if parts else NOTHING)
        whole = sums[-1]
        work = whole.work + whole.work_sized * ASSUMED
        page = max((size for size, most in pages if most is None), default=0)
        over = min((most for size, most in pages if most is not None and size > most), default=None)
        return Estimate(whole.fixed + whole.sized * ASSUMED + work, whole.introspection, page, work, over)

    def _work(self, field: FieldCost, variables: Mapping[str, Any], given: dict[Weighed, int]) -> int:
        """The work of a field itself; what its variables add is worked out once, however often they are used."""
        work = field.work
        for one in field.inputs:
            if one not in given:
                value = variables.get(one.name)
                given[one] = 0 if value is None else one.given.weight(value) + self._weight(value, one.given.type)
            work += given[one]
        return work

    def _weight(self, value: Any, kind: str | None) -> int:
        """What is declared for the fields that `value` gives of the input `kind`; it may be whatever a client sent."""
        total = 0
        stack: list[tuple[Any, str | None]] = [(value, kind)]
        while stack:
            one, name = stack.pop()
            fields = self._weights.get(name or "")
            if not fields:
                continue
            if isinstance(one, list):
                stack += [(entry, name) for entry in cast("list[Any]", one)]
            elif isinstance(one, dict):
                for key, inner in cast("dict[str, Any]", one).items():
                    if inner is not None and key in fields:
                        given = fields[key]
                        total += given.weight(inner)
                        stack.append((inner, given.type))
        return total


def _field_sum(
    field: FieldCost, work: int, sums: list[Sum], variables: Mapping[str, Any], pages: list[tuple[int, int | None]]
) -> Sum:
    """The cost that one field adds to its set, and its `work`; its page, with its limits, is added to `pages`."""
    child = sums[field.child] if field.child is not None else NOTHING
    size: int | None = None
    if field.pages:
        sizes = [(one.size(variables), one.most) for one in field.pages]
        pages += sizes
        size = max(length for length, _ in sizes)
    if field.is_list:
        entry = max(1, child.fixed + child.sized * ASSUMED)  # a list of leaves costs 1 per entry
        below = child.work + child.work_sized * ASSUMED
        if size is None and field.lengths:
            size = max(_length(one, variables) for one in field.lengths)
        if size is None and field.assumed is None and not field.introspection:
            return Sum(field.weight, entry, child.introspection, work, below)
        length = size if size is not None else field.assumed or 1
        cost, work = field.weight + entry * length, work + below * length
    else:
        length = ASSUMED if size is None else size
        cost = field.weight + child.fixed + child.sized * length
        work += child.work + child.work_sized * length
    if field.introspection:
        return Sum(introspection=cost + child.introspection)
    return Sum(cost, 0, child.introspection, work)


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
