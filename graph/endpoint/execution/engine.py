"""From a request to its answer, whatever carried it: HTTP, a batch, a WebSocket, SSE.

`Engine.ready` finds and checks the operation; `Engine.run` admits and executes a query or mutation; `streams` admits
and executes a subscription by the same steps (`begin`, `admit`, `build`). Every operation passes the same gate, runs
the hooks of the schema's extensions once, and gets a fresh context.

Strawberry's own `Schema.execute` would parse and validate again, cannot tell a request error from an execution error,
and takes neither a deadline nor `hide_suggestions`; this module calls graphql-core in its place, with Strawberry's
execution context class and the hooks of its extensions.

Failure: an operation that runs past its deadline is cancelled, with whatever it awaits. Nothing but cancellation is
raised; every error is in an `Answer`.
"""

from __future__ import annotations

from inspect import isawaitable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from graphql import ExecutionResult, GraphQLError, OperationType
from graphql.execution.middleware import MiddlewareManager
from strawberry.execution import optimized_is_awaitable
from strawberry.types.graphql import OperationType as StrawberryOperationType

from graph.endpoint.admission import RateLimit, Ticket, over_limit
from graph.endpoint.document import Persisted, wish_of
from graph.endpoint.errors import REFUSALS, Presenter, Refusal, code_of, coded
from graph.endpoint.execution.answer import Answer
from graph.endpoint.execution.deadline import Deadlines
from graph.endpoint.execution.executors import Executors, Given
from graph.endpoint.execution.hooks import HooksRunner
from graph.endpoint.execution.ready import Ready, Ticketed, wrong_transport
from graph.endpoint.execution.turns import Turns
from graph.patterns.fair_queue import act_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from strawberry import Schema
    from strawberry.extensions import SchemaExtension

    from graph.endpoint.admission import Admission
    from graph.endpoint.document import Allowance, OperationRequest, Operations, Prepared
    from graph.endpoint.execution.executors import ExecutorOrErrors
    from graph.endpoint.identity import Caller
    from graph.patterns.limiter import Verdict

Context = TypeVar("Context")

RUNNABLE = frozenset({OperationType.QUERY, OperationType.MUTATION})
ALL_KINDS = frozenset(OperationType)

_UNCHARGED = frozenset({"PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED"})


