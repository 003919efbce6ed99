"""Operations of a schema with extensions: all of their hooks are run, and what they contribute is honoured.

The phases are Strawberry's: ``on_operation`` around ``on_parse``, ``on_validate`` and ``on_execute``; then
`get_results`. Hooks see a document that fails to parse or to validate, and an operation that is refused for what it
costs or over the limit, as an operation with `pre_execution_errors`. A hook may add validation rules and the parser's
``max_tokens``, replace the text or the document (which passes every check again), change variables, or set the result.

Failure: what a hook raises is the answer: an error that a client may be told as it is, a bug masked. Nothing is raised
but cancellation.
"""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, Any, cast

from graphql import ExecutionResult, ExperimentalIncrementalExecutionResults, print_ast
from graphql.execution.middleware import MiddlewareManager
from strawberry.execution import optimized_is_awaitable
from strawberry.types import ExecutionResult as StreamResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType as StrawberryOperationType

from graph.endpoint.admission import over_limit
from graph.endpoint.declare import core_of
from graph.endpoint.document import Contributed
from graph.endpoint.errors import Refusal, as_graphql, as_raised, code_of, coded
from graph.endpoint.execution.answer import Answer
from graph.endpoint.execution.executors import Given
from graph.endpoint.execution.extensions import implements_resolve
from graph.endpoint.execution.hooks import HooksRunner
from graph.endpoint.execution.ready import InPieces, Ticketed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from graphql import GraphQLError
    from strawberry import Schema
    from strawberry.extensions import SchemaExtension

    from graph.endpoint.document import OperationRequest
    from graph.endpoint.execution.executors import ExecutorOrErrors, Executors
    from graph.endpoint.execution.extensions import Extensions
    from graph.endpoint.execution.finding import Finder, Refused
    from graph.endpoint.execution.ready import Ready
    from graph.endpoint.execution.turns import Turns


_ALL_TYPES = tuple(StrawberryOperationType)
_EMPTY = ExecutionResult(None, None)
_PARSING = frozenset({"GRAPHQL_PARSE_FAILED", "TOO_MANY_TOKENS"})


