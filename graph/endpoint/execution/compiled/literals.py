"""Literals in a document: constant ones are coerced once, those with variables become closures.

A literal without variables is coerced when the operation is compiled, if its type is one of GraphQL's own or an enum
(others may make something new of a literal each time) and if whoever gets the value cannot change it.
"""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from graphql import (
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    Undefined,
    VariableNode,
    get_named_type,
    is_enum_type,
    is_required_input_field,
    specified_scalar_types,
)
from graphql.utilities.coerce_input_value import (
    coerce_default_value,
    coerce_input_literal,  # pyright: ignore[reportUnknownVariableType] - its types are partial
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from graphql import ValueNode

Literal: TypeAlias = "Callable[[dict[str, Any]], Any]"
"""Gives a value by the coerced variables; Undefined where there is none."""
_FieldEntry: TypeAlias = "tuple[str, str | None, Literal | None, Any]"
"""A field of an input object: its name there, its variable, its literal, what it is without them."""

_IMMUTABLE = frozenset(
    {str, int, float, bool, bytes, type(None), decimal.Decimal, uuid.UUID,
     dt.datetime, dt.date, dt.time, dt.timedelta}
)  # fmt: skip


def immutable(value: object) -> bool:
    """Whether `value` may be given to several requests."""
    return type(value) in _IMMUTABLE or isinstance(value, enum.Enum)


def pure(type_: Any) -> bool:
    """Whether the same literal always gives the same value of `type_`."""
    named = cast("Any", get_named_type)(type_)
    if isinstance(named, GraphQLInputObjectType):
        return False
    return is_enum_type(named) or any(named is one for one in specified_scalar_types.values())


def mentions(node: ValueNode) -> bool:
    """Whether there is a variable in `node`."""
    stack = [node]
    while stack:
        one = stack.pop()
        if isinstance(one, VariableNode):
            return True
        if isinstance(one, ListValueNode):
            stack += one.values
        elif isinstance(one, ObjectValueNode):
            stack += [entry.value for entry in one.fields]
    return False


UNKNOWN = object()


def default_of(argument: Any) -> Any:
    """The default of an argument or input field; Undefined without one, `UNKNOWN` where graphql-core must say."""
    try:
        return coerce_default_value(argument)
    except Exception:  # noqa: BLE001 - whatever a scalar raises
        return UNKNOWN


def compile_literal(node: ValueNode, type_: Any) -> Literal | None:
    """What gives the value of `node` as a `type_`, Undefined if there is none; None: graphql-core must say."""
    if isinstance(node, VariableNode):
        return _variable(node.name.value, nullable=not isinstance(type_, GraphQLNonNull))
    if not mentions(node):
        value = coerce_input_literal(node, type_) if pure(type_) else Undefined
        return (lambda _: value) if immutable(value) else None
    if isinstance(type_, GraphQLNonNull):
        return None if isinstance(node, NullValueNode) else compile_literal(node, cast("Any", type_).of_type)
    if isinstance(type_, GraphQLList):
        return _list(node, cast("Any", type_).of_type)
    if isinstance(type_, GraphQLInputObjectType) and isinstance(node, ObjectValueNode):
        return _object(node, type_)
    return None


def _variable(name: str, *, nullable: bool) -> Literal:
    def value(variables: dict[str, Any]) -> Any:
        found = variables.get(name, Undefined)
        return Undefined if found is None and not nullable else found

    return value


def _list(node: ValueNode, item_type: Any) -> Literal | None:
    nodes = node.values if isinstance(node, ListValueNode) else (node,)
    items = [compile_literal(one, item_type) for one in nodes]
    if any(one is None for one in items):
        return None
    # A variable that is left out is null in a list that may hold nulls.
    nulls = [
        isinstance(node, ListValueNode) and isinstance(one, VariableNode) and not isinstance(item_type, GraphQLNonNull)
        for one in nodes
    ]
    parts = list(zip(cast("list[Literal]", items), nulls, strict=True))

    def value(variables: dict[str, Any]) -> Any:
        found: list[Any] = []
        for item, null in parts:
            one = item(variables)
            if one is Undefined:
                if not null:
                    return Undefined
                one = None
            found.append(one)
        return found

    return value


def _object(node: ObjectValueNode, type_: GraphQLInputObjectType) -> Literal | None:
    given = {one.name.value: one.value for one in node.fields}
    if any(name not in type_.fields for name in given):
        return None
    parts: list[_FieldEntry] = []
    for name, field in type_.fields.items():
        part = _entry(name, field, given.get(name))
        if part is None:
            return None
        parts.append(part)

    filled = _filling(parts)

    def value(variables: dict[str, Any]) -> Any:
        found = filled(variables)
        if found is None:
            return Undefined
        if type_.is_one_of and (len(given) != 1 or len(found) != 1 or any(one is None for one in found.values())):
            return Undefined
        return type_.out_type(found)

    return value


def _filling(parts: list[_FieldEntry]) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    """What fills an input object in; None where a value is missing or wrong."""

    def fill(variables: dict[str, Any]) -> dict[str, Any] | None:
        found: dict[str, Any] = {}
        for name, variable, literal, default in parts:
            if literal is not None and (variable is None or variable in variables):
                one = literal(variables)
                if one is Undefined:
                    return None
            elif default is UNKNOWN:
                return None
            elif default is Undefined:
                continue
            else:
                one = default
            found[name] = one
        return found

    return fill


def _entry(name: str, field: Any, value: ValueNode | None) -> _FieldEntry | None:
    """How a field of an input object is found; None: graphql-core must say."""
    default = UNKNOWN if is_required_input_field(field) else default_of(field)
    literal = None if value is None else compile_literal(value, field.type)
    if (value is not None and literal is None) or (value is None and default is UNKNOWN):
        return None
    return field.out_name or name, value.name.value if isinstance(value, VariableNode) else None, literal, default
