"""Objects that are completed by one function have the results, and the errors, of those that graphql-core completes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Any

import pytest
import strawberry

from graph.endpoint.execution.compiled import written
from graph.endpoint.execution.compiled.written import WrittenSelection
from tests.support.models.twins import Twins

if TYPE_CHECKING:
    from collections.abc import Iterator


@strawberry.enum
class Colour(Enum):
    """A leaf whose values are looked up."""

    RED = "red"
    BLUE = "blue"


@strawberry.type
class Inner:
    """An object in an object."""

    amount: Decimal
    unit: str | None = None


@strawberry.type
class Thing:
    """Nothing but attributes."""

    name: Any = strawberry.field(graphql_type=str, default="n")
    number: Any = strawberry.field(graphql_type=int | None, default=7)
    ratio: Any = strawberry.field(graphql_type=float, default=0.5)
    on: Any = strawberry.field(graphql_type=bool, default=True)
    at: Any = strawberry.field(graphql_type=datetime, default=datetime(2026, 1, 2, tzinfo=UTC))
    colour: Any = strawberry.field(graphql_type=Colour | None, default=Colour.RED)
    inner: Any = strawberry.field(graphql_type=Inner | None, default=None)


@strawberry.type
class Asked:
    """Has an attribute that runs code when it is read."""

    name: Any = strawberry.field(graphql_type=str, default="n")


READ: list[None] = []
setattr(Asked, "name", property(lambda _: (READ.append(None), 5)[1], lambda _, value: None))  # noqa: B010 - Strawberry has seen the field


@strawberry.type
class Query:
    """The things of a test."""

    @strawberry.field
    def things(self) -> list[Thing | None]:
        return THINGS

    @strawberry.field
    def asked(self) -> list[Asked]:
        return [Asked(), Asked()]


class Text(str):
    """A string of another type."""

    __slots__ = ()


@dataclass
class Later:
    """Something awaitable."""

    value: Any

    def __await__(self) -> Any:
        return asyncio.sleep(0, self.value).__await__()


@dataclass
class Duck:
    """What has the attributes of `Inner`."""

    amount: Decimal
    unit: str | None = None


THINGS: list[Any] = []
ALL = "{ things { name number ratio on at colour other: inner { amount unit } } }"
RIGHT: list[dict[str, Any]] = [
    {},
    {"inner": Inner(amount=Decimal("1.50")), "number": None},
    {"inner": Inner(amount=Decimal(2), unit="kg"), "colour": None},
    {"colour": Colour.BLUE, "number": -(2**31)},
]
ODD: list[dict[str, Any]] = [
    {"name": None},
    {"name": Text("text")},
    {"name": ValueError("a value that is an exception")},
    {"name": Later("awaited")},
    {"number": True},
    {"number": 2**31},
    {"number": "x"},
    {"ratio": float("nan")},
    {"ratio": 1},
    {"on": 1},
    {"at": None},
    {"at": "yesterday"},
    {"colour": "red"},
    {"inner": Inner(amount=Decimal(1), unit=Text("subclass"))},
    {"inner": Inner(amount=None)},  # pyright: ignore[reportArgumentType] - that is wrong
    {"inner": Later(Inner(amount=Decimal(3)))},
    {"inner": Thing()},
    {"inner": Duck(Decimal(4))},
]


@pytest.fixture
def missed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """One entry for each object that was left to the closures."""
    seen: list[None] = []
    miss = WrittenSelection.miss

    def counted(self: WrittenSelection) -> None:
        seen.append(None)
        miss(self)

    monkeypatch.setattr(WrittenSelection, "miss", counted)
    yield seen
    THINGS.clear()


async def both(twins: Twins, text: str) -> tuple[Any, Any]:
    """What graphql-core comes to, and what is compiled."""
    prepared = twins.prepare(text)
    twins.compiler.often = 0
    return await twins.by_core(prepared, {}, None), await twins.compiled(prepared, {}, None)


async def test_right_objects_are_completed_by_the_function(missed: list[None]) -> None:
    """Every kind of leaf, null where it may be, an object below."""
    THINGS.extend([*(Thing(**values) for values in RIGHT), None])
    expected, found = await both(Twins(strawberry.Schema(Query)), ALL)
    assert found == expected
    assert expected["errors"] is None
    assert not missed


@pytest.mark.parametrize("values", ODD, ids=[" ".join(f"{k} {v!r:.20}" for k, v in one.items()) for one in ODD])
async def test_what_is_odd_is_left_to_the_closures(values: dict[str, Any], missed: list[None]) -> None:
    """Results and errors are graphql-core's, and the objects beside it have theirs."""
    THINGS.extend([Thing(), Thing(**values), Thing()])
    expected, found = await both(Twins(strawberry.Schema(Query)), ALL)
    assert found == expected
    assert len(missed) >= 1


async def test_what_the_client_wrote_is_not_in_the_text(missed: list[None]) -> None:
    """Keys are passed in: documents that differ in aliases share what Python compiled."""
    THINGS.append(Thing())
    twins = Twins(strawberry.Schema(Query))
    before = written._compiled.cache_info().misses
    for alias in ("a", "import_os", "__class__", "v1", "c0", "MISSED", "source"):
        expected, found = await both(twins, f"{{ things {{ {alias}: name on }} }}")
        assert found == expected
    assert written._compiled.cache_info().misses <= before + 1
    assert not missed


async def test_it_is_written_when_it_is_worth_it(missed: list[None]) -> None:
    """Nothing is written for a selection before it has run often, nor for one with too many fields."""
    THINGS.append(Thing())
    twins = Twins(strawberry.Schema(Query))
    prepared = twins.prepare("{ things { name } }")
    twins.compiler.often = 3
    for _ in range(5):
        await twins.compiled(prepared, {}, None)
    assert len(missed) == 3
    many = " ".join(f"f{i}: name" for i in range(written.MOST + 1))
    before = written._compiled.cache_info().misses
    expected, found = await both(twins, f"{{ things {{ {many} }} }}")
    assert found == expected
    assert written._compiled.cache_info().misses == before


@strawberry.type
class Named:
    """Has an attribute that cannot be written in a text."""

    name: str = "n"


Named.__dict__["__strawberry_definition__"].fields[0].python_name = "class"
Named.__dict__["__strawberry_definition__"].fields[0].graphql_name = "name"


async def test_an_attribute_that_is_a_keyword_is_left_to_the_closures(missed: list[None]) -> None:
    """Somebody else's schema may read attributes of any name."""

    @strawberry.type
    class Root:
        @strawberry.field
        def named(self) -> Named:
            one = Named()
            setattr(one, "class", "x")
            return one

    expected, found = await both(Twins(strawberry.Schema(Root)), "{ named { name } }")
    assert found == expected
    assert expected["errors"] is None
    assert not missed


async def test_a_property_is_asked_once() -> None:
    """What runs code when it is read stays with the closures, which read it once for each object."""
    twins = Twins(strawberry.Schema(Query))
    expected, found = await both(twins, "{ asked { name } }")
    assert found == expected
    assert len(READ) == 4