class Engine(Generic[Context]):
    """Runs the operations of one schema."""

    def __init__(
        self,
        schema: Schema,
        *,
        operations: Operations,
        admission: Admission,
        context: Callable[[Caller, HTTPConnection, Response | None], Context],
        persisted: Persisted | None = None,
        presenter: Presenter | None = None,
        root_value: object = None,
        compiled: bool = True,
    ) -> None:
        """Run what `operations` prepare and `admission` admits, each in a new `context`.

        Unless `compiled`, every operation is executed by graphql-core itself.
        """
        self.schema = schema
        self.operations = operations
        self.admission = admission
        self.persisted = persisted or Persisted()
        self.presenter = presenter or Presenter()
        self.context = context
        self.turns = Turns()
        self._root_value = root_value
        core = schema._schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - Strawberry has no public name for it
        self.core = core
        self.subscription = core.subscription_type
        self.executors = Executors(
            schema,
            errors=operations.bounds.errors,
            hide_suggestions=not self.presenter.debug,
            compiled=compiled,
        )
        self._deadlines = Deadlines(operations.bounds.deadline)

    # --- finding the operation ---

    async def ready(
        self,
        request: OperationRequest,
        caller: Caller,
        kinds: Collection[OperationType] = ALL_KINDS,
        allowance: Allowance | None = None,
    ) -> Ready | Answer:
        """Find, check and weigh the operation of `request`; an `Answer` when it is refused (and charged for).

        `allowance` bounds what is new of the batch that it belongs to.
        """
        act_for(caller.identity or None)
        ticket, variables = Ticket(caller), request.variables
        over = self.admission.refused(caller)
        try:
            text = await self.persisted.text(request, remembered=over is not None)
            prepared = self.operations.known(text)
            if prepared is None:
                prepared = await self._prepare(text, ticket, over, allowance)
            if prepared.errors:
                return await self.reject(prepared.errors, ticket)
            operation = prepared.select(request.operation_name)
            if operation.kind not in kinds:
                raise wrong_transport(operation.kind, kinds)
            estimate, live = self.operations.check(operation, variables), wish_of(operation.node, variables)
        except Refusal as error:
            if over is not None:
                self.admission.repeat(ticket, over)
            return await self.reject([error], ticket, charged=over is not None or error.code not in _UNCHARGED)
        weight = 0 if operation.free else self.admission.weight(estimate.fields, estimate.work)
        self.admission.weigh(ticket, weight)
        return Ready(request, prepared, operation, ticket, live)

    async def _prepare(self, text: str, ticket: Ticket, over: Verdict | None, allowance: Allowance | None) -> Prepared:
        """Prepare `text` after charging the caller one unit, whatever the document turns out to select."""
        verdict = over or await self.admission.admit(ticket)
        if not verdict.allowed:
            raise over_limit(verdict, ticket.weight)
        if allowance is not None:
            allowance.take(text)
        return await self.operations.prepared(text)

    async def reject(self, errors: Sequence[GraphQLError], ticket: Ticket, *, charged: bool = True) -> Answer:
        """The answer to a request that does not run. It is charged nevertheless, unless `charged` is False."""
        first = errors[0]
        told: dict[str, str] = {}
        if charged:
            verdict = await self.admission.admit(ticket)
            told = ticket.headers
            if not verdict.allowed:
                errors = [first := over_limit(verdict, ticket.weight)]
        REFUSALS.labels(code_of(first)).inc()
        status = first.status if isinstance(first, Refusal) else None
        if isinstance(first, Refusal):
            told |= first.headers
        return Answer(errors=self.presenter.present(errors), executed=False, status=status, headers=told, ticket=ticket)

    # --- running it ---

    async def execute(
        self,
        request: OperationRequest,
        caller: Caller,
        connection: HTTPConnection,
        response: Response | None = None,
        kinds: Collection[OperationType] = RUNNABLE,
    ) -> Answer:
        """Find, admit and execute a query or mutation."""
        ready = await self.ready(request, caller, kinds)
        return ready if isinstance(ready, Answer) else await self.run(ready, connection, response)

    async def run(self, ready: Ready, connection: HTTPConnection, response: Response | None = None) -> Answer:
        """Admit and execute a query or mutation."""
        with self._deadlines.start() as deadline:
            try:
                extensions = self.schema.get_extensions()
                if self._bare(extensions):
                    return await self._run_bare(ready, connection, response)
                return await self._run_hooked(ready, connection, response, extensions)
            except Exception as error:  # noqa: BLE001 - a hook of some extension failed: a bug, to be masked like any other
                return self._broken(error, ready)
        assert deadline.expired
        late = Refusal("DEADLINE_EXCEEDED", "The operation took too long and was cancelled.")
        return await self.reject([late], ready.ticket)

    def _bare(self, extensions: Sequence[SchemaExtension]) -> bool:
        """Whether no hooks need to run: there is no extension, or only the one that charges what is charged here."""
        if not extensions:
            return True
        (only, *others) = extensions
        return not others and type(only) is RateLimit and only.admission is self.admission

    async def _run_bare(self, ready: Ready, connection: HTTPConnection, response: Response | None) -> Answer:
        """Run without hooks, and without preparing what only hooks would see."""
        ticket = ready.ticket
        context = self.context(ticket.caller, connection, response)
        verdict = await self.admission.admit(ticket)
        if not verdict.allowed:
            return await self.reject([over_limit(verdict, ticket.weight)], ticket)
        await self.turns.mine()
        request = ready.request
        given = Given(request.variables, self._root_value, context, request.extensions)
        executor = self.executors.of(ready.prepared, ready.operation, given)
        if isinstance(executor, list):
            return await self.reject(coded(executor, "BAD_USER_INPUT"), ticket)
        result: Any = executor.execute_operation()
        if not isinstance(result, ExecutionResult):
            result = cast("ExecutionResult", await result)
        return self._answer(result, {}, ready, context)

    async def _run_hooked(
        self, ready: Ready, connection: HTTPConnection, response: Response | None, extensions: list[SchemaExtension]
    ) -> Answer:
        """Run with the hooks of `extensions`."""
        context, runner = self.begin(ready, connection, response, extensions)
        async with runner.operation():
            if (refused := await self.admit(ready, context, runner)) is not None:
                return refused
            await self.turns.mine()
            async with runner.executing():
                failed = await self._execute(context, runner)
            if failed is not None:
                return await self.reject(failed, ready.ticket)
        told = await runner.get_extensions_results(context)
        return self._answer(cast("ExecutionResult", context.result), told, ready, context.context)

    def begin(
        self,
        ready: Ready,
        connection: HTTPConnection,
        response: Response | None,
        extensions: list[SchemaExtension] | None = None,
    ) -> tuple[Ticketed, HooksRunner]:
        """A fresh context for `ready`, and the runner of its extensions' hooks."""
        request = ready.request
        context = Ticketed(
            query=ready.prepared.text,
            schema=self.schema,
            allowed_operations=(StrawberryOperationType.QUERY, StrawberryOperationType.MUTATION,
                                StrawberryOperationType.SUBSCRIPTION),
            context=self.context(ready.ticket.caller, connection, response),
            variables=cast("dict[str, Any] | None", request.variables),
            root_value=self._root_value,
            provided_operation_name=ready.operation.name,
            graphql_document=ready.prepared.document,
            operation_extensions=cast("dict[str, Any] | None", request.extensions),
            ticket=ready.ticket,
            ready=ready,
        )  # fmt: skip
        extensions = self.schema.get_extensions() if extensions is None else extensions
        for extension in extensions:
            extension.execution_context = context
        return context, HooksRunner(context, extensions)

    async def admit(self, ready: Ready, context: Ticketed, runner: HooksRunner) -> Answer | None:
        """Run the hooks before execution, including `RateLimit`; returns an answer when they refuse."""
        for phase in (runner.parsing(), runner.validation()):
            if not phase.empty:
                async with phase:
                    pass
        verdict = await self.admission.admit(ready.ticket)
        if not verdict.allowed:
            return await self.reject([over_limit(verdict, ready.ticket.weight)], ready.ticket)
        if context.pre_execution_errors:
            return await self.reject(context.pre_execution_errors, ready.ticket)
        if ready.stands:
            self._keep(ready)
        return None

    def _keep(self, ready: Ready) -> None:
        """Keep the document of an operation that was charged and runs."""
        if ready.ticket.weight:
            self.persisted.keep(ready.request, ready.prepared.text, ready.ticket.caller.identity)

    async def _execute(self, context: Ticketed, runner: HooksRunner) -> list[GraphQLError] | None:
        if context.result is not None:  # an extension has answered
            return None
        executor = self.build(context, runner)
        if isinstance(executor, list):
            return coded(executor, "BAD_USER_INPUT")
        result = executor.execute_operation()
        context.result = cast("ExecutionResult", await result if isawaitable(result) else result)
        context.pre_execution_errors = context.result.errors
        return None

    def build(
        self, context: Ticketed, runner: HooksRunner, *, is_awaitable: Any = optimized_is_awaitable
    ) -> ExecutorOrErrors:
        """The executor of the operation of `context`, or the errors in its variables."""
        wrappers = [one for one in runner.extensions if one._implements_resolve()]  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - as Schema does
        ready, document = context.ready, context.graphql_document
        given = Given(context.variables, context.root_value, context.context, context.operation_extensions)
        if ready is not None and not wrappers and document is ready.prepared.document:
            return self.executors.of(ready.prepared, ready.operation, given)
        assert document is not None
        middleware = MiddlewareManager(*wrappers) if wrappers else None
        return self.executors.by_core(document, context.operation_name, given, middleware, is_awaitable)

    def _answer(self, result: ExecutionResult, extensions: dict[str, Any], ready: Ready, context: object) -> Answer:
        errors = result.errors or ()
        away = result.data is None and any(code_of(error) == "UNAVAILABLE" for error in errors)
        self._keep(ready)
        return Answer(
            data=result.data,
            errors=self.presenter.present(errors),
            extensions={**(result.extensions or {}), **extensions},
            status=503 if away else None,
            headers=ready.ticket.headers,
            ticket=ready.ticket,
            operation=ready.operation,
            context=context,
        )

    def _broken(self, error: Exception, ready: Ready) -> Answer:
        return Answer(
            errors=self.presenter.raised(error),
            executed=False,
            status=500,
            headers=ready.ticket.headers,
            ticket=ready.ticket,
            operation=ready.operation,
        )
