"""One field of a selection: find its value, complete it, and put an error where it belongs.

A field that is an attribute of its object (a Strawberry field without a resolver) is read by whoever executes the
selection, without a call. Any other is resolved here: a resolver that Strawberry wrapped by `resolvers`, what is left
by calling what the schema has, with the information that graphql-core would give it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, cast

from graphql import default_field_resolver  # pyright: ignore[reportUnknownVariableType] - its types are partial

from graph.endpoint.compiled.arguments import compile_arguments
from graph.endpoint.compiled.basics import COROUTINE, PLAIN, Complete, Field, Place, Run, path_of
from graph.endpoint.compiled.leaves import plain_type
from graph.endpoint.compiled.values import compile_value, trusted_type

if TYPE_CHECKING:
    from collections.abc import Callable


class Step(NamedTuple):
    """How to get one entry of an object.

    Where there is an `attribute`, it is read; a value of the type `plain` is the result. Any other goes to `finish`,
    and an error to `fail`. Where there is none, `finish` takes the object itself.
    """

    key: str
    attribute: str | None
    plain: type | None
    finish: Callable[[Run, Any, Place], Any]
    fail: Callable[[Run, Exception, Place], None]


def compile_step(field: Field) -> Step:
    """The step for `field`."""
    return_type, details, typename = field.definition.type, field.details, field.parent.name
    key = field.key

    def fail(run: Run, error: Exception, place: Place) -> None:
        run.handle_field_error(error, return_type, details, path_of((place, key, typename)))

    if field.name == "__typename":
        return Step(key, None, None, _naming(typename), fail)
    complete = compile_value(field, return_type)
    attribute = field.variant.resolvers.attribute(field)
    if attribute is not None:
        return Step(key, attribute, plain_type(return_type), _completing(field, complete), fail)
    return Step(key, None, None, _resolving(field, complete), fail)


def _naming(typename: str) -> Callable[[Run, Any, Place], Any]:
    def name(run: Run, source: Any, place: Place) -> str:  # noqa: ARG001 - as every step
        return typename

    return name


def _completing(field: Field, complete: Complete) -> Callable[[Run, Any, Place], Any]:
    """Complete a value that is there, or await it first."""
    return_type, details, key, typename = field.definition.type, field.details, field.key, field.parent.name

    trusted = trusted_type(return_type)

    def fail(run: Run, error: Exception, here: Place) -> None:
        run.handle_field_error(error, return_type, details, path_of(here))

    async def await_value(run: Run, value: Any, here: Place) -> Any:
        try:
            completed = complete(run, await value, here)
            return await completed if type(completed) is COROUTINE else completed
        except Exception as error:  # noqa: BLE001 - whatever a resolver raises
            return fail(run, error, here)

    async def await_completed(run: Run, completed: Any, here: Place) -> Any:
        try:
            return await completed
        except Exception as error:  # noqa: BLE001 - the same
            return fail(run, error, here)

    def finish(run: Run, value: Any, place: Place) -> Any:
        here = (place, key, typename)
        kind = cast("Any", type)(value)
        try:
            if kind is COROUTINE or (kind is not trusted and kind not in PLAIN and run.is_awaitable(value)):
                return await_value(run, value, here)
            completed = complete(run, value, here)
        except Exception as error:  # noqa: BLE001 - the same
            return fail(run, error, here)
        return await_completed(run, completed, here) if type(completed) is COROUTINE else completed

    return finish


def _resolving(field: Field, complete: Complete) -> Callable[[Run, Any, Place], Any]:
    """Call the resolver, then complete what it gives."""
    return_type, details, key, typename = field.definition.type, field.details, field.key, field.parent.name
    finish = _completing(field, complete)
    resolve = field.variant.resolvers.resolver(field) or _calling(field)

    def resolve_and_finish(run: Run, source: Any, place: Place) -> Any:
        try:
            value = resolve(run, source, place)
        except Exception as error:  # noqa: BLE001 - whatever a resolver raises
            run.handle_field_error(error, return_type, details, path_of((place, key, typename)))
            return None
        return finish(run, value, place)

    return resolve_and_finish


def _calling(field: Field) -> Callable[[Run, Any, Place], Any]:
    """Call what the schema has, as graphql-core does."""
    definition, nodes, parent, key = field.definition, field.nodes, field.parent, field.key
    arguments = compile_arguments(field)
    function = definition.resolve or cast("Any", default_field_resolver)

    def call(run: Run, source: Any, place: Place) -> Any:
        info = run.build_resolve_info(definition, nodes, parent, path_of((place, key, parent.name)))
        return function(source, info, **arguments(run)) if arguments is not None else function(source, info)

    return call
