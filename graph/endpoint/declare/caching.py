"""How long an answer may be kept, and for whom: metadata that a schema's fields carry, and what follows for a document.

A field says what may be kept of it::

    @strawberry.field(metadata=cached(300))
    async def products(self, …) -> ProductConnection: ...

A field at the root that says nothing is never kept, and neither is an operation that selects one. A field below takes
over what its parent says unless it says something itself. An operation keeps the shortest age of all its fields, and
is private as soon as one of them is. That is what `derive` reads off a document, once.

It is not the last word: an answer with an error, or one whose resolvers asked who the caller is although every field
was declared public, is not kept (`responses`). Values read through the cache bring their tags along; `tags` are for
fields that read something else.

`problems` names, when the server starts, policies that cannot do what they say.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationType,
    get_named_type,
    is_composite_type,
    value_from_ast_untyped,
)

from graph.patterns.cache import current_observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from graphql import DocumentNode, GraphQLField, GraphQLSchema, OperationDefinitionNode, SelectionSetNode

_KEY = "graph.cache"


class Scope(enum.Enum):
    """Who may be given the same answer."""

    PUBLIC = "public"
    """Everybody."""
    VIEWER = "viewer"
    """The same session only."""


Tags: TypeAlias = "Sequence[str] | Callable[[Mapping[str, Any]], Sequence[str]]"
"""Names of tags, or what makes them of a field's arguments (as the client wrote them)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What one field declares; a `max_age` of 0 forbids keeping it."""

    max_age: float
    scope: Scope
    tags: Tags = ()


def cached(max_age: float, *, scope: Scope = Scope.PUBLIC, tags: Tags = ()) -> dict[str, Any]:
    """Metadata for ``strawberry.field(metadata=…)``: the field may be kept for `max_age` seconds.

    It is outdated before that by every write to what was read through the cache while it was resolved, and by every
    write to `tags`.
    """
    return {_KEY: Rule(max_age, scope, tags)}


def uncached() -> dict[str, Any]:
    """Metadata for a field that must be resolved each time, whatever its parent says."""
    return {_KEY: Rule(0.0, Scope.PUBLIC)}


def do_not_keep() -> None:
    """Have the answer that is being made not kept, whatever the schema says: it shows what no tag tells of."""
    if (observed := current_observation()) is not None:
        observed.note((), None)


def keep_until(moment: float) -> None:
    """Have the answer that is being made kept no longer than until `moment` (Unix seconds)."""
    if (observed := current_observation()) is not None:
        observed.note((), (), moment)


def rule_of(field: GraphQLField) -> Rule | None:
    """What `field` declares."""
    definition = field.extensions.get("strawberry-definition")
    declared = getattr(definition, "metadata", field.extensions).get(_KEY)
    return declared if isinstance(declared, Rule) else None


@dataclass(frozen=True, slots=True)
class Policy:
    """What follows for an operation."""

    max_age: float
    """Seconds."""
    scope: Scope
    variables: frozenset[str]
    """Those that the operation declares: nothing else that a client sends as variables matters."""
    fields: tuple[tuple[FieldNode, Tags], ...] = ()
    defaults: tuple[tuple[str, Any], ...] = ()
    """Of variables that a client leaves out."""

    def tags(self, variables: Mapping[str, Any] | None) -> list[str]:
        """The declared tags, with the arguments that `variables` give."""
        found: dict[str, None] = {}
        values = {**dict(self.defaults), **(variables or {})}
        for node, tags in self.fields:
            if callable(tags):
                given = {a.name.value: value_from_ast_untyped(a.value, values) for a in node.arguments or ()}
                tags = tags(given)  # noqa: PLW2901 - made of the arguments
            found.update(dict.fromkeys(tags))
        return list(found)


