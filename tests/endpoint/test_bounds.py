"""The rules that bound a document: what they count, and that they stay linear."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from graphql import GraphQLSyntaxError, Lexer, Source, TokenKind, get_introspection_query, parse
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.endpoint.document import Bounds, Operations
from graph.endpoint.document.allowance import tokens_in
from graph.endpoint.document.measure import Measure, measure
from graph.endpoint.errors import Refusal
from tests.support.apps.small import make_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CORE = make_schema()._schema


def operations(**bounds: Any) -> Operations:
    """Operations with these bounds and otherwise the default ones."""
    return Operations(CORE, Bounds(**bounds))


def code(text: str, **bounds: Any) -> str | None:
    """The code that refuses `text`; None when it is accepted."""
    made = operations(**bounds)
    prepared = made.prepare(text)
    if prepared.errors:
        assert prepared.errors[0].extensions is not None
        return str(prepared.errors[0].extensions["code"])
    try:
        made.check(prepared.select(None), None)
    except Refusal as error:
        return error.code
    return None


def cost(text: str, variables: Mapping[str, Any] | None = None) -> int:
    """What `text` costs with `variables`."""
    made = operations(complexity=1 << 62, aliases=1000, depth=100)
    prepared = made.prepare(text)
    assert not prepared.errors, prepared.errors
    return made.check(prepared.select(None), variables).fields


def nested(depth: int) -> str:
    """A document of that depth."""
    return "{pick(by:{id:1}){" + "parent{" * (depth - 2) + "id" + "}" * (depth - 2) + "}}"


AT_AND_OVER: list[tuple[str, Callable[[int], str], str]] = [
    ("tokens", lambda n: "{" + "hello " * (n - 2) + "}", "TOO_MANY_TOKENS"),
    ("depth", nested, "TOO_DEEP"),
    (
        "depth",
        lambda n: f"{{pick(by:{{id:1}}){{...F}}}} fragment F on Item{{{'parent{' * (n - 2)}id{'}' * (n - 2)}}}",
        "TOO_DEEP",
    ),
    ("aliases", lambda n: "{" + " ".join(f"a{i}:hello" for i in range(n)) + "}", "TOO_MANY_ALIASES"),
    ("directives", lambda n: "{" + "hello @include(if:true) " * n + "}", "TOO_MANY_DIRECTIVES"),
    ("complexity", lambda n: "{" + "hello " * n + "}", "TOO_COMPLEX"),
    ("complexity", lambda n: f"{{items(first:{n - 2}){{nodes{{id}}}}}}", "TOO_COMPLEX"),
    ("page", lambda n: f"{{items(first:{n}){{totalCount}}}}", "BAD_USER_INPUT"),
]


@pytest.mark.parametrize(("bound", "document", "refusal"), AT_AND_OVER)
def test_a_bound_lets_through_what_reaches_it_and_nothing_beyond(
    bound: str, document: Callable[[int], str], refusal: str
) -> None:
    """Every limit is inclusive, and one more is refused with the code of that limit."""
    assert code(document(12), **{bound: 12}) is None
    assert code(document(13), **{bound: 12}) == refusal


PIECES = st.sampled_from(
    [
        *'{}()[]!$&=:@|,\ufeff \n\r\\"#.-0e',
        "...",
        '"""',
        '\\"""',
        '""',
        "name",
        "_1",
        "12",
        "-3.5e+7",
        "é",
        "1a",
        "\\u0041",
    ]
)


def test_tokens_are_counted_as_the_lexer_does(scaled: Callable[[int, int], int]) -> None:
    """Whatever the lexer reads, up to its first mistake, is counted as that many tokens, comments in addition."""

    @given(st.lists(PIECES, max_size=40).map("".join))
    @settings(max_examples=scaled(400, 200))
    def check(text: str) -> None:
        lexer, read, wrong = Lexer(Source(text)), 0, False
        try:
            while lexer.advance().kind is not TokenKind.EOF:
                read += 1
        except GraphQLSyntaxError:
            wrong = True
        counted = tokens_in(text, 1000)
        assert read <= counted
        assert wrong or counted <= read + text.count("#")

    check()


def test_fragments_count_as_often_as_they_are_spread() -> None:
    """Directives hidden in a fragment count at every spread of it, and an alias once."""
    text = "{pick(by:{id:1}){...F parent{...F}}} fragment F on Item{a:id b:name @skip(if:false)}"
    found = measure(parse(text))
    assert (found.aliases, found.directives, found.depth) == (2, 2, 3)


