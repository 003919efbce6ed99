"""Fields that are more than they seem: whatever Strawberry puts around a resolver happens when it is compiled, too."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, cast

import pytest
import strawberry
from strawberry.extensions import FieldExtension
from strawberry.permission import BasePermission
from strawberry.schema.config import StrawberryConfig
from strawberry.types.field import StrawberryField

from graph.endpoint.execution.compiled.basics import Field
from graph.endpoint.execution.compiled.program import Program
from tests.support.models.twins import Twins, ordered


class Doubled(StrawberryField):
    """A field class that changes results."""

    def get_result(self, source: Any, info: Any, args: list[Any], kwargs: Any) -> Any:
        return 2 * cast("Any", super()).get_result(source, info, args, kwargs)


class Nobody(BasePermission):
    """Lets nobody in."""

    message = "not you"

    def has_permission(self, source: Any, info: Any, **kwargs: Any) -> bool:
        return False


class Mapping(FieldExtension):
    """Changes the arguments before anybody sees them."""

    def map_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        return {name: value * 10 for name, value in kwargs.items()}


class Adding(FieldExtension):
    """Adds something to each result and changes an argument."""

    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return next_(source, info, **{**kwargs, "n": kwargs["n"] + 1}) + 100

    async def resolve_async(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> Any:
        return await next_(source, info, **{**kwargs, "n": kwargs["n"] + 1}) + 100


async def _promise(n: int) -> int:
    return n


@strawberry.type
class Odd:
    """Fields with something around them."""

    plain: int = 1
    doubled: int = cast("Any", Doubled(python_name=None))
    guarded: int = strawberry.field(default=3, permission_classes=[Nobody])

    @strawberry.field(extensions=[Adding()])
    def added(self, n: int = 1) -> int:
        return n

    @strawberry.field(extensions=[Adding(), Mapping(), Adding()])
    async def added_later(self, info: strawberry.Info, n: int = 1) -> int:
        return n + len(info.field_name)

    @strawberry.field(permission_classes=[Nobody], extensions=[Mapping()])
    def closed_now(self, info: strawberry.Info) -> int | None:
        return len(info.field_name)

    @strawberry.field(permission_classes=[Nobody])
    async def closed(self) -> int | None:
        return 1

    @strawberry.field
    @staticmethod
    def static(n: int = 4) -> int:
        return n

    @strawberry.field
    @classmethod
    async def of_class(cls, n: int = 4) -> str:
        return f"{cls.__name__} {n}"

    @strawberry.field(graphql_type=int)
    def promised(self, n: int) -> Awaitable[int]:
        return _promise(n)

    @strawberry.field
    def renamed(
        self, given: strawberry.Maybe[int | None], as_: Annotated[int, strawberry.argument(name="as")] = 1
    ) -> str:
        return f"{given} {as_}"


class Row(dict[str, Any]):
    """An object whose fields are entries."""


def _entry(source: Any, name: str) -> Any:
    return source[name] if isinstance(source, Row) else getattr(source, name)


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def odd(self) -> Odd:
        return Odd(doubled=2)

    @strawberry.field
    def row(self) -> Odd:
        return cast("Odd", Row(plain=7, doubled=8, guarded=9))


DOCUMENT = """
query Q($m: Int) {
  odd { plain doubled added addedLater(n: 5) static ofClass(n: 2) promised(n: 3) closed closedNow
        a: renamed b: renamed(given: null) c: renamed(given: 2, as: 3) d: renamed(given: $m) }
  row { plain doubled }
}
"""


@pytest.mark.parametrize("variables", [{}, {"m": None}, {"m": 3}])
async def test_whatever_surrounds_a_resolver(variables: dict[str, Any]) -> None:
    """Field classes, extensions, permissions, default resolvers and odd resolvers do what they do in Strawberry."""
    twins = Twins(strawberry.Schema(Query, config=StrawberryConfig(default_resolver=_entry)))
    for document in (DOCUMENT, "{ odd { guarded } row { plain } }"):
        prepared = twins.prepare(document)
        assert not prepared.errors, prepared.errors
        given = variables if document == DOCUMENT else {}
        core = await twins.by_core(prepared, given, None)
        assert await twins.compiled(prepared, given, None) == core


async def test_what_is_passed_by() -> None:
    """Only attributes and resolvers of Strawberry's own making are reached without Strawberry's wrapper."""
    twins = Twins(strawberry.Schema(Query))
    prepared = twins.prepare("{ odd { plain doubled guarded added static promised(n: 1) } }")
    assert (await twins.compiled(prepared, {}, None))["data"] == ordered(None)
    resolvers = twins.compiler.resolvers
    passed: dict[str, tuple[bool, bool]] = {}
    type_ = twins.core.type_map["Odd"]
    assert isinstance(prepared.select(None).program, Program)
    odd: Any = prepared.select(None).node.selection_set.selections[0]
    for node in odd.selection_set.selections:
        name = node.name.value
        field = Field(type_, name, type_.fields[name], [], [node], cast("Any", None))
        passed[name] = resolvers.attribute(field) is not None, resolvers.resolver(field) is not None
    assert passed == {
        "plain": (True, False),
        "doubled": (False, False),
        "guarded": (False, False),
        "added": (False, True),
        "static": (False, True),
        "promised": (False, True),
    }