class _Walk:
    """Reads the rules off one document; each fragment is entered once a type, however often it is spread."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {
            one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)
        }
        self._entered: set[tuple[str, bool]] = set()
        self.rules: list[Rule] = []
        self.fields: list[tuple[FieldNode, Tags]] = []
        self.possible = True

    def walk(self, selections: SelectionSetNode, parent: GraphQLNamedType | None, *, root: bool) -> None:
        for node in selections.selections:
            if node.directives and any(one.name.value in {"defer", "stream"} for one in node.directives):
                self.possible = False
            if isinstance(node, FieldNode):
                self._field(node, parent, root=root)
            elif isinstance(node, InlineFragmentNode):
                self.walk(node.selection_set, self._type(node.type_condition, parent), root=root)
            elif isinstance(node, FragmentSpreadNode) and (node.name.value, root) not in self._entered:
                self._entered.add((node.name.value, root))
                fragment = self._fragments[node.name.value]
                self.walk(fragment.selection_set, self._type(fragment.type_condition, parent), root=root)

    def _type(self, condition: Any, parent: GraphQLNamedType | None) -> GraphQLNamedType | None:
        return parent if condition is None else self._schema.type_map.get(condition.name.value)

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, *, root: bool) -> None:
        if node.name.value == "__typename":
            return
        field = self._definition(parent, node.name.value)
        rule = rule_of(field) if field is not None else None
        if field is None or (root and rule is None) or (rule is not None and rule.max_age <= 0):
            self.possible = False
            return
        if rule is not None:
            self.rules.append(rule)
            if rule.tags:
                self.fields.append((node, rule.tags))
        if node.selection_set is not None:
            self.walk(node.selection_set, _named(field), root=False)

    def _definition(self, parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
        if parent is None or not is_composite_type(parent) or name in {"__schema", "__type"}:
            return None
        return self._schema.get_field(parent, name)  # pyright: ignore[reportArgumentType] - narrowed to a union that it accepts


def derive(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Policy | None:
    """What may be kept of `operation`; None for nothing."""
    if operation.operation is not OperationType.QUERY:
        return None
    walk = _Walk(schema, document)
    walk.walk(operation.selection_set, schema.query_type, root=True)
    if not walk.possible or not walk.rules:
        return None
    private = any(rule.scope is Scope.VIEWER for rule in walk.rules)
    definitions = operation.variable_definitions or ()
    return Policy(
        max_age=min(rule.max_age for rule in walk.rules),
        scope=Scope.VIEWER if private else Scope.PUBLIC,
        variables=frozenset(one.variable.name.value for one in definitions),
        fields=tuple(walk.fields),
        defaults=tuple(
            (one.variable.name.value, value_from_ast_untyped(one.default_value))
            for one in definitions
            if one.default_value is not None
        ),
    )


# --- policies that cannot work ---


class BadPolicy(ValueError):
    """The schema declares policies that cannot do what they say."""


def check(schema: GraphQLSchema) -> None:
    """Raise `BadPolicy`, naming every policy of `schema` that cannot work; call it when the server starts."""
    found = list(problems(schema))
    if found:
        raise BadPolicy("\n".join(found))


def problems(schema: GraphQLSchema) -> Iterator[str]:
    """What is wrong with the policies of `schema`, one sentence each."""
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
    """Whether Strawberry asks something before it resolves `field`: a permission, or an extension that may refuse."""
    definition: Any = field.extensions.get("strawberry-definition")
    extensions = getattr(definition, "extensions", ())
    return bool(getattr(definition, "permission_classes", ())) or any(
        not getattr(getattr(one, "requirement", None), "open", False)
        for one in extensions
        if hasattr(one, "requirement")
    )


def _reached(schema: GraphQLSchema) -> set[tuple[str, str]]:
    """The fields below a field of the root that may be kept, as pairs of type and field."""
    todo = [_named(field) for _, field in _fields(schema.query_type) if (rule := rule_of(field)) and rule.max_age > 0]
    seen: set[str] = set()
    found: set[tuple[str, str]] = set()
    while todo:
        kind = todo.pop()
        if kind.name in seen:
            continue
        seen.add(kind.name)
        if isinstance(kind, GraphQLInterfaceType | GraphQLUnionType):
            todo += schema.get_possible_types(kind)
        for name, field in _fields(kind):
            found.add((kind.name, name))
            rule = rule_of(field)
            if rule is None or rule.max_age > 0:
                todo.append(_named(field))
    return found


def _named(field: GraphQLField) -> GraphQLNamedType:
    """The type that `field` gives, without lists and non-nulls."""
    return cast("GraphQLNamedType", get_named_type(cast("Any", field).type))
