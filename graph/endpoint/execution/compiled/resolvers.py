"""Strawberry's resolvers without Strawberry's wrapper, where what the wrapper does is known.

Strawberry puts one function of its own around every resolver. It finds out at every call what is known when the schema
is built: which arguments there are and how each is converted, whether the resolver wants the object, the root or the
info. Here that is found out once a field.

Only Strawberry's own, unchanged machinery is passed by: a subclass of `StrawberryField` with a `get_result` of its own,
a field with exception handlers, an asynchronous generator, a schema of another make are all called as they are. The
extensions of a field, permissions among them, are called as Strawberry calls them.
"""

from __future__ import annotations

from functools import partial
from inspect import CO_COROUTINE, iscoroutinefunction
from typing import TYPE_CHECKING, Any, cast

from strawberry.extensions.field_extension import build_field_extension_resolvers
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import StrawberryResolver
from strawberry.utils.await_maybe import await_maybe

from graph.endpoint.execution.compiled.arguments import compile_arguments
from graph.endpoint.execution.compiled.basics import Field, PathNode, Run, path_of
from graph.endpoint.execution.compiled.conversion import Conversion

if TYPE_CHECKING:
    from collections.abc import Callable

    from strawberry import Schema

    from graph.endpoint.execution.compiled.arguments import Arguments

_MODULE = "strawberry.schema.schema_converter"
_WITHIN = "GraphQLCoreConverter.from_resolver.<locals>."


class Resolvers:
    """The fields of one schema."""

    def __init__(self, schema: Schema) -> None:
        """Read the converter's settings from `schema`."""
        self._info_class: Any = schema.config.info_class
        self._conversion = Conversion(schema)

    def attribute(self, field: Field) -> str | None:
        """The attribute that is the value of `field`; None where it is not one."""
        definition = _definition(field)
        if definition is None or _wrapper(field) != "_get_basic_result":
            return None
        if field.definition.args or field.nodes[0].arguments or definition.default_resolver is not getattr:
            return None
        return definition.python_name

    def resolver(self, field: Field) -> Callable[[Run, Any, PathNode], Any] | None:
        """A function that calls the resolver of `field` directly; None where Strawberry may do more than that."""
        definition: Any = _definition(field)
        if definition is None:
            return None
        base: Any = definition.base_resolver
        if type(base) is not StrawberryResolver:
            return None
        function = cast("Any", base).wrapped_func
        wrapper = _wrapper(field)
        if wrapper == "_async_resolver":
            if not iscoroutinefunction(function):
                return None
        elif wrapper != "_resolver" or not callable(function):
            return None
        if _free(field.definition.resolve, "field_exception_handlers"):
            return None
        return self._calling(field, definition, function, lazily=wrapper == "_async_resolver")

    def _calling(
        self, field: Field, definition: Any, function: Any, *, lazily: bool
    ) -> Callable[[Run, Any, PathNode], Any]:
        resolver = definition.base_resolver
        positional = resolver.self_parameter is not None
        names = [one.name for one in (resolver.parent_parameter, resolver.root_parameter) if one is not None]
        info_name = resolver.info_parameter.name if resolver.info_parameter is not None else None
        info_class, wanted, key, parent = self._info_class, field.definition, field.key, field.parent
        arguments = compile_arguments(field)
        convert, plain = self._conversion.arguments(definition)

        def info_at(run: Run, place: PathNode) -> Any:
            raw = run.build_resolve_info(wanted, field.nodes, parent, path_of((place, key, parent.name)))
            return info_class(_raw_info=raw, _field=definition)

        maps, around = _around(definition, function, positional=positional)
        simple = plain and around is None
        informed = info_name is not None or not simple

        def call(run: Run, source: Any, place: PathNode, given: dict[str, Any]) -> Any:
            info = info_at(run, place) if informed else None
            kwargs = convert(given, info)
            for change in maps:
                kwargs = change(kwargs)
            for name in names:
                kwargs[name] = source
            if info_name is not None:
                kwargs[info_name] = info
            if around is not None:
                return around(source, info, kwargs)
            return function(source, **kwargs) if positional else function(**kwargs)

        async def call_later(run: Run, source: Any, place: PathNode, given: dict[str, Any]) -> Any:
            return await await_maybe(call(run, source, place, given))

        # An asynchronous resolver's arguments are converted when it is awaited: that may run somebody's code. Where it
        # cannot, calling a coroutine function runs nothing yet.
        at_once = lazily and simple and _is_native(function)
        return _resolving(call_later if lazily and not at_once else call, arguments, at_once=at_once)


def _resolving(start: Any, arguments: Arguments | None, *, at_once: bool) -> Callable[[Run, Any, PathNode], Any]:
    """What gives the arguments of a field to `start`; `at_once` when that calls a coroutine function."""
    nothing: dict[str, Any] = {}

    def resolve(run: Run, source: Any, place: PathNode) -> Any:
        given = arguments(run) if arguments is not None else nothing
        try:
            return start(run, source, place, given)
        except Exception as error:
            if at_once:  # an argument is missing; Strawberry finds out when it awaits
                return _failing(error)
            raise

    return resolve


def _around(
    definition: Any, function: Any, *, positional: bool
) -> tuple[list[Any], Callable[[Any, Any, dict[str, Any]], Any] | None]:
    """What the extensions of a field (permissions are one) do to arguments, and what calls `function` through them."""
    if not definition.extensions:
        return [], None
    maps = [one.map_arguments for one in definition.extensions]
    links = build_field_extension_resolvers(definition)

    def call(source: Any, info: Any, kwargs: dict[str, Any]) -> Any:
        wanted = "info" in kwargs
        kwargs.pop("info", None)  # the extensions are given it, and may give another

        def innermost(_source: Any, info: Any, **kwargs: Any) -> Any:
            if wanted:
                kwargs["info"] = info
            return function(source, **kwargs) if positional else function(**kwargs)

        chain: Any = innermost
        for link in links:
            chain = partial(link, chain)
        return chain(source, info, **kwargs)

    return maps, call


async def _failing(error: Exception) -> Any:
    raise error


def _is_native(function: Any) -> bool:
    """Whether calling `function` does no more than make a coroutine."""
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code is not None and bool(code.co_flags & CO_COROUTINE)


def _definition(field: Field) -> StrawberryField | None:
    """Strawberry's field, unless somebody has changed how such a field gets its result."""
    extensions: dict[str, Any] = field.definition.extensions or {}
    definition = extensions.get("strawberry-definition")
    if isinstance(definition, StrawberryField) and type(definition).get_result is StrawberryField.get_result:
        return definition
    return None


def _wrapper(field: Field) -> str | None:
    """The name of Strawberry's own function around the resolver; None for any other function."""
    function: Any = field.definition.resolve
    name = str(getattr(function, "__qualname__", ""))
    if getattr(function, "__module__", None) != _MODULE or not name.startswith(_WITHIN):
        return None
    return name.removeprefix(_WITHIN)


def _free(function: Any, name: str) -> Any:
    """The value of a free variable of `function`; something if there is no such variable, for who knows then."""
    names = function.__code__.co_freevars
    return function.__closure__[names.index(name)].cell_contents if name in names else name
