"""Which limited fields an operation asks for, found in its document before it runs.

The time is linear in the document: what a fragment asks for is counted once, and added wherever it is spread. Of an
interface every limit counts that a type declares which implements it: which of them will answer is not known before.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInterfaceType,
    GraphQLObjectType,
    InlineFragmentNode,
    OperationDefinitionNode,
    VariableNode,
    get_named_type,
)

from graph.endpoint.declare import core_of, implementations, metadata_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from graphql import GraphQLField, GraphQLNamedType, GraphQLSchema, SelectionNode, SelectionSetNode
    from strawberry.types import ExecutionContext

    from graph.patterns.limiter import Limit

    Asked = Counter[tuple[str, Limit]]

METADATA = "graph.limited"
"""The key of a field's limits in its metadata."""


def limited_fields(context: ExecutionContext) -> Asked:
    """How often the operation of `context` asks for each limit of each field; nothing for one that does not parse."""
    document = context.graphql_document
    if document is None:
        return Counter()
    operations = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    name = context._provided_operation_name  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - `operation_name` raises where there are several
    chosen = [one for one in operations if name is None or (one.name is not None and one.name.value == name)]
    schema = core_of(context.schema)
    walk = _Walk(schema, context.variables or {}, document.definitions)
    asked: Asked = Counter()
    for operation in chosen[:1]:
        asked += walk.selected(operation.selection_set, schema.get_root_type(operation.operation))
    return asked


class _Walk:
    """One look through a document, with the variables of one request."""

    def __init__(self, schema: GraphQLSchema, variables: Mapping[str, Any], definitions: Any) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {one.name.value: one for one in definitions if isinstance(one, FragmentDefinitionNode)}
        self._counted: dict[str, Asked] = {}

    def selected(self, selection_set: SelectionSetNode | None, parent: GraphQLNamedType | None) -> Asked:
        asked: Asked = Counter()
        for one in selection_set.selections if selection_set is not None else ():
            if self._left_out(one):
                continue
            if isinstance(one, FieldNode):
                self._field(one, parent, asked)
            elif isinstance(one, FragmentSpreadNode):
                asked += self._fragment(one.name.value)
            elif isinstance(one, InlineFragmentNode):
                within = one.type_condition
                asked += self.selected(
                    one.selection_set, parent if within is None else self._schema.type_map.get(within.name.value)
                )
        return asked

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, asked: Asked) -> None:
        if not isinstance(parent, (GraphQLObjectType, GraphQLInterfaceType)):
            return
        fields = implementations(self._schema, parent, node.name.value)
        if not fields:
            return
        for name, limit in dict.fromkeys(
            one for field in fields for one in self._limits(field, parent, node.name.value)
        ):
            asked[name, limit] += 1
        if node.selection_set is not None:
            asked.update(self.selected(node.selection_set, cast("Any", get_named_type)(cast("Any", fields[0]).type)))

    def _limits(self, field: GraphQLField, parent: GraphQLNamedType, name: str) -> Iterator[tuple[str, Limit]]:
        """The limits of `field`, each with what it counts: the field where it was declared, whoever inherits it."""
        definition: Any = field.extensions.get("strawberry-definition")
        limits: tuple[Limit, ...] = metadata_of(field).get(METADATA, ())
        for limit in limits:
            yield f"{self._name(getattr(definition, 'origin', None), parent)}.{name}", limit

    def _name(self, origin: Any, parent: GraphQLNamedType) -> str:
        """What no other class is called: a class that is no type of the schema goes by its place in the code."""
        if origin is None:
            return parent.name
        name = getattr(getattr(origin, "__strawberry_definition__", None), "name", "")
        kind = self._schema.type_map.get(name)
        known = kind is not None and getattr(kind.extensions.get("strawberry-definition"), "origin", None) is origin
        return name if known else f"{origin.__module__}.{origin.__qualname__}"

    def _fragment(self, name: str) -> Asked:
        if name not in self._counted:
            self._counted[name] = Counter()  # a fragment that spreads itself ends here; validation refuses it
            definition = self._fragments.get(name)
            if definition is not None:
                within = self._schema.type_map.get(definition.type_condition.name.value)
                self._counted[name] = self.selected(definition.selection_set, within)
        return self._counted[name]

    def _left_out(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name not in ("skip", "include") or not directive.arguments:
                continue
            value = directive.arguments[0].value
            told = (
                value.value
                if isinstance(value, BooleanValueNode)
                else self._variables.get(value.name.value)
                if isinstance(value, VariableNode)
                else None
            )
            if told is (name == "skip"):
                return True
        return False
