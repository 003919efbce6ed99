"""Checks whether the fields of a document can be merged, in time linear in the size of the expanded document.

It gives the same result as graphql-core's `OverlappingFieldsCanBeMergedRule` (GraphQL specification, "Field Selection
Merging"), which compares every pair of fields that share a response name: 245 copies of one field took it half a
second. Here fields are grouped instead (Simon Adameit, "GraphQL overlapping fields can be merged fast", 2019): all
fields of one response name must have the same shape, and those whose parents may be the same object must be the
same field with the same arguments. Each set of fields is checked only once.

A document with fragments may still expand to much more than its own size. `STEPS` bounds that: a document that takes
more steps is refused as `TOO_COMPLEX`, like any other that asks for too much.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    OperationDefinitionNode,
    ValidationRule,
    get_named_type,
    is_leaf_type,
    print_ast,
)

from graph.endpoint.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from graphql import DocumentNode, GraphQLNamedType, GraphQLSchema, SelectionSetNode, ValidationContext

STEPS = 10_000
"""Field checks, repeated ones included. A document of 1,000 tokens without fragments takes fewer than 1,000."""


class _Field:
    """A field of the document; its shape and identity are computed only when it shares a name with another field."""

    __slots__ = ("_identity", "_shape", "definition", "name", "node", "parent", "stream")

    def __init__(self, node: FieldNode, parent: GraphQLNamedType | None) -> None:
        self.node = node
        self.parent = parent
        self.name = node.alias.value if node.alias else node.name.value
        fields: Any = parent.fields if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) else {}
        self.definition: Any = fields.get(node.name.value)
        self.stream = any(one.name.value == "stream" for one in node.directives or ())
        self._shape: tuple[str, ...] | None = None
        self._identity: tuple[Any, ...] | None = None

    @property
    def shape(self) -> tuple[str, ...] | None:
        """The lists, non-nulls and leaf of the field's type; None where the field is unknown."""
        if self._shape is None and self.definition is not None:
            self._shape = _shape(self.definition.type)
        return self._shape

    @property
    def identity(self) -> tuple[Any, ...]:
        """The field's name and arguments."""
        if self._identity is None:
            arguments = self.node.arguments or ()
            given = {one.name.value: _value(one.value) for one in arguments}
            self._identity = self.node.name.value, len(arguments), frozenset(given.items())
        return self._identity


class _Todo(NamedTuple):
    """A set of fields to check: for the same shape, for being the same field, or both."""

    fields: list[_Field]
    shapes: bool
    parents: bool


class MergeableFieldsRule(ValidationRule):
    """Reports fields that cannot be merged, when the visit enters the document."""

    def __init__(self, context: ValidationContext) -> None:
        """Check the document of `context`."""
        super().__init__(context)

    def enter_document(self, node: DocumentNode, *_args: Any) -> None:
        """Check the whole document. Raises `Refusal` for one that expands too far."""
        context = cast("Any", self.context)
        for error in conflicts(context.schema, node):
            self.report_error(error)


def conflicts(schema: GraphQLSchema, document: DocumentNode, steps: int = STEPS) -> Generator[GraphQLError]:
    """The conflicts between fields of `document`. Raises `Refusal` when that takes more than `steps` steps."""
    return Merging(schema, document, steps).conflicts()


