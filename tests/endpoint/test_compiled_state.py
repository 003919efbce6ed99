"""What outlives an execution: nothing of it is seen by the next, and nothing of it is kept."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from typing import TYPE_CHECKING, Any, cast

import strawberry
from strawberry.scalars import JSON

from graph.endpoint.document import Operations
from graph.endpoint.execution.compiled.program import Program
from tests.support.apps.small import Query as SmallQuery
from tests.support.models.twins import BOUNDLESS, Twins, ordered

if TYPE_CHECKING:
    import pytest


@strawberry.interface
class Being:
    """What may be of several types."""

    name: str


@strawberry.type
class Cat(Being):
    """One of them."""

    lives: int = 9

    @strawberry.field
    def friend(self) -> Being:
        return Cat(name="friend")


@strawberry.type
class Query:
    """The root."""

    @strawberry.field
    def taken(self, value: JSON) -> str:
        before = repr(value)
        cast("list[str]", value).append("by somebody else")
        return before

    @strawberry.field
    def told(self, info: strawberry.Info, rows: list[list[int]]) -> str:
        before = repr((info.variable_values, rows))
        for value in info.variable_values.values():
            value.append([666])
        return before

    @strawberry.field
    async def lacking(self, n: int | None) -> int | None:
        return n

    @strawberry.field
    async def lacking_much(self, n: int | None) -> int:
        return n or 0

    @strawberry.field
    def wrong(self) -> int | None:
        raise ValueError("at once")

    @strawberry.field
    async def patient(self, info: strawberry.Info[list[str], None]) -> int:
        try:
            for _ in range(5):
                await asyncio.sleep(0)
            info.context.append("done")
        except asyncio.CancelledError:
            info.context.append("cancelled")
            raise
        return 1

    @strawberry.field
    def being(self) -> Being:
        return Cat(name="being")


def twins() -> Twins:
    """The schema above."""
    return Twins(strawberry.Schema(Query, types=[Cat]))


async def test_defaults_of_variables_are_made_anew() -> None:
    """What a resolver does to the default of a variable is not seen by whoever sends the same document next."""
    both = twins()
    prepared = both.prepare(
        "query Q($value: JSON = [1], $rows: [[Int!]!]! = [[1], [2]]) { taken(value: $value) told(rows: $rows) }"
    )
    assert not prepared.errors, prepared.errors
    core = await both.by_core(prepared, {}, None)
    for _ in range(3):
        assert await both.compiled(prepared, {}, None) == core


async def test_a_lacking_argument_is_missed_when_awaited() -> None:
    """An asynchronous resolver that lacks an argument fails when it is awaited; its siblings end alike."""
    both = twins()
    for document in ("{ lacking wrong }", "{ patient lackingMuch }", "{ lackingMuch patient }"):
        prepared = both.prepare(document)
        logs: tuple[list[str], list[str]] = [], []
        core = await both.by_core(prepared, {}, logs[0])
        assert await both.compiled(prepared, {}, logs[1]) == core
        assert logs[1] == logs[0]


async def test_nothing_is_kept_of_what_is_not_compiled() -> None:
    """However often a document beyond its grant is executed, its program does not grow."""
    both = Twins(strawberry.Schema(SmallQuery))
    levels = 6
    spread = "".join(
        f"fragment F{n} on Item {{ a{n}: parent {{ ...F{n + 1} }} b{n}: parent {{ ...F{n + 1} }} }} "
        for n in range(levels)
    )
    prepared = both.prepare(
        f"{spread} fragment F{levels} on Item {{ id }} {{ items(first: 1) {{ nodes {{ ...F0 }} }} }}"
    )
    sizes: list[int] = []
    for _ in range(3):
        kept = both.begin(prepared, {})  # two at once: what is made for one is not where the other's was
        await both.compiled(prepared, {}, None)
        kept.execute_operation()
        program = prepared.select(None).program
        assert isinstance(program, Program)
        assert program.grant.left < 0
        variant: Any = program.variant({})
        sizes.append(len(variant._selections))
    assert sizes == [sizes[0]] * 3
    assert sizes[0] <= cast("Any", prepared.document).token_count


async def test_a_bug_of_the_compiler_met_late(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the compiler fails with a type that it first meets while executing, graphql-core executes from there on."""
    both = twins()
    prepared = both.prepare("{ being { name ... on Cat { lives friend { name ... on Cat { friend { name } } } } } }")
    core = await both.by_core(prepared, {}, None)
    executor = both.begin(prepared, {})
    with monkeypatch.context() as patch:
        patch.setattr(both.compiler.resolvers, "attribute", None)
        assert ordered(executor.execute_operation().data) == core["data"]
    assert await both.compiled(prepared, {}, None) == core
    assert [one.message for one in caplog.records] == ["left to graphql-core: Cat"]


@strawberry.input
class Range:
    """What many filters have."""

    low: int | None = None
    high: int | None = None
    among: list[int] | None = None
    other: bool = False


@strawberry.input
class Filter:
    """A filter over many columns, as generated schemas have them."""

    a: Range | None = None
    b: Range | None = None
    c: Range | None = None
    d: Range | None = None
    e: Range | None = None
    f: Range | None = None
    every: list[Filter] | None = None
    no: Filter | None = None


@strawberry.type
class Filtered:
    """The root."""

    @strawberry.field
    def rows(self, where: Filter | None = None, having: Filter | None = None) -> int:
        return 1 if where is None else len(repr((where, having)))


async def test_input_types_are_not_kept_with_every_document() -> None:
    """A small document that names a field with large input types takes no more memory than it is reckoned at."""
    both = Twins(strawberry.Schema(Filtered))
    operations = Operations(both.core, BOUNDLESS, capacity=1 << 30)

    def run(number: int) -> None:
        fields = " ".join(f"a{number}_{alias}: rows" for alias in range(30))
        prepared = operations.prepare(f"{{ {fields} }}")
        assert both.begin(prepared, {}).execute_operation().data == dict.fromkeys(
            [f"a{number}_{alias}" for alias in range(30)], 1
        )

    run(0)
    gc.collect()
    reckoned = operations.size
    tracemalloc.start()
    try:
        for number in range(1, 9):
            run(number)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < 1.5 * (operations.size - reckoned)


async def test_operations_share_what_a_document_is_granted() -> None:
    """Operations that spread the same fragment do not each compile as much as the whole document may."""
    both = Twins(strawberry.Schema(SmallQuery))
    names = [f"Q{number}" for number in range(40)]
    fields = " ".join(f"a{number}: hello" for number in range(40))
    prepared = both.prepare(
        f"fragment F on Query {{ {fields} }} " + " ".join(f"query {name} {{ ...F }}" for name in names)
    )
    assert not prepared.errors, prepared.errors
    compiled = 0
    for operation in prepared.operations.values():
        executor: Any = both.compiler.begin(
            prepared, operation, variables={}, root_value=None, context=None, extensions=None
        )
        if executor is not None:
            assert executor.execute_operation().data == {f"a{number}": "world" for number in range(40)}
            compiled += 1
    tokens = cast("Any", prepared.document).token_count
    assert 0 < compiled <= tokens // 40
