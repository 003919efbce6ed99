"""Makes the cost plans of a schema's documents: which fields are lists, how long, and at what declared cost.

`declare.cost` says what a field may declare and how long a list is assumed to be; `cost_plan` evaluates the plans.
The limit on introspection is derived from the cost of the standard introspection query in this schema.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNamedType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    StringValueNode,
    VariableNode,
    get_introspection_query,
    get_named_type,
    is_composite_type,
    is_introspection_type,
    parse,
    value_from_ast_untyped,
)

from graph.endpoint.declare import ASSUMED, Cost, cost_of, costs_of, implementations
from graph.endpoint.document.cost_plan import (
    SLICES,
    CostPlan,
    FieldCost,
    Paging,
    SetCost,
    Size,
    Surcharge,
    Variable,
    Weighed,
    Weights,
)
from graph.endpoint.document.measure import INTROSPECTION, fragment_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import DocumentNode, GraphQLField, ValueNode


class Planner:
    """Makes plans for the documents of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        """Measure the size of `schema`, which determines the cost of introspection."""
        self._schema = schema
        self._sizes = _introspection_sizes(schema)
        self._weights = _weights(schema)

    @cached_property
    def introspection_limit(self) -> int:
        """Twice what the standard introspection query costs; found when an operation introspects."""
        (plan,) = self.plans(_standard_introspection()).values()
        return 2 * plan.estimate(None).introspection

    def plans(self, document: DocumentNode) -> dict[str | None, CostPlan]:
        """A plan for each operation of a valid `document`, by name."""
        builder = _Builder(self._schema, self._sizes, self._weights)
        fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        spreads = {name: _spreads(fragment.selection_set) for name, fragment in fragments.items()}
        for name in fragment_order(spreads):
            condition = self._schema.type_map.get(fragments[name].type_condition.name.value)
            builder.fragments[name] = builder.build(fragments[name].selection_set, condition)
        common = len(builder.sets)
        plans: dict[str | None, CostPlan] = {}
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                del builder.sets[common:]
                builder.build(definition.selection_set, self._schema.get_root_type(definition.operation))
                defaults = {
                    v.variable.name.value: value_from_ast_untyped(v.default_value)
                    for v in definition.variable_definitions or ()
                    if v.default_value is not None
                }
                plans[definition.name.value if definition.name else None] = CostPlan(
                    list(builder.sets), defaults, self._weights
                )
        return plans


class _Builder:
    def __init__(self, schema: GraphQLSchema, sizes: Mapping[tuple[str, str], int], weights: Weights) -> None:
        self._weights = weights
        self.sets: list[SetCost] = []
        self.fragments: dict[str, int] = {}
        self._schema = schema
        self._sizes = sizes

    def build(self, selection_set: SelectionSetNode, parent: GraphQLNamedType | None) -> int:
        """Append the sets of `selection_set`, innermost first, and return the position of the outermost."""
        result = SetCost([], [])
        stack: list[tuple[SelectionSetNode, GraphQLNamedType | None]] = [(selection_set, parent)]
        while stack:
            nodes, within = stack.pop()
            for node in nodes.selections:
                if isinstance(node, FieldNode):
                    result.fields.append(self._field(node, within))
                elif isinstance(node, InlineFragmentNode):
                    condition = node.type_condition
                    inner = within if condition is None else self._schema.type_map.get(condition.name.value)
                    stack.append((node.selection_set, inner))
                elif isinstance(node, FragmentSpreadNode) and node.name.value in self.fragments:
                    result.spreads.append(self.fragments[node.name.value])
        self.sets.append(result)
        return len(self.sets) - 1

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> FieldCost:
        name = node.name.value
        composite = parent if parent is not None and is_composite_type(parent) else None
        definition = self._schema.get_field(composite, name) if composite is not None else None  # pyright: ignore[reportArgumentType] - is_composite_type narrows to a union that get_field accepts
        returned = cast("Any", definition).type if definition is not None else None
        child = None if node.selection_set is None else self.build(node.selection_set, get_named_type(returned))
        if definition is None:
            return FieldCost(1, is_list=False, child=child, pages=(), lengths=(), assumed=None,
                             introspection=name in INTROSPECTION, free=False)  # fmt: skip
        resolved = implementations(self._schema, parent, name) or (definition,)
        declared = costs_of(resolved)
        assumed = declared.assumed
        if composite is not None and is_introspection_type(composite):
            assumed = self._sizes.get((composite.name, name), assumed)
        given, inputs = self._most_given(node, resolved)
        pages = (Paging(_slices(node, one), cost_of(one).page) for one in resolved)
        paged = tuple(dict.fromkeys(one for one in pages if one.sizes))
        return FieldCost(
            declared.weight - declared.work,
            is_list=_is_list(returned),
            child=child,
            pages=paged,
            lengths=_lengths(node, definition),
            assumed=assumed,
            introspection=name in INTROSPECTION,
            free=declared.free or name == "__typename",
            work=declared.work + given,
            inputs=inputs,
            node=node if paged else None,
        )

    def _most_given(self, node: FieldNode, resolved: Sequence[GraphQLField]) -> tuple[int, tuple[Weighed, ...]]:
        """What the dearest of the fields, of which one is `resolved`, declares for the arguments that `node` gives."""
        total, inputs = self._given(node, resolved[0])
        for field in resolved[1:]:
            more, others = self._given(node, field)
            total, inputs = max(total, more), (*inputs, *(one for one in others if one not in inputs))
        return total, inputs

    def _given(self, node: FieldNode, definition: GraphQLField) -> tuple[int, tuple[Weighed, ...]]:
        """What is declared for the arguments that `node` gives: of literals the sum, of variables how to find it."""
        total = 0
        inputs: list[Weighed] = []
        stack: list[tuple[ValueNode, Surcharge]] = []
        for given in node.arguments or ():
            argument = definition.args.get(given.name.value)
            if argument is not None:
                stack.append((given.value, _given(cost_of(argument), self._weighed(argument.type))))  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType] - generic in graphql-core
        while stack:
            value, one = stack.pop()
            if isinstance(value, NullValueNode) or (not one.own and one.type is None):
                continue
            if isinstance(value, VariableNode):
                inputs.append(Weighed(value.name.value, one))
                continue
            total += one.weight(value.value if isinstance(value, StringValueNode) else None)
            fields = self._weights.get(one.type or "", {})
            if isinstance(value, ObjectValueNode):
                stack += [(f.value, fields[f.name.value]) for f in value.fields if f.name.value in fields]
            elif isinstance(value, ListValueNode):
                stack += [(entry, Surcharge(0, 0, one.type)) for entry in value.values]
        return total, tuple(inputs)

    def _weighed(self, type_: Any) -> str | None:
        name = _name(type_)
        return name if name in self._weights else None


