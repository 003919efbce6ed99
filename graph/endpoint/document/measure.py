"""The rules that bound a document, each linear in its size.

A fragment is measured once and then counted as often as it is spread, so a document of a thousand tokens takes a
thousand steps even where expanding it would take 2^30. The sums are exact: Python's integers do not overflow.

An alias counts once, however often the same alias of the same field is spread, because `cost_plan` already counts
repeated fields. The bound is meant for a client that asks for a hundred things at once under distinct aliases. An
alias of ``__typename`` does not count: Relay's compiler adds one to each fragment on an abstract type.

`parsed` reads no more tokens than it may, and `measure` needs no schema, so both run before validation.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import (
    REMOVE,
    SKIP,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    Lexer,
    OperationDefinitionNode,
    SelectionSetNode,
    Source,
    Visitor,
    visit,
)
from graphql.language.parser import Parser

from graph.endpoint.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from graphql import DefinitionNode, DirectiveNode, DocumentNode, Token, VisitorAction

DELIVERY = frozenset({"defer", "stream"})
INTROSPECTION = frozenset({"__schema", "__type"})
INTROSPECTION_DEPTH = 30
"""Nesting depth of fields from an introspection field on; the standard query nests 15."""


def parsed(text: str, limit: int | None) -> DocumentNode:
    """The document `text`; raises a `GraphQLSyntaxError`, or a `Refusal` for more than `limit` tokens, or levels."""
    source = Source(text)
    lexer = Lexer(source)
    parser = Parser(source, lexer=lexer, max_lexical_tokens=limit, max_comments=limit, allow_empty_selection_sets=False)
    try:
        with suppress(RecursionError):  # as many levels are as many tokens
            return parser.parse_document()
    except GraphQLSyntaxError as error:
        if not error.message.endswith("Parsing aborted."):
            raise
    finally:
        _part(lexer.token)
    raise Refusal("TOO_MANY_TOKENS", f"A document holds at most {limit} tokens.", limit=limit)


def _part(token: Token | None) -> None:
    """Part the tokens of a document: each leads to its neighbours, a cycle that nobody has need of any more."""
    while token is not None and token.prev is not None:
        token = token.prev
    while token is not None:
        token.prev, token.next, token = None, None, token.next


@dataclass(slots=True)
class Measure:
    """The measures of a definition with its fragments expanded."""

    depth: int = 0
    introspection_depth: int = 0
    named: int = 0
    """The set of aliased fields, as bits: see `_Names`."""
    directives: int = 0
    introspects: bool = False
    spreads: list[tuple[str, int, bool]] = field(default_factory=list[tuple[str, int, bool]])
    """Fragment names, with the depth of each spread and whether it is below an introspection field."""

    @property
    def aliases(self) -> int:
        """Distinct aliased fields."""
        return self.named.bit_count()

    def add(self, other: Measure, at: int, *, introspecting: bool) -> None:
        """Count a fragment that is spread at depth `at`."""
        if introspecting:
            self.introspection_depth = max(self.introspection_depth, at + other.depth, at + other.introspection_depth)
        else:
            self.depth = max(self.depth, at + other.depth)
            if other.introspection_depth:
                self.introspection_depth = max(self.introspection_depth, at + other.introspection_depth)
        self.named |= other.named
        self.directives += other.directives
        self.introspects |= other.introspects


def measure(document: DocumentNode) -> Measure:
    """The largest value of each measure over the operations of `document`. A fragment cycle counts once."""
    names = _Names()
    fragments = {d.name.value: _local(d, names) for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    for name in fragment_order({name: [s[0] for s in local.spreads] for name, local in fragments.items()}):
        _resolve(fragments[name], fragments)
    whole = Measure()
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            one = _local(definition, names)
            _resolve(one, fragments)
            whole.depth = max(whole.depth, one.depth)
            whole.introspection_depth = max(whole.introspection_depth, one.introspection_depth)
            whole.named = max(whole.named, one.named, key=int.bit_count)
            whole.directives = max(whole.directives, one.directives)
            whole.introspects |= one.introspects
    return whole


def _resolve(one: Measure, fragments: dict[str, Measure]) -> None:
    spreads, one.spreads = one.spreads, []
    for name, at, introspecting in spreads:
        fragment = fragments.get(name)
        # A fragment that still has spreads of its own closes a cycle, which validation reports.
        if fragment is not None and not fragment.spreads:
            one.add(fragment, at, introspecting=introspecting)


class _Names(dict[tuple[str, str], int]):
    """A bit for each aliased field of a document, so that a set of them is one integer and a union is one step."""

    def __missing__(self, key: tuple[str, str]) -> int:
        bit = self[key] = 1 << len(self)
        return bit


def _local(definition: DefinitionNode, names: _Names) -> Measure:
    """Measure one definition, leaving its spreads to be added."""
    assert isinstance(definition, (OperationDefinitionNode, FragmentDefinitionNode))
    result = Measure(directives=len(definition.directives or ()))
    for variable in definition.variable_definitions or ():
        result.directives += len(variable.directives or ())
    stack: list[tuple[SelectionSetNode, int, bool]] = [(definition.selection_set, 0, False)]
    while stack:
        selection_set, depth, introspecting = stack.pop()
        for node in selection_set.selections:
            result.directives += len(node.directives or ())
            if isinstance(node, FieldNode):
                if node.alias is not None and node.name.value != "__typename":
                    result.named |= names[node.alias.value, node.name.value]
                inside = introspecting or node.name.value in INTROSPECTION
                result.introspects |= inside
                if inside:
                    result.introspection_depth = max(result.introspection_depth, depth + 1)
                else:
                    result.depth = max(result.depth, depth + 1)
                if node.selection_set is not None:
                    stack.append((node.selection_set, depth + 1, inside))
            elif isinstance(node, InlineFragmentNode):
                stack.append((node.selection_set, depth, introspecting))
            elif isinstance(node, FragmentSpreadNode):
                result.spreads.append((node.name.value, depth, introspecting))
    return result


def fragment_order(spreads: dict[str, list[str]]) -> Iterator[str]:
    """The names of `spreads`, each after the fragments that it spreads. A spread that closes a cycle is skipped."""
    done: set[str] = set()
    for root, inner in spreads.items():
        path: list[tuple[str, Iterator[str]]] = [] if root in done else [(root, iter(inner))]
        on_path = {root}
        while path:
            name, rest = path[-1]
            for spread in rest:
                if spread in spreads and spread not in done and spread not in on_path:
                    path.append((spread, iter(spreads[spread])))
                    on_path.add(spread)
                    break
            else:
                path.pop()
                on_path.discard(name)
                done.add(name)
                yield name


class _InOnePiece(Visitor):
    """Leaves out what asks for an answer in pieces."""

    def enter_directive(self, node: DirectiveNode, *_args: Any) -> VisitorAction:
        """Leave out a directive."""
        return REMOVE if node.name.value in DELIVERY else SKIP


def in_one_piece(document: DocumentNode) -> DocumentNode:
    """A valid document without `@defer` and `@stream`: what they stand at comes with the rest of the answer."""
    whole = visit(document, _InOnePiece())
    if whole is not document:
        object.__setattr__(whole, "token_count", document.token_count)  # as the parser does: nodes are frozen
    return whole
