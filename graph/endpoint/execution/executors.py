"""What executes an operation: the compiled one where that is possible, graphql-core where not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from graphql import get_operation_ast
from strawberry.execution import optimized_is_awaitable

from graph.endpoint.execution.compiled.program import Compiler
from graph.endpoint.execution.wrong_variables import named

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLError
    from graphql.execution import Executor
    from graphql.execution.middleware import MiddlewareManager
    from strawberry import Schema

    from graph.endpoint.document import Operation, Prepared

Made: TypeAlias = "Executor[Any] | list[GraphQLError]"
"""What executes an operation, or the errors in its variables."""


class Given(NamedTuple):
    """What an operation is executed with."""

    variables: Any
    root_value: object
    context: object
    extensions: Any


class Executors:
    """Makes the executors of one schema."""

    def __init__(self, schema: Schema, *, errors: int, hide_suggestions: bool, compiled: bool = True) -> None:
        """Report at most `errors` wrong variables. Unless `compiled`, all is executed by graphql-core itself."""
        self._schema: Any = schema
        self._errors = errors
        self._hide_suggestions = hide_suggestions
        self.compiler = Compiler(schema, errors=errors, hide_suggestions=hide_suggestions) if compiled else None

    def of(self, prepared: Prepared, operation: Operation, given: Given) -> Made:
        """What executes `operation`, without middleware."""
        if self.compiler is not None:
            variables, root_value, context, extensions = given
            made = self.compiler.begin(
                prepared,
                operation,
                variables=variables,
                root_value=root_value,
                context=context,
                extensions=extensions,
            )
            if made is not None:
                return made
        assert prepared.document is not None
        return self.by_core(prepared.document, operation.name, given)

    def by_core(
        self,
        document: DocumentNode,
        name: str | None,
        given: Given,
        middleware: MiddlewareManager | None = None,
        is_awaitable: Any = optimized_is_awaitable,
    ) -> Made:
        """What executes the operation called `name` by graphql-core."""
        made = cast(
            "Made",
            self._schema.execution_context_class.build(
                self._schema._schema,  # noqa: SLF001 - Strawberry has no public name for it
                document,
                given.root_value,
                given.context,
                given.variables,
                name,
                middleware=middleware,
                max_coercion_errors=self._errors,
                hide_suggestions=self._hide_suggestions,
                operation_extensions=given.extensions,
                is_awaitable=is_awaitable,
            ),
        )
        if isinstance(made, list):
            operation = get_operation_ast(document, name)
            definitions = operation.variable_definitions if operation is not None else ()
            made = named(made, self._schema._schema, definitions or (), given.variables)  # noqa: SLF001 - the same
        return made
