"""The executor of a compiled operation: graphql-core's own, with the hot path replaced.

It is a real `Executor` of the schema's class. Errors are collected, awaitables settled, abstract types resolved and
subscriptions opened by graphql-core's methods; what is replaced is how an operation and a selection are executed, and
how an executor is made: from a template, instead of looking the document through for each request.
"""

from __future__ import annotations

from functools import lru_cache
from types import CoroutineType
from typing import TYPE_CHECKING, Any, cast

from graphql import ExecutionResult, GraphQLError, OperationType
from graphql.execution.executor import CollectedErrors
from strawberry.schema import schema as strawberry_schema
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from graph.endpoint.execution.event_executor import EventExecutor

if TYPE_CHECKING:
    from graph.endpoint.execution.compiled.selections import Variant

_INFO: Any = strawberry_schema._OperationContextAwareGraphQLResolveInfo  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what the executor's build_resolve_info makes
_HARMLESS = frozenset({"__module__", "__doc__", "__qualname__", "__orig_bases__", "__parameters__", "__firstlineno__",
                       "__static_attributes__", "__annotations__", "__abstractmethods__", "_abc_impl"})  # fmt: skip


def problem_with(base: type[Any]) -> str | None:
    """Why operations of a schema with the execution context class `base` cannot be compiled; None if they can."""
    if not issubclass(base, StrawberryGraphQLCoreExecutionContext):
        return f"{base.__name__} is not Strawberry's execution context"
    for one in base.__mro__:
        if one is StrawberryGraphQLCoreExecutionContext:
            return None
        if one is not EventExecutor and (changed := set(vars(one)) - _HARMLESS):
            return f"{one.__name__} changes {', '.join(sorted(changed))}"
    return None


class CompiledExecutor(StrawberryGraphQLCoreExecutionContext):
    """Mixed into the execution context class of a schema by `compiled_class`; made by `begin`, never by itself."""

    variant: Variant
    _rest: tuple[Any, ...]

    def begin(
        self, variant: Variant, values: Any, root_value: object, context: object, extensions: dict[str, Any] | None
    ) -> CompiledExecutor:
        """An executor for one request, made from this one, which stays as it is."""
        made = object.__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.variant = variant
        made.variable_values = values
        made.root_value = root_value
        made.context_value = context
        made.operation_extensions = extensions
        made.collected_errors = CollectedErrors()
        made._relevant_sub_fields = {}  # pyright: ignore[reportAttributeAccessIssue]
        made._remember()
        return made

    def _remember(self) -> None:
        """Gather what the info of every resolver of this execution contains."""
        self._rest = (
            self.schema, self.fragment_definitions, self.root_value, self.operation,
            self.variable_values.coerced, self.context_value, cast("Any", self).is_awaitable, self.abort_signal,
            self.async_helpers, self.operation_extensions,
        )  # fmt: skip

    def build_resolve_info(self, field_def: Any, field_nodes: Any, parent_type: Any, path: Any) -> Any:
        """The same as Strawberry's, without a call for each of its members."""
        name = field_nodes[0].name.value
        return tuple.__new__(_INFO, (name, field_nodes, field_def.type, parent_type, path, *self._rest))  # pyright: ignore[reportUnknownMemberType] - a tuple of anything

    def execute_operation(self, serially: bool | None = None) -> Any:  # noqa: FBT001 - graphql-core's own signature
        """Execute the operation or one event of a subscription: a result, or a coroutine that gives it."""
        self._remember()  # again for each event of a subscription
        if serially is None:
            serially = self.operation.operation is OperationType.MUTATION
        try:
            data = self.variant.execute(self, self.root_value, serially=serially)
        except GraphQLError as error:
            return self._failed(error)
        if type(data) is CoroutineType:
            return self._finish(cast("Any", data))
        return ExecutionResult(data, self.collected_errors.errors or None)

    async def _finish(self, data: Any) -> ExecutionResult:
        try:
            return ExecutionResult(await data, self.collected_errors.errors or None)
        except GraphQLError as error:
            return self._failed(error)

    def _failed(self, error: GraphQLError) -> ExecutionResult:
        self.collected_errors.add(error, None)
        return ExecutionResult(None, self.collected_errors.errors or None)

    def collect_and_execute_subfields(
        self, return_type: Any, field_details_list: Any, path: Any, result: Any, position_context: Any
    ) -> Any:
        """Return from graphql-core's methods to compiled code, where it exists."""
        execute = self.variant.selection(return_type, field_details_list)
        if execute is not None:
            return execute(self, result, path)
        return super().collect_and_execute_subfields(return_type, field_details_list, path, result, position_context)


@lru_cache(maxsize=64)
def compiled_class(base: type[Any]) -> type[CompiledExecutor]:
    """`base` with the hot path replaced."""
    if base is StrawberryGraphQLCoreExecutionContext:
        return CompiledExecutor
    return cast("type[CompiledExecutor]", type(f"Compiled{base.__name__}", (CompiledExecutor, base), {}))