class HookedRuns:
    """Runs operations with the hooks of their extensions."""

    def __init__(
        self, schema: Schema, finder: Finder, executors: Executors, extensions: Extensions, turns: Turns
    ) -> None:
        """Run operations that `finder` found, as `executors` execute them."""
        self._schema = schema
        self._finder = finder
        self._executors = executors
        self._extensions = extensions
        self._turns = turns
        presenter = finder.presenter
        self._contributed = Contributed(
            core_of(schema),
            most=finder.operations.bounds.errors,
            hide_suggestions=not presenter.suggestions,
        )

    def begin(
        self,
        ready: Ready,
        context: object,
        root_value: object,
        extensions: list[SchemaExtension] | None = None,
    ) -> tuple[Ticketed, HooksRunner]:
        """The context of `ready` that extensions see, around a fresh `context`, and the runner of their hooks."""
        made = self._context(ready.request, ready.prepared.text, context, root_value)
        made.ticket, made.ready = ready.ticket, ready
        made.graphql_document = ready.prepared.document
        made._provided_operation_name = ready.operation.name  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - given to its constructor otherwise
        return made, self._runner(made, extensions)

    def _context(self, request: OperationRequest, text: str, context: object, root_value: object) -> Ticketed:
        return Ticketed(
            query=text,
            schema=self._schema,
            allowed_operations=_ALL_TYPES,
            context=context,
            variables=cast("dict[str, Any] | None", request.variables),
            root_value=root_value,
            provided_operation_name=request.operation_name,
            operation_extensions=cast("dict[str, Any] | None", request.extensions),
            admission=self._finder.admission,
        )

    def _runner(self, context: Ticketed, extensions: list[SchemaExtension] | None) -> HooksRunner:
        extensions = self._extensions.fresh() if extensions is None else extensions
        for extension in extensions:
            extension.execution_context = context
        return HooksRunner(context, extensions)

    # --- an operation that was found ---

    async def run(self, context: Ticketed, runner: HooksRunner, *, streamed: bool = False) -> Answer:
        """Admit and execute a query or mutation; its transport may have `streamed` results."""
        context.streamed = streamed
        try:
            async with runner.operation():
                if await self.enter(context, runner):
                    ready = context.ready
                    await self._turns.mine(unasked=ready is not None and ready.live is not None)
                    async with runner.executing():
                        await self.execute_in_pieces(context, runner, whole=True)
                await self.show(context, runner)
        except Exception as error:  # noqa: BLE001 - whatever a hook raises is the answer
            return await self.failure(context, runner, error)
        return await self.answer(context, runner)

    async def enter(self, context: Ticketed, runner: HooksRunner) -> bool:
        """Run the hooks before execution, and charge; False for an operation that is refused (see `refusal`).

        To be called within ``runner.operation()``. Raises what hooks raise.
        """
        ready = context.ready
        assert ready is not None
        parsing, validation = runner.parsing(), runner.validation()
        if not parsing.empty:
            async with parsing:
                pass
        errors: Sequence[GraphQLError] | None = None
        try:
            errors = await self._look_again(context)
        except Refusal as refusal:
            errors = [refusal]
        verdict = await self._finder.admission.admit(ready.ticket)
        if not verdict.allowed:
            errors = [over_limit(verdict, ready.ticket.weight)]
        async with validation:
            if errors:
                context.pre_execution_errors = list(errors)
            elif context.pre_execution_errors is None:
                context.pre_execution_errors = await self._contributions(context) or []
        if context.pre_execution_errors:
            self._refuse(context, context.pre_execution_errors)
            return False
        if ready.stands:
            self._finder.keep(ready)
        return True

    async def _look_again(self, context: Ticketed) -> Sequence[GraphQLError] | None:
        """Check what hooks have changed of the operation; returns the errors of a document that they put in place."""
        ready = context.ready
        assert ready is not None
        prepared, document = ready.prepared, context.graphql_document
        if context.query != prepared.text or document is not prepared.document:
            text = context.query or ""
            if document is not None and document is not prepared.document:
                text = print_ast(document)
            found = await self._finder.prepared(text)
            if found.errors:
                return found.errors
            operation = found.select(context._provided_operation_name)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - what the request named
            if operation.kind is not ready.operation.kind:
                raise Refusal("OPERATION_RESOLUTION_FAILURE", "The operation became one of another kind on its way.")
            context.ready = ready = ready._replace(prepared=found, operation=operation)
            context.graphql_document = found.document
        if ready.weight is not None:
            weight = self._finder.weight(ready.operation, context.variables)
            self._finder.admission.add(ready.ticket, max(0, weight - ready.weight))
        return None

    async def _contributions(self, context: Ticketed) -> list[GraphQLError] | None:
        """The errors by the rules and parser options that extensions have added."""
        ready = context.ready
        assert ready is not None
        try:
            options = cast("Mapping[str, Any]", context.parse_options)
            return await self._contributed.errors(ready.prepared, context.validation_rules, options) or None
        except Refusal as refusal:
            return [refusal]

    async def execute_in_pieces(
        self, context: Ticketed, runner: HooksRunner, *, whole: bool = False
    ) -> InPieces | None:
        """Execute the operation of `context`; what follows its first result, where it says so, unless it is `whole`."""
        if context.result is not None:  # an extension has answered
            context.ran = True
            return None
        executor = self.build(context, runner, in_pieces=not whole)
        if isinstance(executor, list):
            self._refuse(context, coded(executor, "BAD_USER_INPUT"))
            return None
        context.ran = True
        result: Any = executor.execute_operation()
        made: Any = await result if isawaitable(result) else result
        if isinstance(made, ExperimentalIncrementalExecutionResults):
            context.result = cast("ExecutionResult", made.initial_result)
            return InPieces(made, executor)
        context.result = made
        context.pre_execution_errors = made.errors or []
        self.note(context, made.errors)
        return None

    def build(
        self,
        context: Ticketed,
        runner: HooksRunner,
        *,
        is_awaitable: Any = optimized_is_awaitable,
        in_pieces: bool = False,
    ) -> ExecutorOrErrors:
        """The executor of the operation of `context`, or the errors in its variables."""
        wrappers = [one for one in runner.extensions if implements_resolve(one)]
        ready = context.ready
        assert ready is not None
        given = Given(context.variables, context.root_value, context.context, context.operation_extensions)
        document = ready.prepared.in_pieces if in_pieces else None
        if not wrappers and document is None:
            return self._executors.of(ready.prepared, ready.operation, given)
        document = document or ready.prepared.document
        assert document is not None
        middleware = MiddlewareManager(*wrappers) if wrappers else None
        return self._executors.by_core(document, ready.operation.name, given, middleware, is_awaitable)

    # --- an operation that does not run ---

    async def refuse(self, refused: Refused, context: object, root_value: object, *, streamed: bool = False) -> Answer:
        """Run the hooks around an operation that was refused before; the caller was charged and is within the limit."""
        assert refused.text is not None
        made = self._context(refused.request, refused.text, context, root_value)
        made.ticket, made.streamed = refused.ticket, streamed
        runner = self._runner(made, None)
        errors = list(refused.errors)
        try:
            async with runner.operation():
                unparsed = code_of(errors[0]) in _PARSING
                async with runner.parsing():
                    if unparsed:
                        made.pre_execution_errors = errors
                    else:
                        made.graphql_document = refused.document
                if not unparsed:
                    async with runner.validation():
                        made.pre_execution_errors = errors
                self._refuse(made, made.pre_execution_errors or errors)
                await self.show(made, runner)
        except Exception as error:  # noqa: BLE001 - the same
            return await self.failure(made, runner, error)
        return await self.answer(made, runner)

    async def failure(self, context: Ticketed, runner: HooksRunner, error: Exception) -> Answer:
        """What the client gets of an operation that is failed by what a hook raised."""
        self._fail(context, error)
        return await self.answer(context, runner)

    def _refuse(self, context: Ticketed, errors: Sequence[GraphQLError]) -> None:
        """Have `context` refused for `errors`."""
        context.ran = False
        context.pre_execution_errors = list(errors)
        context.result = ExecutionResult(None, list(errors))
        self.note(context, context.result.errors)

    def _fail(self, context: Ticketed, error: Exception) -> None:
        """Have `context` fail by what a hook raised."""
        try:
            self._refuse(context, [as_graphql(error)])
        except Exception as other:  # noqa: BLE001 - `process_errors` of the schema is broken, too
            context.raised = as_raised([as_graphql(other)])

    def note(self, context: Ticketed, errors: Sequence[GraphQLError] | None) -> None:
        """Note the errors of an operation before extensions may change them, and show them to the schema."""
        context.raised = as_raised(errors or ())
        if errors and self._extensions.processes_errors:
            self._schema.process_errors(cast("list[GraphQLError]", errors), context)

    async def show(self, context: Ticketed, runner: HooksRunner) -> None:
        """Have extensions see, and change, the result of a transport that streams (in ``runner.operation()``)."""
        if not (context.streamed and runner.sees_stream_results):
            return
        result = context.result or _EMPTY
        kind = StreamResult if context.ran else PreExecutionError
        shown = kind(data=result.data, errors=result.errors)
        shown.extensions = {**(result.extensions or {}), **await runner.get_extensions_results(context)} or None
        context.result, context.told = shown, True
        await runner.show(shown)

    async def answer(self, context: Ticketed, runner: HooksRunner) -> Answer:
        """What the client gets, once all hooks have been left."""
        told: dict[str, Any] = {}
        try:
            told = {} if context.told else await runner.get_extensions_results(context)
        except Exception as error:  # noqa: BLE001 - the same
            self._fail(context, error)
        result = context.result or _EMPTY
        errors = result.errors or ()
        ready, ticket = context.ready, context.ticket
        assert ticket is not None
        told = {**(result.extensions or {}), **told}
        if not context.ran:
            answer = await self._finder.reject(errors, ticket, raised=context.raised, extensions=told)
        else:
            if ready is not None:
                self._finder.keep(ready)
            away = any(code_of(one.error) == "UNAVAILABLE" for one in context.raised)
            answer = Answer(
                data=result.data,
                errors=self._finder.presenter.present(errors, context.raised),
                extensions=told,
                status=503 if away and result.data is None else None,
                headers=ticket.headers,
                ticket=ticket,
            )
        answer.operation = ready.operation if ready is not None else None
        answer.context = context.context
        return answer
