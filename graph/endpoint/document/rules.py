"""The rules a document is validated by: graphql-core's and Strawberry's, mended where they leave a client guessing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import (
    SKIP,
    GraphQLError,
    ListValueNode,
    ObjectValueNode,
    ValuesOfCorrectTypeRule,
    specified_rules,
)
from graphql.utilities.validate_input_value import (
    validate_input_literal,  # pyright: ignore[reportUnknownVariableType] - its types are partial
)
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

if TYPE_CHECKING:
    from graphql import ASTValidationRule, GraphQLNamedType, ValueNode, VisitorAction


class ValuesRule(ValuesOfCorrectTypeRule):
    """graphql-core's rule for literals, which forgets where a literal stands that a scalar's own parser refuses."""

    def is_valid_value_node(self, node: ValueNode, input_type: Any) -> VisitorAction:
        """Report what is wrong with `node`, in its place."""
        if input_type:

            def on_error(error: GraphQLError, path: list[str | int]) -> None:
                if not error.locations:
                    error = GraphQLError(error.message, _at(node, path), extensions=error.extensions)
                self.report_error(error)

            validate_input_literal(node, input_type, on_error, None, None, self.context.hide_suggestions)
        return SKIP


def _at(node: ValueNode, path: list[str | int]) -> ValueNode:
    """What stands at `path` inside the literal `node`."""
    for step in path:
        if isinstance(node, ObjectValueNode):
            node = next((one.value for one in node.fields if one.name.value == step), node)
        elif isinstance(node, ListValueNode) and isinstance(step, int) and step < len(node.values):
            node = node.values[step]
    return node


class OneOfRule(OneOfInputValidationRule):
    """Strawberry's rule for `@oneOf`, which raises KeyError on a variable that the operation does not declare."""

    def __init__(self, validation_context: Any) -> None:
        """Know no variables until an operation is entered."""
        super().__init__(validation_context)
        self.variable_definitions = {}

    def validate_one_of(self, node: ObjectValueNode, type: GraphQLNamedType) -> None:  # noqa: A002 - its name
        """Check `node`, leaving unknown variables to the rule that reports them and to coercion."""
        if len(node.fields) == 1:
            value: Any = node.fields[0].value
            if value.kind == "variable" and value.name.value not in self.variable_definitions:
                return
        super().validate_one_of(node, type)


_CORE: tuple[type[ASTValidationRule], ...] = tuple(specified_rules)

RULES: tuple[type[ASTValidationRule], ...] = (
    *(ValuesRule if rule is ValuesOfCorrectTypeRule else rule for rule in _CORE),
    MaybeNullValidationRule,
    OneOfRule,
)