def test_aliases_of_the_type_name_do_not_count() -> None:
    """Relay's alias in each fragment on an abstract type is let through, and so is an alias that is spread twice."""
    relay = " ".join(f"fragment F{n} on Item{{__isItem{n}:__typename a:id}}" for n in range(40))
    spread = " ".join(f"...F{n}" for n in range(40))
    assert code(f"{{pick(by:{{id:1}}){{{spread} parent{{{spread}}}}}}} {relay}", aliases=1) is None
    assert code("{pick(by:{id:1}){a:id parent{a:name}}}", aliases=1) == "TOO_MANY_ALIASES"


def bomb(levels: int) -> str:
    """A document that spreads out to 2^levels fields."""
    parts = ["{pick(by:{id:1}){...F0}}"]
    parts += [f"fragment F{n} on Item{{...F{n + 1} parent{{...F{n + 1}}}}}" for n in range(levels)]
    parts.append(f"fragment F{levels} on Item{{id}}")
    return " ".join(parts)


def flat_bomb(levels: int) -> str:
    """The same without depth: each fragment spreads the next one twice."""
    parts = ["{pick(by:{id:1}){...F0}}"]
    parts += [f"fragment F{n} on Item{{...F{n + 1} ...F{n + 1}}}" for n in range(levels)]
    parts.append(f"fragment F{levels} on Item{{id @skip(if:false)}}")
    return " ".join(parts)


@pytest.mark.parametrize(("text", "refusal"), [(bomb(30), "TOO_DEEP"), (flat_bomb(30), "TOO_MANY_DIRECTIVES")])
def test_a_fragment_bomb_is_refused(text: str, refusal: str) -> None:
    """A document that would spread out to a billion fields is measured, not spread out, which would never end."""
    prepared = operations().prepare(text)
    assert prepared.errors[0].extensions is not None
    assert prepared.errors[0].extensions["code"] == refusal


@pytest.mark.parametrize("make", [bomb, flat_bomb])
def test_a_bomb_of_twice_the_levels_takes_about_twice_as_long(make: Callable[[int], str]) -> None:
    """Eight more levels are 256 times the fields, and nowhere near 256 times the work."""

    def work(levels: int) -> float:
        text, taken = make(levels), list[float]()
        for _ in range(5):
            made = operations(depth=100, tokens=10_000, aliases=1 << 40, directives=1 << 40, complexity=1 << 62)
            began = time.thread_time()
            made.check(made.prepare(text).select(None), None)
            taken.append(time.thread_time() - began)
        return min(taken)

    assert work(16) < 16 * work(8)


def test_the_cost_of_a_bomb_is_summed_and_not_walked() -> None:
    """The plan of a bomb that passes every other bound is evaluated in a step per field."""
    made = operations(depth=100, tokens=10_000, aliases=1 << 40)
    text = bomb(30)
    prepared = made.prepare(text)
    assert not prepared.errors
    with pytest.raises(Refusal) as refused:
        made.check(prepared.select(None), None)
    assert refused.value.code == "TOO_COMPLEX"
    assert refused.value.extensions is not None
    assert refused.value.extensions["cost"] > 1 << 30


def test_lists_multiply_by_their_arguments() -> None:
    """`first` of a connection sizes the lists in it; a list's own `first` sizes that list; both multiply."""
    assert cost("{hello}") == 1
    assert cost("{items(first:5){totalCount}}") == 2
    assert cost("{items(first:5){nodes{id name}}}") == 1 + 1 + 5 * 2
    assert cost("{items(first:5){nodes{related(first:4){id}}}}") == 1 + 1 + 5 * (1 + 4)
    assert cost("{items{nodes{id}}}") == 1 + 1 + 10
    assert cost("{dear}") == 30
    assert cost("{items(first:5){...C}} fragment C on ItemConnection{nodes{id}}") == 1 + 1 + 5


def test_variables_are_costed_with_their_values() -> None:
    """The same document costs what the request asks for; a default counts while the variable is left out."""
    text = "query($n:Int=7){items(first:$n){nodes{id}}}"
    assert cost(text, {"n": 100}) == 102
    assert cost(text) == 9
    assert cost("query($n:Int){items(first:$n){nodes{id}}}") == 12
    assert cost("query($n:Int){items(first:$n){nodes{id}}}", {"n": "many"}) == 12
    assert cost("query($n:Int){items(first:$n){nodes{id}}}", {"n": -5}) == 2