def _name(type_: Any) -> str:
    return str(cast("Any", get_named_type(type_)).name)


def _given(declared: Cost, below: str | None) -> Surcharge:
    return Surcharge(declared.work, declared.per_word, below)


def _weights(schema: GraphQLSchema) -> Weights:
    """The inputs of `schema` with a field that declares a cost, in whatever depth, and what their fields declare."""
    found: dict[str, dict[str, Surcharge]] = {}
    inputs = [kind for kind in schema.type_map.values() if isinstance(kind, GraphQLInputObjectType)]
    grown = True
    while grown:
        grown = False
        for kind in inputs:
            fields: dict[str, Surcharge] = {}
            for name, field in kind.fields.items():
                declared, below = cost_of(field), _name(field.type)
                if declared.work or below in found:
                    fields[name] = _given(declared, below if below in found else None)
            if fields and found.get(kind.name) != fields:
                found[kind.name], grown = fields, True
    return found


def _slices(node: FieldNode, definition: GraphQLField) -> tuple[Size, ...]:
    """The arguments that set the length of a page; a default counts unless the client gives one of them."""
    given = {a.name.value: a.value for a in node.arguments or ()}
    sizes: list[Size] = []
    for name in SLICES:
        if name not in definition.args:
            continue
        value = given.get(name)
        default: object = definition.args[name].default_value
        if isinstance(value, VariableNode):
            sizes.append(Variable(value.name.value, default if isinstance(default, int) else ASSUMED))
        elif isinstance(value, IntValueNode):
            sizes.append(max(0, int(value.value)))
        elif value is None and isinstance(default, int):
            sizes.append(default)
    return tuple(sizes)


def _lengths(node: FieldNode, definition: GraphQLField) -> tuple[Size, ...]:
    """The lengths of the lists given as arguments."""

    def length(value: ValueNode) -> Size:
        if isinstance(value, VariableNode):
            return Variable(value.name.value, 1)
        return len(value.values) if isinstance(value, ListValueNode) else 1

    return tuple(
        length(a.value)
        for a in node.arguments or ()
        if a.name.value in definition.args and _is_list(definition.args[a.name.value].type)  # pyright: ignore[reportUnknownMemberType] - generic in graphql-core
    )


def _is_list(type_: Any) -> bool:
    return isinstance(type_.of_type if isinstance(type_, GraphQLNonNull) else type_, GraphQLList)  # pyright: ignore[reportUnknownMemberType] - generic in graphql-core


def _spreads(selection_set: SelectionSetNode) -> list[str]:
    names: list[str] = []
    stack = [selection_set]
    while stack:
        for node in stack.pop().selections:
            if isinstance(node, FragmentSpreadNode):
                names.append(node.name.value)
            elif isinstance(node, (FieldNode, InlineFragmentNode)) and node.selection_set is not None:
                stack.append(node.selection_set)
    return names


@cache
def _standard_introspection() -> DocumentNode:
    """The query of tools that read a whole schema."""
    return parse(
        get_introspection_query(specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True)
    )


def _introspection_sizes(schema: GraphQLSchema) -> dict[tuple[str, str], int]:
    """The average lengths of the introspection lists in `schema`."""
    types = [t for t in schema.type_map.values() if isinstance(t, GraphQLObjectType)]
    fields = [f for t in types for f in t.fields.values()]
    per_type = max(1, len(fields) // max(1, len(types)))
    per_field = 1 + sum(len(f.args) for f in fields) // max(1, len(fields))
    return {
        ("__Schema", "types"): len(schema.type_map),
        ("__Schema", "directives"): len(schema.directives),
        ("__Type", "fields"): per_type,
        ("__Type", "inputFields"): per_type,
        ("__Type", "enumValues"): per_type,
        ("__Type", "interfaces"): 2,
        ("__Type", "possibleTypes"): 2,
        ("__Field", "args"): per_field,
        ("__Directive", "args"): per_field,
        ("__Directive", "locations"): per_field,
    }
