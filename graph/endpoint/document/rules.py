"""The rules a document is validated by: graphql-core's and Strawberry's.

They are corrected where their message does not help a client, where they fail on a document that a client may send, and
where they take quadratic time (`merging`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from graphql import (
    SKIP,
    GraphQLError,
    GraphQLUnionType,
    ListValueNode,
    ObjectValueNode,
    OverlappingFieldsCanBeMergedRule,
    ValuesOfCorrectTypeRule,
    specified_rules,
)
from graphql.utilities.validate_input_value import (
    validate_input_literal,  # pyright: ignore[reportUnknownVariableType] - its types are partial
)
from graphql.validation import StreamDirectiveOnListField
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from graph.endpoint.document.live import LiveRule
from graph.endpoint.document.merging import MergeableFieldsRule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import (
        ASTValidationRule,
        DirectiveNode,
        GraphQLNamedType,
        ValidationContext,
        ValueNode,
        VisitorAction,
    )


class ValuesRule(ValuesOfCorrectTypeRule):
    """graphql-core's rule for literals, corrected: it loses the location of a literal that a scalar refuses."""

    def is_valid_value_node(self, node: ValueNode, input_type: Any) -> VisitorAction:
        """Report what is wrong with `node`, with its location."""
        if input_type:

            def on_error(error: GraphQLError, path: list[str | int]) -> None:
                if not error.locations:
                    error = GraphQLError(error.message, _at(node, path), extensions=error.extensions)
                self.report_error(error)

            validate_input_literal(node, input_type, on_error, None, None, self.context.hide_suggestions)
        return SKIP


def _at(node: ValueNode, path: list[str | int]) -> ValueNode:
    """The node at `path` inside the literal `node`."""
    for step in path:
        if isinstance(node, ObjectValueNode):
            node = next((one.value for one in node.fields if one.name.value == step), node)
        elif isinstance(node, ListValueNode) and isinstance(step, int) and step < len(node.values):
            node = node.values[step]
    return node


class OneOfRule(OneOfInputValidationRule):
    """Strawberry's rule for `@oneOf`, corrected: it raises KeyError for an undeclared variable."""

    def __init__(self, validation_context: Any) -> None:
        """Start without variables; an operation sets them when it is entered."""
        super().__init__(validation_context)
        self.variable_definitions = {}

    def validate_one_of(self, node: ObjectValueNode, type: GraphQLNamedType) -> None:  # noqa: A002 - its name
        """Check `node`; unknown variables are left to the rule that reports them and to coercion."""
        if len(node.fields) == 1:
            value: Any = node.fields[0].value
            if value.kind == "variable" and value.name.value not in self.variable_definitions:
                return
        super().validate_one_of(node, type)


class StreamRule(StreamDirectiveOnListField):
    """graphql-core's rule for `@stream`, corrected: it raises AttributeError at a field of a union."""

    def enter_directive(self, node: DirectiveNode, _key: Any, parent: Any, path: Any, ancestors: Any) -> None:
        """Check a directive; the only field of a union, `__typename`, is not a list."""
        context = cast("ValidationContext", self.context)
        kind = context.get_parent_type()
        if not isinstance(kind, GraphQLUnionType):
            super().enter_directive(node, _key, parent, path, ancestors)
        elif node.name.value == "stream" and context.get_field_def() is not None:
            message = f"Stream directive cannot be used on non-list field '__typename' on type '{kind.name}'."
            self.report_error(GraphQLError(message, node))


_OURS: Mapping[type[ASTValidationRule], type[ASTValidationRule]] = {
    OverlappingFieldsCanBeMergedRule: MergeableFieldsRule,
    StreamDirectiveOnListField: StreamRule,
    ValuesOfCorrectTypeRule: ValuesRule,
}

RULES: tuple[type[ASTValidationRule], ...] = (
    *(_OURS.get(rule, rule) for rule in specified_rules),
    MaybeNullValidationRule,
    OneOfRule,
    LiveRule,
)
