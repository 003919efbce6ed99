"""Variables: coerced by what is known of them beforehand, and by graphql-core as soon as one is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, GraphQLNonNull, Undefined, is_leaf_type
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import (
    VariableValues,
    VariableValueSource,
    get_variable_values,
    input_is_nested_too_deeply,  # pyright: ignore[reportUnknownVariableType] - its types are partial
)
from graphql.utilities.coerce_input_value import (
    coerce_input_literal,  # pyright: ignore[reportUnknownVariableType] - its types are partial
    coerce_input_value,  # pyright: ignore[reportUnknownVariableType] - the same
)

from graph.endpoint.execution.compiled.literals import immutable, pure
from graph.endpoint.execution.wrong_variables import named

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from graphql import GraphQLSchema, VariableDefinitionNode


class Variables:
    """Coerces the variables of one operation."""

    def __init__(
        self, schema: GraphQLSchema, definitions: tuple[VariableDefinitionNode, ...], *, errors: int, hide: bool
    ) -> None:
        """Report at most `errors`, with suggestions unless `hide`."""
        self._schema = schema
        self._definitions = definitions
        self._errors = errors
        self._hide = hide
        signatures = [get_variable_signature(schema, one) for one in definitions]
        self._simple = not any(isinstance(one, GraphQLError) for one in signatures)
        self._signatures: list[Any] = signatures
        self._defaults = [_default(one) for one in self._signatures] if self._simple else []

    def coerce(self, given: Mapping[str, Any] | None) -> VariableValues | list[GraphQLError]:
        """The client's variables, coerced as graphql-core would."""
        if self._simple:
            values = self._coerced(given or {})
            if values is not None:
                return values
        found = get_variable_values(
            self._schema, self._definitions, dict(given or {}), max_errors=self._errors, hide_suggestions=self._hide
        )
        return named(found, self._schema, self._definitions, given) if isinstance(found, list) else found

    def _coerced(self, given: Mapping[str, Any]) -> VariableValues | None:
        """The coerced variables, if all of them are right."""
        sources: dict[str, VariableValueSource] = {}
        coerced: dict[str, Any] = {}
        for signature, default in zip(self._signatures, self._defaults, strict=True):
            name, type_ = signature.name, signature.type
            value = given.get(name, Undefined)
            if value is Undefined:
                if isinstance(type_, GraphQLNonNull) and default is None:
                    return None
                sources[name] = VariableValueSource(signature)
                if default is not None:
                    result = default()
                    if result is Undefined:
                        return None
                    coerced[name] = result
                continue
            sources[name] = VariableValueSource(signature, value)
            try:
                if not is_leaf_type(getattr(type_, "of_type", type_)) and input_is_nested_too_deeply(value, type_):
                    return None
                result = coerce_input_value(value, type_)
            except Exception:  # noqa: BLE001 - graphql-core is to say what is wrong
                return None
            if result is Undefined:
                return None
            coerced[name] = result
        return VariableValues(sources, coerced)


def _default(signature: Any) -> Callable[[], Any] | None:
    """A function for the default of a variable (Undefined where graphql-core must decide); None without a default.

    A mutable default is made anew for each request, so that no request sees another's changes to it.
    """
    if signature.default is None:
        return None
    literal, type_ = signature.default.literal, signature.type

    def default() -> Any:
        try:
            return coerce_input_literal(literal, type_)
        except Exception:  # noqa: BLE001 - whatever an input type raises
            return Undefined

    value = default() if pure(type_) else Undefined
    return (lambda: value) if immutable(value) else default
