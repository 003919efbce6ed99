"""One schema executed both ways: by graphql-core, and compiled."""

from __future__ import annotations

import asyncio
import zlib
from typing import TYPE_CHECKING, Any, cast

from graphql import ExecutionResult, GraphQLError
from strawberry.execution import optimized_is_awaitable

from graph.endpoint.document import Bounds, Operations, Prepared
from graph.endpoint.execution.compiled import Compiler
from graph.endpoint.execution.compiled.written import OFTEN
from graph.endpoint.execution.wrong_variables import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    import strawberry

BOUNDLESS = Bounds(tokens=10**6, depth=99, aliases=10**6, directives=10**6, complexity=10**9, page=10**6)


class Twins:
    """Executes prepared operations of one schema."""

    def __init__(self, schema: strawberry.Schema) -> None:
        self.schema = schema
        self.core = cast("Any", schema)._schema
        self.compiler = Compiler(schema, errors=20, hide_suggestions=True)

    def prepare(self, text: str) -> Prepared:
        """What the endpoint would make of `text`, always anew. Of half of the texts selections are written at once."""
        self.compiler.often = 0 if zlib.crc32(text.encode()) & 1 else OFTEN
        return Operations(self.core, BOUNDLESS).prepare(text)

    async def by_core(self, prepared: Prepared, variables: Mapping[str, Any], context: object) -> Any:
        """What graphql-core comes to."""
        executor = cast("Any", self.schema).execution_context_class.build(
            self.core, prepared.document, None, context, dict(variables), None,
            max_coercion_errors=20, hide_suggestions=True,
            is_awaitable=optimized_is_awaitable, operation_extensions=None,
        )  # fmt: skip
        if isinstance(executor, list):
            errors = cast("list[GraphQLError]", executor)
            executor = named(errors, self.core, prepared.select(None).node.variable_definitions or (), variables)
        return await self._run(executor)

    async def compiled(self, prepared: Prepared, variables: Mapping[str, Any], context: object) -> Any:
        """What the compiled operation comes to; AssertionError if it is left to graphql-core."""
        executor = self.begin(prepared, variables, context)
        assert executor is not None, "left to graphql-core"
        return await self._run(executor)

    def begin(self, prepared: Prepared, variables: Mapping[str, Any], context: object = None) -> Any:
        """What `Compiler.begin` gives for the only operation."""
        return self.compiler.begin(
            prepared, prepared.select(None), variables=variables, root_value=None, context=context, extensions=None
        )

    async def _run(self, executor: Any) -> dict[str, Any]:
        if isinstance(executor, list):
            return {"refused": [told(one) for one in cast("list[GraphQLError]", executor)]}
        others = asyncio.all_tasks()
        result = executor.execute_operation()
        pending = not isinstance(result, ExecutionResult)
        if pending:
            result = cast("ExecutionResult", await result)
        for _ in range(100):  # what is left in the background has its say, too
            if not asyncio.all_tasks() - others:
                break
            await asyncio.sleep(0)
        errors = None if result.errors is None else [told(one) for one in result.errors]
        return {"pending": pending, "data": ordered(result.data), "errors": errors}


def ordered(value: Any) -> Any:
    """`value` with the order of its keys, and with equal values of other types told apart."""
    if isinstance(value, dict):
        return [(key, ordered(one)) for key, one in cast("dict[str, Any]", value).items()]
    if isinstance(value, list):
        return [ordered(one) for one in cast("list[Any]", value)]
    return type(value).__name__, repr(value)


def told(error: GraphQLError) -> Any:
    """All that an error says, and whether `errors` would take it for a wrong result."""
    cause = error.original_error
    leaf, trace = False, error.__traceback__
    while trace is not None:
        leaf = leaf or trace.tb_frame.f_code.co_name == "complete_leaf_value"
        trace = trace.tb_next
    return (error.message, error.path, error.locations, [one.loc for one in error.nodes or ()], error.extensions,
            type(cause).__name__, str(cause), leaf)  # fmt: skip