def _root(query: str) -> str:
    """The `__schema {…}` selection of an introspection query."""
    return query[query.index("__schema") : query.index("fragment FullType")].rstrip().removesuffix("}")


def test_what_introspection_may_cost_is_found_when_it_is_asked_for() -> None:
    """It is the cost of a whole document, which takes most of the time that it takes to make an endpoint."""
    operations = Operations(CORE)
    found: list[bool] = []
    for text in ("{hello}", "{__typename}", "{__schema{types{name}}}"):
        operations.check(operations.prepare(text).select(None), None)
        found.append("introspection_limit" in vars(operations._planner))
    assert found == [False, False, True]


def test_one_introspection_passes_and_several_do_not() -> None:
    """The standard introspection query is let through with all its options; three of it in one are too much."""
    standard = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True, schema_description=True
    )
    assert code(standard) is None
    thrice = "{" + " ".join(f"a{n}:{_root(standard)}" for n in range(3)) + "}" + standard[standard.index("fragment") :]
    assert code(thrice) == "TOO_COMPLEX"
    assert code("{__schema{types{name}}}", introspection=False) == "GRAPHQL_VALIDATION_FAILED"
    assert code("{__typename}", introspection=False) is None


def test_a_fragment_cycle_is_an_error_and_not_a_loop() -> None:
    """Fragments that spread each other are reported by validation."""
    text = "{pick(by:{id:1}){...A}} fragment A on Item{parent{...B}} fragment B on Item{parent{...A}}"
    assert code(text) == "GRAPHQL_VALIDATION_FAILED"


# --- the linear measure against plainly spreading everything out ---

names = st.integers(0, 3)


def selections(depth: int) -> st.SearchStrategy[str]:
    """Selections nested up to `depth`."""
    leaf = st.sampled_from(["id", "a:id", "id @skip(if:false)", "b:name @skip(if:false)"])
    if depth == 0:
        return leaf
    inner = selections(depth - 1)
    several = st.lists(inner, min_size=1, max_size=3).map(" ".join)
    return st.one_of(
        leaf,
        several.map(lambda body: f"parent{{{body}}}"),
        several.map(lambda body: f"...on Item{{{body}}}"),
        names.map(lambda n: f"...F{n}"),
    )


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Documents whose fragments spread only later ones, so that they end."""
    body = " ".join(draw(st.lists(selections(2), min_size=1, max_size=3)))
    parts = [f"{{pick(by:{{id:1}}){{{body}}}}}"]
    for n in range(4):
        inner = " ".join(draw(st.lists(selections(1), min_size=1, max_size=3)))
        for m in range(n + 1):
            inner = inner.replace(f"...F{m}", f"...F{n + 1}" if n < 3 else "id")
        parts.append(f"fragment F{n} on Item{{{inner}}}")
    return " ".join(parts)


def spread_out(text: str) -> Measure:
    """The measure by the definition: every fragment written out where it is spread."""
    document: Any = parse(text)
    fragments = {d.name.value: d for d in document.definitions if d.kind == "fragment_definition"}

    def walk(nodes: Any, depth: int, found: Measure) -> None:
        for node in nodes.selections:
            found.directives += len(node.directives or ())
            if node.kind == "field":
                if node.alias is not None:
                    aliases.add((node.alias.value, node.name.value))
                found.depth = max(found.depth, depth + 1)
                if node.selection_set:
                    walk(node.selection_set, depth + 1, found)
            elif node.kind == "fragment_spread":
                walk(fragments[node.name.value].selection_set, depth, found)
            else:
                walk(node.selection_set, depth, found)

    found, aliases = Measure(), set[tuple[str, str]]()
    walk(document.definitions[0].selection_set, 0, found)
    found.named = (1 << len(aliases)) - 1
    return found


def test_the_linear_measure_agrees_with_spreading_out(scaled: Callable[[int, int], int]) -> None:
    """For any document that ends, counting fragments once gives what writing them out gives."""

    @given(documents())
    @settings(max_examples=scaled(60, 30), deadline=None)
    def check(text: str) -> None:
        found, expected = measure(parse(text)), spread_out(text)
        assert (found.depth, found.aliases, found.directives) == (expected.depth, expected.aliases, expected.directives)

    check()
