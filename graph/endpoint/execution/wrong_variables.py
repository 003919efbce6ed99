"""Names the variable in each error about variables.

graphql-core names the variable of every error that it finds itself. An error that an input type raises (Strawberry's
check of a ``@oneOf``) ends its search, without a name and a place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLError
from graphql.execution.values import get_variable_values

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import GraphQLSchema, VariableDefinitionNode


def named(
    errors: Sequence[GraphQLError],
    schema: GraphQLSchema,
    definitions: Sequence[VariableDefinitionNode],
    given: Mapping[str, Any] | None,
) -> list[GraphQLError]:
    """`errors`, which were found in the variables `given`; for those without a place each definition is looked at."""
    if all(error.locations for error in errors):
        return list(errors)
    culprits: dict[str, VariableDefinitionNode] = {}
    for definition in definitions:
        found = get_variable_values(schema, [definition], dict(given or {}))
        for error in found if isinstance(found, list) else ():
            if not error.locations:
                culprits.setdefault(error.message, definition)
    return [_name(error, culprits.get(error.message)) for error in errors]


def _name(error: GraphQLError, culprit: VariableDefinitionNode | None) -> GraphQLError:
    if error.locations or culprit is None:
        return error
    message = f"Variable '${culprit.variable.name.value}' has invalid value: {error.message}"
    return GraphQLError(message, culprit, original_error=error)
