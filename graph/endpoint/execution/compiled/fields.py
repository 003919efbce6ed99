"""One field of a selection: find its value, complete it, and put an error where it belongs.

A field that is an attribute of its object (a Strawberry field without a resolver) is read by whoever executes the
selection, without a call. Any other is resolved here: a resolver that Strawberry wrapped by `resolvers`, what is left
by calling what the schema has, with the information that graphql-core would give it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from graphql import default_field_resolver  # pyright: ignore[reportUnknownVariableType] - its types are partial

from graph.endpoint.execution.compiled.arguments import compile_arguments
from graph.endpoint.execution.compiled.basics import Complete, Field, Guard, PathNode, Run, path_of
from graph.endpoint.execution.compiled.leaves import plain_type
from graph.endpoint.execution.compiled.values import compile_value, trusted_type

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
    finish: Callable[[Run, Any, PathNode], Any]
    fail: Callable[[Run, Exception, PathNode], Any]


class _Guarded(Guard):
    """One field; its place follows from its object."""

    __slots__ = ("key", "typename")

    def __init__(self, field: Field, complete: Complete) -> None:
        return_type = field.definition.type
        super().__init__(return_type, field.details, complete, trusted_type(return_type))
        self.key = field.key
        self.typename = field.parent.name

    def finish(self, run: Run, value: Any, place: PathNode) -> Any:
        """Complete the value of the field in the object at `place`."""
        return self.give(run, value, (place, self.key, self.typename))

    def fail_at(self, run: Run, error: Exception, place: PathNode) -> None:
        """Handle an error from reading the field of the object at `place`."""
        self.fail(run, error, (place, self.key, self.typename))


class _Resolved(_Guarded):
    """A field with a resolver."""

    __slots__ = ("_resolve",)

    def __init__(self, field: Field, complete: Complete) -> None:
        super().__init__(field, complete)
        self._resolve = field.variant.resolvers.resolver(field) or _calling(field)

    def resolve(self, run: Run, source: Any, place: PathNode) -> Any:
        """Call the resolver, then complete its result."""
        here = (place, self.key, self.typename)
        try:
            value = self._resolve(run, source, place)
        except Exception as error:  # noqa: BLE001 - whatever a resolver raises
            return self.fail(run, error, here)
        return self.give(run, value, here)


def compile_step(field: Field) -> Step:
    """The step for `field`."""
    return_type, key = field.definition.type, field.key
    if field.name == "__typename":
        name = _naming(field.parent.name)
        return Step(key, None, None, name, name)
    complete = compile_value(field, return_type)
    attribute = field.variant.resolvers.attribute(field)
    if attribute is None:
        resolved = _Resolved(field, complete)
        return Step(key, None, None, resolved.resolve, resolved.fail_at)
    guarded = _Guarded(field, complete)
    return Step(key, attribute, plain_type(return_type), guarded.finish, guarded.fail_at)


@lru_cache(maxsize=1024)
def _naming(typename: str) -> Callable[[Run, Any, PathNode], Any]:
    """A function that returns the name of a type. Documents share it; nothing a client wrote is kept."""

    def name(run: Run, source: Any, place: PathNode) -> str:  # noqa: ARG001 - as every step
        return typename

    return name


def _calling(field: Field) -> Callable[[Run, Any, PathNode], Any]:
    """A function that calls the schema's resolver as graphql-core does."""
    definition, nodes, parent, key = field.definition, field.nodes, field.parent, field.key
    arguments = compile_arguments(field)
    function = definition.resolve or cast("Any", default_field_resolver)

    def call(run: Run, source: Any, place: PathNode) -> Any:
        info = run.build_resolve_info(definition, nodes, parent, path_of((place, key, parent.name)))
        return function(source, info, **arguments(run)) if arguments is not None else function(source, info)

    return call
