"""Chooses the executor of an operation: compiled code where possible, else graphql-core.

The compiler builds on parts of Strawberry and graphql-core that have no public name. Where one of them is missing, as
in a later release, every operation is executed by graphql-core, and the log says so once, when the schema is built.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from graphql import get_operation_ast
from strawberry.execution import optimized_is_awaitable

from graph.endpoint.declare import core_of
from graph.endpoint.execution.wrong_variables import named

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLError
    from graphql.execution import Executor
    from graphql.execution.middleware import MiddlewareManager
    from strawberry import Schema

    from graph.endpoint.document import Operation, Prepared
    from graph.endpoint.execution.compiled import Compiler

logger = logging.getLogger(__name__)

ExecutorOrErrors: TypeAlias = "Executor[Any] | list[GraphQLError]"
"""The executor of an operation, or the errors in its variables."""


class Given(NamedTuple):
    """The inputs of an execution."""

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
        self.compiler = _compiler(schema, errors=errors, hide_suggestions=hide_suggestions) if compiled else None

    def of(self, prepared: Prepared, operation: Operation, given: Given) -> ExecutorOrErrors:
        """The executor of `operation`, without middleware."""
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
    ) -> ExecutorOrErrors:
        """graphql-core's executor of the operation called `name`."""
        made = cast(
            "ExecutorOrErrors",
            self._schema.execution_context_class.build(
                core_of(self._schema),
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
            made = named(made, core_of(self._schema), definitions or (), given.variables)
        return made


def _compiler(schema: Schema, *, errors: int, hide_suggestions: bool) -> Compiler | None:
    """The compiler of `schema`; None where what it builds on is missing."""
    try:
        from graph.endpoint.execution.compiled import Compiler  # noqa: PLC0415 - it may fail, and must not end the boot
    except (ImportError, AttributeError) as missing:
        logger.warning("operations are left to graphql-core, which is slower: the compiler needs %s", missing)
        return None
    return Compiler(schema, errors=errors, hide_suggestions=hide_suggestions)
