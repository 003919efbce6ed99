"""Declares how long a field's answer may be kept, and for whom, as metadata of the schema's fields.

::

    @strawberry.field(metadata=cached(300))
    async def products(self, …) -> ProductConnection: ...

A root field without a declaration is never kept, and neither is an operation that selects one. A nested field inherits
its parent's declaration unless it has its own. `document.caching` derives the policy of a whole operation from these.

The declaration can be overruled. An answer with an error is not kept, and neither is one whose resolvers asked who
the caller is although every field was declared public (`kept.lane`). Values read through the cache add their own tags;
`tags` are for fields that read something else.

When the server starts, `check` reports declarations that cannot work.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
)

from graph.endpoint.declare.definitions import metadata_of
from graph.patterns.cache import current_observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from graphql import GraphQLField, GraphQLSchema

_KEY = "graph.cache"


class Scope(enum.Enum):
    """Who may share an answer."""

    PUBLIC = "public"
    """Everybody."""
    VIEWER = "viewer"
    """The same session only."""


Tags: TypeAlias = "Sequence[str] | Callable[[Mapping[str, Any]], Sequence[str]]"
"""Names of tags, or a function that makes them from a field's arguments (as the client wrote them)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The declaration of one field; a `max_age` of 0 forbids keeping it."""

    max_age: float
    scope: Scope
    tags: Tags = ()


def cached(max_age: float, *, scope: Scope = Scope.PUBLIC, tags: Tags = ()) -> dict[str, Any]:
    """Metadata for ``strawberry.field(metadata=…)``: the field may be kept for `max_age` seconds.

    A write to anything that was read through the cache to resolve it, or to one of `tags`, ends that earlier.
    """
    return {_KEY: Rule(max_age, scope, tags)}


def uncached() -> dict[str, Any]:
    """Metadata for a field that must be resolved each time, whatever its parent declares."""
    return {_KEY: Rule(0.0, Scope.PUBLIC)}


def do_not_keep() -> None:
    """Do not keep the answer being made, whatever the schema says: it shows something that no tag covers."""
    if (observed := current_observation()) is not None:
        observed.note((), None)


def keep_until(moment: float) -> None:
    """Keep the answer being made no longer than until `moment` (Unix seconds)."""
    if (observed := current_observation()) is not None:
        observed.note((), (), moment)


def rule_of(field: GraphQLField) -> Rule | None:
    """The rule that `field` declares; None if it declares none."""
    declared = metadata_of(field).get(_KEY)
    return declared if isinstance(declared, Rule) else None


# --- policies that cannot work ---


class BadPolicy(ValueError):
    """The schema declares policies that cannot work."""


def check(schema: GraphQLSchema) -> None:
    """Raise `BadPolicy`, naming every policy of `schema` that cannot work; call it when the server starts."""
    found = list(problems(schema))
    if found:
        raise BadPolicy("\n".join(found))


def problems(schema: GraphQLSchema) -> Iterator[str]:
    """The problems with the policies of `schema`, one sentence each."""
    reached = _reached(schema)
    others = (schema.mutation_type, schema.subscription_type)
    for kind in schema.type_map.values():
        for name, field in _fields(kind):
            rule = rule_of(field)
            if rule is not None and kind in others:
                yield f"{kind.name}.{name}: only what a query asks for can be kept."
            elif rule is not None:
                reachable = kind is schema.query_type or (kind.name, name) in reached
                yield from (f"{kind.name}.{name}: {reason}" for reason in _reasons(rule, field, reachable=reachable))


def _fields(kind: object) -> Iterator[tuple[str, GraphQLField]]:
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        yield from kind.fields.items()


def _reasons(rule: Rule, field: GraphQLField, *, reachable: bool) -> Iterator[str]:
    if not math.isfinite(rule.max_age) or rule.max_age < 0:
        yield f"a max age of {rule.max_age} seconds is no time."
    if rule.max_age == 0 and rule.tags:
        yield "tags outdate nothing where nothing is kept."
    if rule.max_age > 0 and rule.scope is Scope.PUBLIC and _guarded(field):
        yield "it is guarded, but its answer would be given to everybody; use Scope.VIEWER."
    if not reachable:
        yield "no field that leads here from the root may be kept, so this has no effect."


def _guarded(field: GraphQLField) -> bool:
    """Whether something may refuse `field` before Strawberry resolves it: a permission or another extension."""
    definition: Any = field.extensions.get("strawberry-definition")
    extensions = getattr(definition, "extensions", ())
    return bool(getattr(definition, "permission_classes", ())) or any(
        not getattr(getattr(one, "requirement", None), "open", False)
        for one in extensions
        if hasattr(one, "requirement")
    )


def _reached(schema: GraphQLSchema) -> set[tuple[str, str]]:
    """The fields below a root field that may be kept, as pairs of type and field."""
    todo = [
        named_type_of(field) for _, field in _fields(schema.query_type) if (rule := rule_of(field)) and rule.max_age > 0
    ]
    seen: set[str] = set()
    found: set[tuple[str, str]] = set()
    while todo:
        kind = todo.pop()
        if kind.name in seen:
            continue
        seen.add(kind.name)
        if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            todo += schema.get_possible_types(kind)
        elif isinstance(kind, GraphQLObjectType):  # a type inherits what its interfaces declare
            found.update((one.name, name) for one in kind.interfaces for name in one.fields)
        for name, field in _fields(kind):
            found.add((kind.name, name))
            rule = rule_of(field)
            if rule is None or rule.max_age > 0:
                todo.append(named_type_of(field))
    return found


def named_type_of(field: GraphQLField) -> GraphQLNamedType:
    """The type of `field`, without lists and non-nulls."""
    return cast("GraphQLNamedType", get_named_type(cast("Any", field).type))
