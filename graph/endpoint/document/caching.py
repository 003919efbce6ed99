"""Derives how long an operation's answer may be kept, and for whom: once per document, from its fields' declarations.

An operation gets the shortest age of all its fields (`declare.caching`), and is private as soon as one of them is. It
is not kept at all if a root field declares nothing, or any field forbids it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationType,
    value_from_ast_untyped,
)

from graph.endpoint.declare import Scope, implementations, named_type_of, rule_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import (
        DocumentNode,
        GraphQLNamedType,
        GraphQLSchema,
        OperationDefinitionNode,
        SelectionSetNode,
    )

    from graph.endpoint.declare import Rule, Tags


_INTROSPECTION = frozenset({"__schema", "__type"})


@dataclass(frozen=True, slots=True)
class Policy:
    """How the answer to an operation may be kept."""

    max_age: float
    """Seconds."""
    scope: Scope
    variables: frozenset[str]
    """The variables that the operation declares: any others that a client sends are ignored."""
    fields: tuple[tuple[FieldNode, Tags], ...] = ()
    defaults: tuple[tuple[str, Any], ...] = ()
    """The defaults of variables that a client leaves out."""

    def tags(self, variables: Mapping[str, Any] | None) -> list[str]:
        """The declared tags, for the arguments given by `variables`."""
        found: dict[str, None] = {}
        values = {**dict(self.defaults), **(variables or {})}
        for node, tags in self.fields:
            if callable(tags):
                given = {a.name.value: value_from_ast_untyped(a.value, values) for a in node.arguments or ()}
                tags = tags(given)  # noqa: PLW2901 - made of the arguments
            found.update(dict.fromkeys(tags))
        return list(found)


class _RuleWalk:
    """Collects the rules of one document; each fragment is visited once per type, however often it is spread."""

    def __init__(self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._schema = schema
        self._fragments = fragments
        self._entered: set[tuple[str, bool]] = set()
        self.rules: list[Rule] = []
        self.fields: list[tuple[FieldNode, Tags]] = []
        self.unkept: list[tuple[FieldNode, str, str]] = []
        """The fields that forbid keeping an answer, each with its name and the reason."""
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
                fragment = self._fragments.get(node.name.value)
                if fragment is not None:
                    self.walk(fragment.selection_set, self._type(fragment.type_condition, parent), root=root)

    def _type(self, condition: Any, parent: GraphQLNamedType | None) -> GraphQLNamedType | None:
        return parent if condition is None else self._schema.type_map.get(condition.name.value)

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, *, root: bool) -> None:
        if node.name.value == "__typename":
            return
        fields = () if node.name.value in _INTROSPECTION else implementations(self._schema, parent, node.name.value)
        rules = [rule for field in fields if (rule := rule_of(field)) is not None]
        if not fields or (root and not rules) or any(rule.max_age <= 0 for rule in rules):
            self.possible = False
            if parent is not None and (fields or node.name.value in _INTROSPECTION):
                reason = "its answer may never be kept" if rules else "it has no cache policy"
                self.unkept.append((node, f"{parent.name}.{node.name.value}", reason))
            return
        self.rules += rules
        self.fields += [(node, rule.tags) for rule in rules if rule.tags]
        if node.selection_set is not None:
            self.walk(node.selection_set, named_type_of(fields[0]), root=False)


def derive(schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> Policy | None:
    """The policy of `operation`; None if its answer may not be kept."""
    if operation.operation is not OperationType.QUERY:
        return None
    fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
    walk = _RuleWalk(schema, fragments)
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


def unkept_fields(
    schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], operation: OperationDefinitionNode
) -> list[tuple[FieldNode, str, str]]:
    """The fields that forbid keeping the answer of `operation`: node, name and reason. The document may be invalid."""
    walk = _RuleWalk(schema, fragments)
    walk.walk(operation.selection_set, schema.query_type, root=True)
    return walk.unkept
