"""What tells a router's kept answers from those of others: how it signs in, makes a context, and resolves its fields.

Text that is the same in every process that runs the same code, whatever the seed of hashes, and in none that is given
something else: of functions it has the name, and whatever is bound to them: arguments of a `partial`, variables that a
closure keeps, what a method's object holds. Of these only plain values are seen, also in lists and dicts: of anything
else, as a connection, only the class and the plain values that it holds itself.
"""

from __future__ import annotations

import enum
import functools
from types import CodeType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any, cast

from graphql import GraphQLInterfaceType, GraphQLObjectType

from graph.endpoint.declare import core_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from strawberry import Schema

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_BOUND: tuple[type[Any], ...] = (str, bytes, bool, int, type(None), FunctionType, MethodType, functools.partial)
_DEPTH = 5
_MOST = 100
"""Entries of a container that are seen: one of more is data, which may differ between processes."""


def realm_name(schema: Schema, *functions: object) -> str:
    """The text for a router of `schema` that has been given `functions`."""
    return "\0".join((*(_told(one) for one in functions), *_bound_resolvers(schema)))


def _bound_resolvers(schema: Schema) -> list[str]:
    """Resolvers that keep something of where they were made: two schemas of one factory differ in nothing else."""
    found: list[str] = []
    for kind in core_of(schema).type_map.values():
        if isinstance(kind, (GraphQLObjectType, GraphQLInterfaceType)):
            for name, field in kind.fields.items():
                definition: Any = field.extensions.get("strawberry-definition")
                resolver = getattr(getattr(definition, "base_resolver", None), "wrapped_func", None)
                if getattr(resolver, "__closure__", None) or not isinstance(resolver, FunctionType | None):
                    found.append(f"{kind.name}.{name}={_told(resolver)}")
    return sorted(found)


def _told(value: object, depth: int = _DEPTH) -> str:
    if isinstance(value, _PLAIN):
        return repr(value)
    if isinstance(value, enum.Enum):
        return f"{_name(type(value))}.{value.name}"
    if isinstance(value, FunctionType):
        return f"{_name(value)}{_all(_kept(value), depth)}"
    if hasattr(value, "__qualname__") and not isinstance(value, MethodType):  # a class, or what is written in C
        return _name(value)
    return f"{_name(type(value))}{_all(_parts(value), depth)}"


def _parts(value: object) -> Iterable[object]:
    """What is seen of an object."""
    if isinstance(value, functools.partial):
        bound = cast("functools.partial[Any]", value)
        return bound.func, bound.args, bound.keywords
    if isinstance(value, MethodType):
        return value.__func__, value.__self__
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        entries = cast("Collection[Any]", value)
        if len(entries) > _MOST:
            return ()
        if isinstance(value, dict):
            return sorted(cast("dict[Any, Any]", value).items(), key=_told)
        return entries if isinstance(value, (list, tuple)) else sorted(entries, key=_told)
    names = sorted({*getattr(value, "__dict__", {}), *getattr(value, "__dataclass_fields__", {})})
    held: list[tuple[str, Any]] = [(name, getattr(value, name, None)) for name in names]
    return [(name, one) for name, one in held if isinstance(one, _BOUND)]


def _kept(function: FunctionType) -> Iterable[object]:
    """What is bound to a function, and what it is made of if it has no name."""
    yield function.__defaults__
    yield function.__kwdefaults__
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not bound yet
            yield None
    if function.__name__ == "<lambda>":
        yield from _code(function.__code__)


def _code(code: CodeType) -> Iterable[object]:
    yield code.co_code
    yield code.co_names
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield from _code(one)
        else:
            yield one


def _all(values: Iterable[object], depth: int) -> str:
    return f"({','.join(_told(one, depth - 1) for one in values)})" if depth > 0 else ""


def _name(named: object) -> str:
    """The name of a class or function, which is the same in every process."""
    return f"{getattr(named, '__module__', '')}.{getattr(named, '__qualname__', type(named).__qualname__)}"
