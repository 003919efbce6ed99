"""Completes values: turns a resolver's result into what the client gets, by the type of the field.

Each function here compiles one type into a closure. The closure does what graphql-core's `Executor.complete_value` does
with a value of that type, but knows beforehand what graphql-core asks of every value. A member of a union is known by
its class. What is rare (interfaces, classes that do not tell, types with a check of their own, asynchronous iterables)
it hands to the executor's own methods, which come back to compiled code for the selections below.

A closure returns the completed value, or a coroutine (of exactly that type) where something below is awaited.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from graphql import (
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLUnionType,
    is_abstract_type,
    is_leaf_type,
)
from graphql.execution.executor import collect_iterator_awaitables
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from graph.endpoint.blame import NoNode, is_of_nodes
from graph.endpoint.declare import Rows
from graph.endpoint.execution.compiled.basics import (
    COROUTINE,
    MISSED,
    Complete,
    Field,
    Guard,
    PathNode,
    RowsReader,
    Run,
    awaited,
    info_of,
    path_of,
)
from graph.endpoint.execution.compiled.leaves import absent, compile_leaf, plain_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def compile_value(field: Field, type_: Any, null: str | None = None) -> Complete:
    """The closure that completes values of `type_` in `field`; `null` is the error for none, where none is wrong."""
    if isinstance(type_, GraphQLNonNull):
        wrapped: Any = cast("Any", type_).of_type
        null = f"Cannot return null for non-nullable field {field.parent}.{field.name}."
        return compile_value(field, wrapped, NoNode(null) if is_of_nodes(field.definition) else null)
    if isinstance(type_, GraphQLList):
        return _list(field, type_, null)
    if is_leaf_type(type_):
        return compile_leaf(type_, null)
    if is_abstract_type(type_):
        return _abstract(field, type_, null)
    return _object(field, type_, null)


# --- objects ---


def _object(field: Field, type_: GraphQLObjectType, null: str | None) -> Complete:
    execute = field.variant.selection(type_, field.details)
    expected = _expected(type_)
    details, checked = field.details, type_.is_type_of is not None

    def complete(run: Run, value: Any, place: PathNode) -> Any:
        if (
            execute is not None
            and type(value) is expected
            and (not checked or getattr(value, TYPE_CAST_ATTRIBUTE, None) is None)
        ):
            return execute(run, value, place)
        if absent(value, null):
            return None
        if execute is not None and not checked:
            return execute(run, value, place)
        info = info_of(run, field, place)
        return run.complete_object_value(type_, details, info, path_of(place), value, None)

    return complete


def _expected(type_: GraphQLObjectType) -> type | None:
    """The class whose instances are certainly of `type_`, unless they were cast; None where there is none."""
    definition = type_.extensions.get("strawberry-definition")
    if not isinstance(definition, StrawberryObjectDefinition) or issubclass(definition.origin, Exception):
        return None
    check = type_.is_type_of
    if check is None or _is_strawberrys(check, "GraphQLCoreConverter.from_object.<locals>._get_is_type_of"):
        return definition.origin
    return None


def trusted_type(type_: Any) -> type | None:
    """The class of objects of `type_` that are certainly not awaitable, if there is one."""
    if isinstance(type_, GraphQLNonNull):
        type_ = cast("Any", type_).of_type
    expected = _expected(type_) if isinstance(type_, GraphQLObjectType) else None
    return None if expected is None or hasattr(expected, "__await__") or hasattr(expected, "__getattr__") else expected


def _is_strawberrys(function: Any, within: str, module: str = "strawberry.schema.schema_converter") -> bool:
    return (
        getattr(function, "__module__", None) == module
        and str(getattr(function, "__qualname__", "")).rpartition(".<locals>.")[0] == within
    )


def _abstract(field: Field, type_: Any, null: str | None) -> Complete:
    details, selection = field.details, field.variant.selection
    members = _members(type_)

    def complete(run: Run, value: Any, place: PathNode) -> Any:
        kind: Any = type(value)  # pyright: ignore[reportUnknownVariableType] - of anything
        member = members.get(kind)
        if member is not None and getattr(value, TYPE_CAST_ATTRIBUTE, None) is None:
            execute = selection(member, details)
            if execute is not None:
                return execute(run, value, place)
        if absent(value, null):
            return None
        info = info_of(run, field, place)
        return run.complete_abstract_value(type_, details, info, path_of(place), value, None)

    return complete


@lru_cache(maxsize=1024)
def _members(type_: Any) -> dict[type, GraphQLObjectType]:
    """The object types of a union by the classes whose instances certainly belong to them, unless they were cast."""
    if not isinstance(type_, GraphQLUnionType) or not _is_strawberrys(
        type_.resolve_type, "StrawberryUnion.get_type_resolver", "strawberry.types.union"
    ):
        return {}
    found = {expected: one for one in type_.types if (expected := _plain_class(one)) is not None}
    return found if len(found) == len(type_.types) else {}


def _plain_class(type_: GraphQLObjectType) -> type | None:
    """The class of objects of `type_`, where no other object type comes into question for them."""
    expected = _expected(type_)
    own: Any = getattr(expected, "__strawberry_definition__", None)
    if own is None or own is not type_.extensions.get("strawberry-definition"):
        return None
    return None if own.concrete_of is not None or own.is_graphql_generic else expected


# --- lists ---


def _list(field: Field, type_: Any, null: str | None) -> Complete:
    details = field.details
    complete_all = _items(field, type_.of_type)
    reader = _reader(field, type_.of_type)

    def complete(run: Run, value: Any, place: PathNode) -> Any:
        if type(value) is Rows:
            rows = cast("Rows[Any]", value)
            if reader is not None and (made := reader.read(rows)) is not MISSED:
                return made
            value = rows.objects()
        if type(value) is not list and type(value) is not tuple:
            if absent(value, null):
                return None
            return run.complete_list_value(type_, details, info_of(run, field, place), path_of(place), value, None)
        results: list[Any] = []
        waiting: list[int] = []
        items = iter(cast("list[Any]", value))
        try:
            complete_all(run, items, place, results, waiting)
        except Exception:
            left = [results[one] for one in waiting]
            left += collect_iterator_awaitables(items, run.is_awaitable)
            if left:
                run.settle_in_background(left)
            raise
        return awaited(results, waiting) if waiting else results

    return complete


def _reader(field: Field, item_type: Any) -> RowsReader | None:
    if isinstance(item_type, GraphQLNonNull):
        item_type = cast("Any", item_type).of_type
    return field.variant.rows(item_type, field.details) if isinstance(item_type, GraphQLObjectType) else None


def _items(field: Field, item_type: Any) -> Callable[[Run, Iterator[Any], PathNode, list[Any], list[int]], None]:
    """What completes items into a list, and notes the places of those that must be awaited."""
    plain = plain_type(item_type)
    guard = Guard(item_type, field.details, compile_value(field, item_type), trusted_type(item_type))

    def complete_all(run: Run, items: Iterator[Any], place: PathNode, results: list[Any], waiting: list[int]) -> None:
        give = guard.give
        for index, item in enumerate(items):
            if type(item) is plain:
                results.append(item)
                continue
            completed = give(run, item, (place, index, None))
            if type(completed) is COROUTINE:
                waiting.append(index)
            results.append(completed)

    return complete_all
