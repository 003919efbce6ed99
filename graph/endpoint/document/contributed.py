"""What a schema's extensions add to how documents are checked: validation rules, and options of the parser.

Strawberry's protective extensions (`QueryDepthLimiter`, `MaxAliasesLimiter`, `DisableIntrospection`,
`AddValidationRules`, `MaxTokensLimiter`) work like that: they change `validation_rules` and `parse_options` of the
execution context. Documents are parsed and validated once, long before; here the rules that were added look at the
document again.

Rules of Strawberry and graphql-core depend on the document alone, so what they find is kept with it, also where an
extension makes its rule anew for each operation. Any other rule looks at each operation, as under Strawberry, in pieces
of 4 ms.

Failure: what cannot be honoured (a rule left out, another option of the parser) is a `TypeError` that says so.
"""

from __future__ import annotations

import asyncio
import time
from inspect import isfunction
from typing import TYPE_CHECKING, Any

from graphql import specified_rules

from graph.endpoint.document.validation import validate_in_steps
from graph.endpoint.errors import Refusal, coded

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    from graphql import ASTValidationRule, GraphQLError, GraphQLSchema

    from graph.endpoint.document.operations import Prepared

SLICE = 0.004
"""Seconds that rules may take before they yield to the event loop."""

_STANDARD = frozenset(specified_rules)
_PURE = ("graphql.", "strawberry.")
_SIMPLE = (int, float, str, bool, type(None))
_KEPT = 8
"""Sets of rules whose findings are kept of one document."""


class Contributed:
    """Checks documents of one schema by what its extensions contributed."""

    def __init__(self, schema: GraphQLSchema, *, most: int, hide_suggestions: bool) -> None:
        """Report at most `most` errors a document."""
        self._schema = schema
        self._most = most
        self._hide_suggestions = hide_suggestions

    async def errors(
        self, prepared: Prepared, rules: Sequence[type[ASTValidationRule]], options: Mapping[str, Any]
    ) -> list[GraphQLError]:
        """What is wrong with a valid document by `rules` and the parser's `options`."""
        if options:
            check_options(prepared, options)
        if rules == specified_rules:
            return []
        if missing := _STANDARD.difference(rules):
            names = ", ".join(sorted(rule.__name__ for rule in missing))
            raise TypeError(
                f"An extension left out validation rules ({names}), and what does not pass all of them cannot be "
                "executed here: leave out the extension, or serve the schema by Strawberry's own view."
            )
        added = [rule for rule in rules if rule not in _STANDARD]
        names = [key_of(rule) for rule in added]
        if None in names:
            return await self._validate(prepared, added)
        key = tuple(names)
        found = prepared.contributed.get(key)
        if found is None:
            found = await self._validate(prepared, added)
            if len(prepared.contributed) >= _KEPT:
                prepared.contributed.clear()
            prepared.contributed[key] = found
        return found

    async def _validate(self, prepared: Prepared, rules: Sequence[type[ASTValidationRule]]) -> list[GraphQLError]:
        document = prepared.document
        assert document is not None
        steps = validate_in_steps(
            self._schema, document, rules, most=self._most, hide_suggestions=self._hide_suggestions
        )
        until = time.perf_counter() + SLICE
        while True:
            try:
                next(steps)
            except StopIteration as done:
                return coded(done.value, "GRAPHQL_VALIDATION_FAILED")
            if time.perf_counter() > until:
                await asyncio.sleep(0)
                until = time.perf_counter() + SLICE


def check_options(prepared: Prepared, options: Mapping[str, Any]) -> None:
    """Hold a parsed document to options of the parser; raises `Refusal`, or `TypeError` for one that is not known."""
    for name, value in options.items():
        if name != "max_tokens":
            raise TypeError(f"An extension sets the parser's option {name}, which is not known here: leave it out.")
        document = prepared.document
        tokens = document.token_count if document is not None else None
        if value is not None and tokens is not None and tokens > value:
            raise Refusal("TOO_MANY_TOKENS", f"A document holds at most {value} tokens.", limit=value)


def key_of(rule: type[ASTValidationRule]) -> Hashable:
    """What a rule is known by that depends on the document alone; None for any other.

    A factory makes a new class each time; such classes are the same rule if what they enclose is the same.
    """
    if not f"{rule.__module__}.".startswith(_PURE):
        return None
    if "<locals>" not in rule.__qualname__:
        return rule
    enclosed: list[Hashable] = [rule.__module__, rule.__qualname__]
    for name, function in sorted(vars(rule).items()):
        if isfunction(function):
            for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
                value = cell.cell_contents
                if value is not rule:
                    if not isinstance(value, _SIMPLE):
                        return None
                    enclosed += [name, variable, type(value), value]
    return tuple(enclosed)
