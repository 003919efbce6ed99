"""Validation in steps finds what graphql-core finds, in linear time."""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, Any

import pytest
from graphql import (
    GraphQLError,
    OverlappingFieldsCanBeMergedRule,
    build_schema,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import StreamDirectiveOnListField

from graph.endpoint.document import Bounds, Operations
from graph.endpoint.document.merging import STEPS, Merging, conflicts
from graph.endpoint.document.rules import StreamRule
from graph.endpoint.document.validation import validate_in_steps
from graph.endpoint.errors import Refusal
from tests.support.apps.small import make_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ZOO = build_schema(
    """
    directive @stream(initialCount: Int = 0) on FIELD
    interface Being { name: String friend: Being food(kind: Int, sort: [String]): [Food] size: Int }
    interface Pet implements Being {
      name: String friend: Being food(kind: Int, sort: [String]): [Food] size: Int owner: Person }
    type Dog implements Being & Pet { name: String friend: Dog food(kind: Int, sort: [String]): [Food] size: Int
      owner: Person barks: Boolean! toy(of: In): Toy loud: Int }
    type Cat implements Being & Pet { name: String friend: Cat food(kind: Int, sort: [String]): [Food] size: Int
      owner: Person lives: Int toy(of: In): Toy loud: String }
    type Person implements Being { name: String friend: Person food(kind: Int, sort: [String]): [Food] size: Int
      pets(first: Int): [Pet!] toy(of: In): [Toy] }
    type Toy { name: String! made: Toy size: Int! }
    type Food { name: String of: Being size: Float }
    input In { a: Int b: String }
    union Any = Dog | Cat | Person | Toy
    type Query { being: Being any: Any dog: Dog cat: Cat pet(n: Int): Pet toy(of: In): Toy name: String }
    """
)
_TYPES = ("Being", "Pet", "Dog", "Cat", "Person", "Toy", "Food", "Any", "Query", "Unheard")
_FIELDS = (
    "name",
    "friend",
    "food",
    "size",
    "owner",
    "toy",
    "loud",
    "lives",
    "made",
    "of",
    "pet",
    "dog",
    "__typename",
    "no",
)
_ARGUMENTS = ("", "", "", "(n: 1)", "(kind: 1)", "(kind: $v)", '(sort: ["a"], kind: 1)', '(kind: 1, sort: ["a"])',
              '(of: {a: 1, b: "x"})', '(of: {b: "x", a: 1})', "(of: {a: 1})")  # fmt: skip


class Mess:
    """Writes documents whose fields meet under few names, most of them invalid in some way."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self._fields = chance.sample(_FIELDS, chance.choice((2, 5, 14)))
        self._arguments = chance.sample(_ARGUMENTS, chance.choice((1, 1, 2, 6)))
        self._aliases = chance.choice((("",), ("",), ("", "", "", "x: ", "name: ", "y: ")))
        self._types = chance.sample(_TYPES, chance.choice((1, 3, 10)))

    def document(self) -> str:
        """One or two operations and some fragments, which may spread one another in a circle."""
        pick = self.chance
        parts = [f"query Q{n}($v: Int) {self._selections(3)}" for n in range(pick.choice((1, 1, 2)))]
        parts += [f"fragment F{n} on {pick.choice(self._types)} {self._selections(2)}" for n in range(4)]
        return "\n".join(parts)

    def _selections(self, depth: int) -> str:
        return "{ " + " ".join(self._selection(depth) for _ in range(self.chance.randint(1, 3))) + " }"

    def _selection(self, depth: int) -> str:
        pick, roll = self.chance, self.chance.random()
        if roll < 0.15:
            return f"...F{pick.randrange(4)}"
        if roll < 0.35 and depth:
            return f"... {pick.choice(('', *(f'on {t}' for t in self._types)))} {self._selections(depth - 1)}"
        alias = pick.choice(self._aliases)
        stream = "@stream" if pick.random() < 0.01 else ""
        below = self._selections(depth - 1) if depth and pick.random() < 0.5 else ""
        return f"{alias}{pick.choice(self._fields)}{pick.choice(self._arguments)} {stream} {below}"


def finished(steps: Any) -> Any:
    """What a generator returns."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return done.value


def test_fields_can_be_merged_where_the_reference_says_so(scaled: Callable[[int, int], int]) -> None:
    """Over thousands of documents the rule finds a conflict in just those in which graphql-core's finds one."""
    seen = {True: 0, False: 0}
    for seed in range(scaled(8000, 125)):
        text = Mess(random.Random(seed)).document()
        document = parse(text)
        ours = next(conflicts(ZOO, document, steps=10**6), None)
        reference = validate(ZOO, document, [OverlappingFieldsCanBeMergedRule])
        assert (ours is not None) == bool(reference), (text, ours, reference)
        seen[bool(reference)] += 1
    assert min(seen.values()) > scaled(100, 15), seen


REFERENCE = tuple(rule for rule in specified_rules if rule is not OverlappingFieldsCanBeMergedRule)
OURS = tuple(StreamRule if rule is StreamDirectiveOnListField else rule for rule in REFERENCE)


def test_steps_find_what_one_go_finds(scaled: Callable[[int, int], int]) -> None:
    """Every other rule reports the same errors, in the same order, as under graphql-core's own visit."""
    for seed in range(scaled(1500, 25)):
        text = Mess(random.Random(seed)).document()
        document = parse(text)
        ours: Sequence[GraphQLError] = finished(validate_in_steps(ZOO, document, OURS, most=20))
        try:
            reference = validate(ZOO, document, REFERENCE, 20, hide_suggestions=True)
        except AttributeError:  # graphql-core does not expect `@stream` below a union
            assert any("'__typename' on type 'Any'" in one.message for one in ours)
            continue
        assert [one.formatted for one in ours] == [one.formatted for one in reference], text


def test_a_conflict_is_reported_where_it_is() -> None:
    """The message says what differs, and the locations are those of the two fields."""
    (error,) = conflicts(ZOO, parse("{ dog { friend { x: size } friend { x: loud } } }"))
    assert error.message == (
        "Fields 'x' conflict because 'size' and 'loud' are different fields."
        " Use different aliases on the fields to fetch both if this was intentional."
    )
    assert [one.column for one in error.locations or ()] == [18, 37]


CORE = make_schema()._schema
WORST: dict[str, Callable[[int], str]] = {
    "one field": lambda n: "{" + "pick(by:{id:1}){id}" * (n // 13) + "}",
    "one leaf": lambda n: "{" + "hello " * (n - 2) + "}",
    "a chain": lambda n: "{pick(by:{id:1}){...F0}}" + "".join(
        f"fragment F{i} on Item{{...F{i + 1} id name parent{{id}}}}" for i in range(n // 14)
    ) + f"fragment F{n // 14} on Item{{id}}",
    "all in all": lambda n: "{pick(by:{id:1}){...F0}}" + "".join(
        f"fragment F{i} on Item{{parent{{{''.join(f'...F{k} ' for k in range(i + 1, int(n**0.5)))}id}}}}"
        for i in range(int(n**0.5))
    ),
    "operations": lambda n: "".join(f"query Q{i}{{...A}}" for i in range(n // 14))
    + "fragment A on Query{" + "hello " * (n // 2) + "}",
}  # fmt: skip


@pytest.mark.parametrize("name", list(WORST))
def test_the_steps_of_merging_are_bounded(name: str) -> None:
    """However fields repeat, twice the tokens take no four times the steps, and never more than `STEPS`."""

    def steps(tokens: int) -> int:
        merging = Merging(CORE, parse(WORST[name](tokens)))
        try:
            list(merging.conflicts())
        except Refusal as error:
            refused.append(error.code)
        return STEPS - merging.left

    refused: list[str] = []
    once, twice = steps(400), steps(800)
    assert twice <= 3 * once or refused == ["TOO_COMPLEX"]
    assert twice <= STEPS + 800


@pytest.mark.parametrize("name", list(WORST))
def test_every_rule_is_linear(name: str, scaled: Callable[[int, int], int]) -> None:
    """Twice the tokens take no three times the calls of Python's functions, whatever rules an endpoint validates by."""
    tokens = scaled(400, 200)

    def calls(size: int) -> int:
        operations = Operations(CORE, Bounds(tokens=10_000, aliases=10_000, directives=10_000, depth=1000))
        text, counted = WORST[name](size), 0

        def count(_frame: object, event: str, _argument: object) -> None:
            nonlocal counted
            counted += event == "call"

        sys.setprofile(count)
        try:
            operations.prepare(text)
        finally:
            sys.setprofile(None)
        return counted

    calls(50)  # what is made once
    assert calls(2 * tokens) < 3 * calls(tokens)


def test_a_field_that_is_repeated_takes_a_step_each_time() -> None:
    """What graphql-core compares pair by pair (0.3 s for 245 fields of two tokens each) takes 500 steps."""
    assert list(conflicts(CORE, parse("{" + "pick(by:{id:1}){id}" * 76 + "}"), steps=500)) == []
