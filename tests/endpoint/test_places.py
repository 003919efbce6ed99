"""Errors about values say where: a literal its place in the document, a variable its name."""

from __future__ import annotations

from typing import Any

import pytest
import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig

from graph.endpoint.document import Operations
from graph.endpoint.errors import Refusal
from graph.endpoint.execution.executors import Executors, Given


@strawberry.input(one_of=True)
class By:
    """One way to say it."""

    key: strawberry.ID | None = strawberry.UNSET
    name: str | None = strawberry.UNSET


def _parse(value: Any) -> str:
    if value == "good":
        return value
    raise GraphQLError("That is not good.")


Good = strawberry.scalar(name="Good", serialize=str, parse_value=_parse)


class Fine(str):
    """What a `Good` is."""

    __slots__ = ()


@strawberry.input
class Filter:
    """A nest of values."""

    inner: list[Fine | None] | None = None


@strawberry.type
class Query:
    """Takes values."""

    @strawberry.field
    def take(self, good: Fine | None = None, nest: Filter | None = None, by: By | None = None) -> str:
        return "taken"


SCHEMA = strawberry.Schema(Query, config=StrawberryConfig(scalar_map={Fine: Good}))


@pytest.mark.parametrize(
    ("document", "column"),
    [
        ('{ take(good: "bad") }', 14),
        ('{ take(nest: {inner: ["good", "bad"]}) }', 31),
        ("{ take(good: 5) }", 14),
        ('{ take(by: {key: "a", name: "b"}) }', 12),
        ("{ take(by: {}) }", 12),
    ],
)
def test_a_literal_has_its_place(document: str, column: int) -> None:
    """What a scalar's own parser or a one-of refuses is reported where it stands."""
    (error,) = Operations(SCHEMA._schema).prepare(document).errors
    assert [(place.line, place.column) for place in error.locations or ()] == [(1, column)]


@strawberry.type
class Pages:
    """A list by pages."""

    @strawberry.field
    def numbers(self, first: int = 10, last: int | None = None) -> list[int]:
        return []


@pytest.mark.parametrize(
    ("document", "columns"),
    [
        ("{ numbers(first: 101) }", [11]),
        ("query ($n: Int) { numbers(first: $n) }", [27]),
        ("query ($n: Int = 500) { a: numbers(last: 1) ...F } fragment F on Pages { numbers(last: $n) }", [82]),
        ("{ a: numbers(first: 101) b: numbers(first: 102) c: numbers }", [14, 37]),
    ],
)
def test_a_page_that_is_too_long_has_its_place(document: str, columns: list[int]) -> None:
    """Where the document asks for it: literal, variable or default, within a fragment or not."""
    operations = Operations(strawberry.Schema(Pages)._schema)
    operation = operations.prepare(document).select(None)
    with pytest.raises(Refusal) as refused:
        operations.check(operation, {"n": 101} if "= 500" not in document else None)
    assert [place.column for place in refused.value.locations or ()] == columns


@pytest.mark.parametrize("compiled", [True, False])
def test_a_variable_has_its_name(compiled: bool) -> None:  # noqa: FBT001 - a parameter
    """So has every wrong one of several, those of a one-of among them."""
    document = "query ($fine: Good, $by: By, $other: By!) { a: take(good: $fine, by: $by) b: take(by: $other) }"
    prepared = Operations(SCHEMA._schema).prepare(document)
    assert prepared.errors == ()
    execution = Executors(SCHEMA, errors=10, hide_suggestions=True, compiled=compiled)
    for variables, names in (
        ({"by": {"key": "a", "name": "b"}, "other": {"key": "a"}}, ["by"]),
        ({"by": {}, "other": {"key": "a"}}, ["by"]),
        ({"by": {"key": None}, "other": {"key": "a"}}, ["by"]),
        ({"other": {"key": "a", "name": "b"}}, ["other"]),
        ({"fine": "bad", "other": {"key": "a", "name": "b"}}, ["fine", "other"]),
        ({}, ["other"]),
    ):
        made = execution.of(prepared, prepared.select(None), Given(variables, None, None, None))
        assert isinstance(made, list)
        assert len(made) == len(names)
        for error, name in zip(made, names, strict=True):
            assert f"'${name}'" in error.message
            assert error.locations
