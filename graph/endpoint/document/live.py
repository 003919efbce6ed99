"""What the directive `@live` asks of an operation, and the rule that refuses it where nothing tells of changes.

A live query may select what may be kept (`declare.live_queries`). The rule names each field for which that is not so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    Undefined,
    ValidationRule,
    VariableNode,
    value_from_ast_untyped,
)

from graph.endpoint.declare import LIVE, LONGEST, THROTTLE
from graph.endpoint.document.caching import unkept_fields
from graph.endpoint.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import DirectiveNode


class Wish(NamedTuple):
    """What a live query asks for: at least `throttle` seconds between two answers; patches, or whole answers."""

    throttle: float
    patch: bool


def directive_of(node: OperationDefinitionNode) -> DirectiveNode | None:
    """The `@live` of an operation."""
    return next((one for one in node.directives or () if one.name.value == LIVE.name), None)


def wish_of(node: OperationDefinitionNode, variables: Mapping[str, Any] | None) -> Wish | None:
    """What `node` asks for with `variables`; None unless it is live. Raises `Refusal` for a wrong value."""
    directive = directive_of(node) if node.directives else None
    if directive is None:
        return None
    defaults = {
        one.variable.name.value: value_from_ast_untyped(one.default_value)
        for one in node.variable_definitions or ()
        if one.default_value is not None
    }
    values = {**defaults, **(variables or {})}
    read = {one.name.value: value_from_ast_untyped(one.value, values) for one in directive.arguments or ()}
    _check_given(node, directive, values)
    given = {name: value for name, value in read.items() if value is not None and value is not Undefined}
    throttle, patch, wanted = given.get("throttle", THROTTLE), given.get("patch", False), given.get("if", True)
    if isinstance(throttle, bool) or not isinstance(throttle, int) or not 0 <= throttle <= LONGEST:
        raise Refusal("BAD_USER_INPUT", f"throttle is milliseconds, from 0 to {LONGEST}.")
    if not isinstance(patch, bool) or not isinstance(wanted, bool):
        raise Refusal("BAD_USER_INPUT", "patch and if are true or false.")
    return Wish(throttle / 1000, patch) if wanted else None


def _check_given(node: OperationDefinitionNode, directive: DirectiveNode, values: Mapping[str, Any]) -> None:
    """Refuse a required variable without a value here: an answer that is kept for all is not executed with it."""
    required = {
        one.variable.name.value for one in node.variable_definitions or () if isinstance(one.type, NonNullTypeNode)
    }
    for one in directive.arguments or ():
        name = one.value.name.value if isinstance(one.value, VariableNode) else None
        if name in required and values.get(name) is None:
            raise Refusal("BAD_USER_INPUT", f"The variable '${name}' of '@live' is required.")


class LiveRule(ValidationRule):
    """Refuses `@live` on what cannot be live, with the names of the fields; other places are no place for it."""

    def enter_operation_definition(self, node: OperationDefinitionNode, *_args: Any) -> None:
        """Check an operation."""
        if node.operation is not OperationType.QUERY or directive_of(node) is None:
            return
        document = self.context.document
        fragments = {one.name.value: one for one in document.definitions if isinstance(one, FragmentDefinitionNode)}
        for field, name, reason in unkept_fields(self.context.schema, fragments, node):
            self.report_error(GraphQLError(f"The field '{name}' cannot be live: {reason}.", field))
