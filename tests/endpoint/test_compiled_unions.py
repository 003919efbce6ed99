"""Members of unions: found by their class where that is certain, and as Strawberry finds them everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeAlias, TypeVar, cast

import strawberry

from graph.endpoint.execution.compiled import values
from tests.support.models.twins import Twins

if TYPE_CHECKING:
    import pytest

T = TypeVar("T")


@strawberry.type
class Found:
    """One member."""

    name: str


@strawberry.type
class Gone:
    """Another."""

    since: int


@strawberry.type
class Lost(Found):
    """No member, but of a class that is derived from one."""


@strawberry.type
class Box(Generic[T]):
    """Members whose class tells nothing: which one it is depends on what is inside."""

    content: T


Outcome: TypeAlias = Annotated[Found | Gone, strawberry.union("Outcome")]
Boxed: TypeAlias = Annotated[Box[int] | Box[str] | Gone, strawberry.union("Boxed")]


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def outcomes(self) -> list[Outcome]:
        return [Found(name="a"), Gone(since=2)]

    @strawberry.field
    async def outcome(self) -> Outcome:
        return Gone(since=3)

    @strawberry.field
    def nothing(self) -> Outcome | None:
        return None

    @strawberry.field
    def cast(self) -> Outcome | None:
        return cast("Gone", strawberry.cast(Gone, Found(name="b")))

    @strawberry.field
    def derived(self) -> Outcome | None:
        return Lost(name="c")

    @strawberry.field
    def strange(self) -> Outcome | None:
        return cast("Found", object())

    @strawberry.field
    def raised(self) -> Outcome | None:
        return cast("Found", ValueError("returned"))

    @strawberry.field
    def boxed(self) -> list[Boxed]:
        return [cast("Any", Box(content=1)), cast("Any", Box(content="x")), Gone(since=4)]


FIELDS = "{ __typename ... on Found { name } ... on Gone { since } }"
PLAIN = f"{{ outcomes {FIELDS} outcome {FIELDS} nothing {FIELDS} }}"
BOXES = "{ boxed { __typename ... on Gone { since } } }"
OTHERS = (*(f"{{ {name} {FIELDS} }}" for name in ("cast", "derived", "strange", "raised")), BOXES)


async def test_members_of_unions_are_those_of_strawberry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is returned for a union; graphql-core is asked for the member only where the class does not tell it."""
    twins = Twins(strawberry.Schema(Query))
    asked: list[str] = []
    complete = cast("Any", twins.compiler.executor_class).complete_abstract_value

    def noting(run: Any, type_: Any, *rest: Any) -> Any:
        asked.append(type_.name)
        return complete(run, type_, *rest)

    monkeypatch.setattr(twins.compiler.executor_class, "complete_abstract_value", noting)
    for document in (PLAIN, *OTHERS):
        prepared = twins.prepare(document)
        assert not prepared.errors, prepared.errors
        del asked[:]
        compiled = await twins.compiled(prepared, {}, None)
        assert bool(asked) == (document not in {PLAIN, OTHERS[-2]}), document
        assert compiled == await twins.by_core(prepared, {}, None), document


def test_a_resolver_of_another_make_is_asked() -> None:
    """A union whose type somebody else tells is left alone."""
    union = twin_union()
    assert set(values._members(union).values()) == set(union.types)  # pyright: ignore[reportPrivateUsage]
    other = twin_union()
    other.resolve_type = len
    assert values._members(other) == {}  # pyright: ignore[reportPrivateUsage]


def twin_union() -> Any:
    """The union in a schema of its own."""
    return Twins(strawberry.Schema(Query)).core.type_map["Outcome"]
