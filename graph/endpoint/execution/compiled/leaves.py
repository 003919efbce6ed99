"""Leaves: the built-in scalars and enums by their types, any other scalar by what it says itself."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from math import isfinite
from typing import TYPE_CHECKING, Any, NoReturn, cast

from graphql import GraphQLBoolean, GraphQLFloat, GraphQLID, GraphQLInt, GraphQLNonNull, GraphQLString, Undefined
from graphql.pyutils import inspect
from strawberry.schema.schema_converter import CustomGraphQLEnumType

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.endpoint.execution.compiled.basics import Complete, PathNode, Run

MIN_INT, MAX_INT = -(2**31), 2**31 - 1


def absent(value: object, null: str | None) -> bool:
    """Whether `value` is null; raises TypeError where it must not be. An exception that was returned is raised."""
    if isinstance(value, Exception):
        raise value
    if value is None or value is Undefined:
        if null is not None:
            raise TypeError(null)
        return True
    return False


async def _settled(awaitable: Any) -> Any:
    return await awaitable


def plain_type(type_: Any) -> type | None:
    """The Python type whose values are already complete, if `type_` has one."""
    if isinstance(type_, GraphQLNonNull):
        type_ = cast("Any", type_).of_type
    if type_ is GraphQLString or type_ is GraphQLID:
        return str
    return bool if type_ is GraphQLBoolean else None


def complete_leaf_value(error: Exception) -> NoReturn:
    """Raise `error` from a frame of this name: it tells `errors` that a result was wrong, and not a client."""
    raise error


@lru_cache(maxsize=4096)
def compile_leaf(type_: Any, null: str | None) -> Complete:
    """The closure that completes values of a leaf; `null` as in `values.compile_value`. Documents share it."""
    coerce = type_.coerce_output_value
    known = known_value(type_)

    def complete(run: Run, value: Any, place: PathNode) -> Any:  # noqa: ARG001 - as every closure of its kind
        if value is None or isinstance(value, Exception) or value is Undefined:
            absent(value, null)
            return None
        if known is not None and (quick := known(value)) is not None:
            return quick
        try:
            coerced = coerce(value)
            if coerced is None or coerced is Undefined:
                told = f"Expected `{inspect(type_)}.coerce_output_value({inspect(value)})`"
                raise TypeError(f"{told} to return non-nullable value, returned: {inspect(coerced)}")  # noqa: TRY301 - from the frame below
        except Exception as error:  # noqa: BLE001 - whatever a scalar raises
            return complete_leaf_value(error)
        if type(coerced) is str:
            return coerced
        return _settled(coerced) if run.is_awaitable(coerced) else coerced

    return complete


def known_value(type_: Any) -> Callable[[Any], Any] | None:
    """A function that serialises values of the expected type of a well-known leaf, and returns None for others."""
    if type_ is GraphQLInt:
        return lambda value: value if type(value) is int and MIN_INT <= value <= MAX_INT else None
    if type_ is GraphQLFloat:
        return lambda value: value if type(value) is float and isfinite(value) else None
    if type(type_) is CustomGraphQLEnumType:
        members: Any = type_.wrapped_cls
        names: dict[Any, str] = {}
        for member in members:
            with suppress(ValueError):
                names[member] = type_.coerce_output_value(member)
        return lambda value: names.get(value) if type(value) is members else None
    return None