class Merging:
    """The check of one document."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, steps: int = STEPS) -> None:
        """Check `document` in at most `steps` steps."""
        self._schema = schema
        self._document = document
        self.left = steps
        self._fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
        self._fields: dict[int, _Field] = {}
        self._seen: set[tuple[frozenset[int], bool, bool]] = set()
        self._told: set[tuple[int, int]] = set()
        self._reached: set[str] = set()

    def conflicts(self) -> Generator[GraphQLError]:
        """Check the operations, then the fragments that no operation spreads."""
        for definition in self._document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                root = self._schema.get_root_type(definition.operation)
                yield from self._check([(definition.selection_set, root)])
        for name, fragment in self._fragments.items():
            if name not in self._reached:
                yield from self._check([(fragment.selection_set, self._type(fragment.type_condition))])

    def _check(self, root: list[tuple[SelectionSetNode, GraphQLNamedType | None]]) -> Generator[GraphQLError]:
        stack = [_Todo(self._spread_out(root), shapes=True, parents=True)]
        while stack:
            todo = stack.pop()
            groups: dict[str, list[_Field]] = {}
            for field in todo.fields:
                groups.setdefault(field.name, []).append(field)
            for group in groups.values():
                yield from self._group(group, todo, stack)

    def _group(self, group: list[_Field], todo: _Todo, stack: list[_Todo]) -> Generator[GraphQLError]:
        """Check the fields of one response name, and put the selections below them on the `stack`."""
        if len(group) == 1:
            self._below(group, stack, shapes=todo.shapes, parents=todo.parents)
            return
        if todo.shapes:
            yield from self._same_shape(group)
        kin = self._kin(group) if todo.parents else []
        for some in kin:
            first = some[0]
            for other in some[1:]:
                if other.identity != first.identity:
                    yield from self._tell(first, other, _difference(first, other))
        if todo.parents and len(kin) == 1:
            self._below(group, stack, shapes=todo.shapes, parents=True)
            return
        if todo.shapes:
            self._below(group, stack, shapes=True, parents=False)
        for some in kin:
            self._below(some, stack, shapes=False, parents=True)

    def _same_shape(self, group: list[_Field]) -> Generator[GraphQLError]:
        known = [field for field in group if field.shape is not None]
        for other in known[1:]:
            if other.shape != known[0].shape:
                types = [one.definition.type for one in (known[0], other)]
                yield from self._tell(known[0], other, "they return conflicting types '{}' and '{}'".format(*types))
        streaming = next((field for field in group if field.stream), None)
        if streaming is not None:
            other = next(field for field in group if field is not streaming)
            yield from self._tell(streaming, other, "they have overlapping stream directives")

    def _kin(self, group: list[_Field]) -> list[list[_Field]]:
        """Group the fields of `group` whose parents may be the same object."""
        abstract: list[_Field] = []
        concrete: dict[str, list[_Field]] = {}
        for field in group:
            if isinstance(field.parent, GraphQLObjectType):
                concrete.setdefault(field.parent.name, []).append(field)
            else:
                abstract.append(field)
        self._step(len(abstract) * max(0, len(concrete) - 1))
        return [abstract + some for some in concrete.values()] or [abstract]

    def _below(self, fields: list[_Field], stack: list[_Todo], *, shapes: bool, parents: bool) -> None:
        """Put the selections below `fields`, taken together, on the `stack`, unless they were checked before."""
        sets = [(f.node.selection_set, f) for f in fields if f.node.selection_set is not None]
        if not sets:
            return
        key = frozenset(id(one) for one, _ in sets), shapes, parents
        if key not in self._seen:
            self._seen.add(key)
            below = [(one, _named(field)) for one, field in sets]
            stack.append(_Todo(self._spread_out(below), shapes, parents))

    def _spread_out(self, sets: Iterable[tuple[SelectionSetNode, GraphQLNamedType | None]]) -> list[_Field]:
        """The fields of selection sets, each once, including those of the fragments in them."""
        found: dict[int, _Field] = {}
        spread: set[str] = set()
        stack = list(sets)[::-1]
        while stack:
            selection_set, parent = stack.pop()
            self._step(1 + len(selection_set.selections))
            for node in selection_set.selections:
                if isinstance(node, FieldNode):
                    field = self._fields.get(id(node))
                    if field is None:
                        field = self._fields[id(node)] = _Field(node, parent)
                    found[id(node)] = field
                elif isinstance(node, FragmentSpreadNode):
                    name = node.name.value
                    fragment = self._fragments.get(name)
                    if fragment is not None and name not in spread:
                        spread.add(name)
                        self._reached.add(name)
                        stack.append((fragment.selection_set, self._type(fragment.type_condition)))
                else:
                    condition = cast("Any", node).type_condition
                    inner = parent if condition is None else self._type(condition)
                    stack.append((cast("Any", node).selection_set, inner))
        return list(found.values())

    def _type(self, condition: Any) -> GraphQLNamedType | None:
        return self._schema.type_map.get(condition.name.value)

    def _step(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Refusal("TOO_COMPLEX", "The fragments of the document spread out too far.")

    def _tell(self, one: _Field, other: _Field, reason: str) -> Generator[GraphQLError]:
        pair = id(one.node), id(other.node)
        if pair not in self._told:
            self._told.add(pair)
            yield GraphQLError(
                f"Fields '{one.name[:100]}' conflict because {reason}."
                " Use different aliases on the fields to fetch both if this was intentional.",
                [one.node, other.node],
            )


def _difference(one: _Field, other: _Field) -> str:
    names = one.node.name.value, other.node.name.value
    if names[0] != names[1]:
        return f"'{names[0][:100]}' and '{names[1][:100]}' are different fields"
    return "they have differing arguments"


def _named(field: _Field) -> GraphQLNamedType | None:
    return None if field.definition is None else cast("GraphQLNamedType", get_named_type(field.definition.type))


def _shape(type_: Any) -> tuple[str, ...]:
    """The shape of a type: two types conflict if it differs. Composite types are compared field by field elsewhere."""
    found: list[str] = []
    while isinstance(type_, GraphQLList | GraphQLNonNull):
        found.append("[]" if isinstance(type_, GraphQLList) else "!")
        type_ = cast("Any", type_).of_type
    found.append(type_.name if is_leaf_type(type_) else "{}")
    return tuple(found)


def _value(node: Any) -> str:
    """A text that is equal for equal values; the order of an object's fields does not matter."""
    if node.kind == "object_value":
        return f"{{{','.join(sorted(f'{one.name.value}:{_value(one.value)}' for one in node.fields))}}}"
    if node.kind == "list_value":
        return f"[{','.join(_value(one) for one in node.values)}]"
    return print_ast(node)
