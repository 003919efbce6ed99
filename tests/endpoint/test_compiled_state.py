"""What outlives an execution: nothing of it is seen by the next, and nothing of it is kept."""

from __future__ import annotations

import asyncio
from typing import cast

import strawberry
from strawberry.scalars import JSON

from tests.support.twins import Twins


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
