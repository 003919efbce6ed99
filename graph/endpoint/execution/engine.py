"""From a request to its answer, whatever carried it: HTTP, a batch, a WebSocket, SSE.

`Engine.ready` finds and checks the operation (`finding`); `Engine.run` admits and executes a query or mutation;
`streams` admits and executes a subscription by the same steps (`begin`, `enter`, `build`). Every operation passes the
same gate, runs the hooks of the schema's extensions once (`hooked`), and gets a fresh context.

Strawberry's own `Schema.execute` would parse and validate again, cannot tell a request error from an execution error,
and takes neither a deadline nor `hide_suggestions`; this module calls graphql-core in its place, with Strawberry's
execution context class and the hooks of its extensions.

Failure: an operation that runs past its deadline is cancelled, with whatever it awaits. Nothing but cancellation is
raised; every error is in an `Answer`.
"""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from graphql import ExecutionResult, OperationType
from strawberry.execution import optimized_is_awaitable

from graph.endpoint.admission import over_limit
from graph.endpoint.declare import core_of
from graph.endpoint.document import Persisted
from graph.endpoint.errors import Presenter, Refusal, code_of, coded
from graph.endpoint.execution.answer import Answer, blank_response
from graph.endpoint.execution.deadline import Deadlines
from graph.endpoint.execution.executors import Executors, Given
from graph.endpoint.execution.extensions import Extensions
from graph.endpoint.execution.finding import Finder
from graph.endpoint.execution.hooked import HookedRuns
from graph.endpoint.execution.monitor import Monitor
from graph.endpoint.execution.ready import InPieces, Ready, Ticketed
from graph.endpoint.execution.representations import check_representations
from graph.endpoint.execution.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from graphql import GraphQLError
    from starlette.requests import HTTPConnection
    from starlette.responses import Response
    from strawberry import Schema
    from strawberry.extensions import SchemaExtension

    from graph.endpoint.admission import Admission, Ticket
    from graph.endpoint.document import Allowance, OperationRequest, Operations
    from graph.endpoint.execution.executors import ExecutorOrErrors
    from graph.endpoint.execution.hooks import HooksRunner
    from graph.endpoint.identity import Caller

Context = TypeVar("Context")

RUNNABLE = frozenset({OperationType.QUERY, OperationType.MUTATION})
ALL_KINDS = frozenset(OperationType)


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
        root_value: Callable[[Caller, HTTPConnection], object] | None = None,
        compiled: bool = True,
        monitor: Monitor | None = None,
    ) -> None:
        """Run what `operations` prepare and `admission` admits, each in a new `context`; tell `monitor` about each.

        `root_value` makes the object that root fields are resolved on. Unless `compiled`, every operation is
        executed by graphql-core itself.
        """
        self.schema = schema
        self.operations = operations
        self.admission = admission
        self.persisted = persisted or Persisted()
        self.presenter = presenter or Presenter()
        self.context = context
        self.monitor = monitor or Monitor(self.persisted)
        self.turns = Turns()
        self.root_value = root_value
        core = core_of(schema)
        self.core = core
        self.subscription = core.subscription_type
        check_representations(schema)
        self.executors = Executors(
            schema,
            errors=operations.bounds.errors,
            hide_suggestions=not self.presenter.suggestions,
            compiled=compiled,
        )
        self.extensions = Extensions(schema, admission)
        self.finder = Finder(operations, admission, self.persisted, self.presenter, self.monitor)
        self._hooked = HookedRuns(schema, self.finder, self.executors, self.extensions, self.turns)
        self._deadlines = Deadlines(operations.bounds.deadline)

    # --- finding the operation ---

    async def ready(
        self,
        request: OperationRequest,
        caller: Caller,
        connection: HTTPConnection,
        kinds: Collection[OperationType] = ALL_KINDS,
        allowance: Allowance | None = None,
        *,
        streamed: bool = False,
    ) -> Ready | Answer:
        """Find, check and weigh the operation of `request`; an `Answer` when it is refused (and charged for).

        `allowance` bounds what is new of the batch that it belongs to; `streamed` is as for `run`.
        """
        found = await self.finder.find(request, caller, kinds, allowance)
        if isinstance(found, Ready):
            return found
        errors, ticket, _, charged, text, _ = found
        if text is None or not charged or self.extensions.are_bare(self.extensions.fresh()):
            return await self.finder.reject(errors, ticket, charged=charged)
        verdict = await self.admission.admit(ticket)
        if not verdict.allowed:
            return await self.finder.reject(errors, ticket)
        with self._deadlines.start() as deadline:
            response = blank_response()
            context = self.context(caller, connection, response)
            answer = await self._hooked.refuse(found, context, self._root(caller, connection), streamed=streamed)
            answer.response = response
            return answer
        assert deadline.expired
        return await self.finder.reject([_late()], ticket)

    async def reject(self, errors: Sequence[GraphQLError], ticket: Ticket, *, charged: bool = True) -> Answer:
        """The answer to a request that does not run. It is charged nevertheless, unless `charged` is False."""
        return await self.finder.reject(errors, ticket, charged=charged)

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
        ready = await self.ready(request, caller, connection, kinds)
        return ready if isinstance(ready, Answer) else await self.run(ready, connection, response)

    async def run(
        self, ready: Ready, connection: HTTPConnection, response: Response | None = None, *, streamed: bool = False
    ) -> Answer:
        """Admit and execute a query or mutation.

        Over a transport that streams results, `streamed`, extensions see its one result as they see those of a stream.
        """
        began = perf_counter()
        answer = await self._run(ready, connection, response, streamed=streamed)
        self.monitor.executed(ready, answer, perf_counter() - began)
        return answer

    async def _run(
        self, ready: Ready, connection: HTTPConnection, response: Response | None, *, streamed: bool
    ) -> Answer:
        with self._deadlines.start() as deadline:
            try:
                extensions = self.extensions.fresh()
                if self.extensions.are_bare(extensions):
                    answer = await self._run_bare(ready, connection, response)
                else:
                    answer = await self._hooked.run(
                        *self.begin(ready, connection, response, extensions), streamed=streamed
                    )
            except Exception as error:  # noqa: BLE001 - a context or an extension could not be made: a bug, to be masked like any other
                answer = self._broken(error, ready)
            answer.response = response
            return answer
        assert deadline.expired
        return await self.reject([_late()], ready.ticket)

    async def _run_bare(self, ready: Ready, connection: HTTPConnection, response: Response | None) -> Answer:
        """Run without hooks, and without preparing what only hooks would see."""
        ticket = ready.ticket
        context = self.context(ticket.caller, connection, response)
        verdict = await self.admission.admit(ticket)
        if not verdict.allowed:
            return await self.reject([over_limit(verdict, ticket.weight)], ticket)
        await self.turns.mine(unasked=ready.live is not None)
        request = ready.request
        given = Given(request.variables, self._root(ticket.caller, connection), context, request.extensions)
        executor = self.executors.of(ready.prepared, ready.operation, given)
        if isinstance(executor, list):
            return await self.reject(coded(executor, "BAD_USER_INPUT"), ticket)
        result: Any = executor.execute_operation()
        if not isinstance(result, ExecutionResult):
            result = cast("ExecutionResult", await result)
        return self._answer(result, ready, context)

    # --- by steps, for what goes on for long ---

    def begin(
        self,
        ready: Ready,
        connection: HTTPConnection,
        response: Response | None,
        extensions: list[SchemaExtension] | None = None,
    ) -> tuple[Ticketed, HooksRunner]:
        """A fresh context for `ready`, and the runner of its extensions' hooks."""
        caller = ready.ticket.caller
        context = self.context(caller, connection, response)
        return self._hooked.begin(ready, context, self._root(caller, connection), extensions)

    def _root(self, caller: Caller, connection: HTTPConnection) -> object:
        return None if self.root_value is None else self.root_value(caller, connection)

    async def enter(self, context: Ticketed, runner: HooksRunner) -> bool:
        """Run the hooks before execution, and charge; False for an operation that is refused (see `refusal`).

        To be called within ``runner.operation()``. Raises what hooks raise.
        """
        return await self._hooked.enter(context, runner)

    async def show(self, context: Ticketed, runner: HooksRunner) -> None:
        """Have extensions see the one result of an operation that was to stream.

        To be called within ``runner.operation()``, before `refusal`. Raises what hooks raise.
        """
        context.streamed = True
        await self._hooked.show(context, runner)

    async def refusal(self, context: Ticketed, runner: HooksRunner) -> Answer:
        """The answer to an operation that `enter` refused, once the hooks around it have been left."""
        return await self._hooked.answer(context, runner)

    async def failure(self, context: Ticketed, runner: HooksRunner, error: Exception) -> Answer:
        """The answer to an operation that is failed by what a hook raised."""
        return await self._hooked.failure(context, runner, error)

    def build(
        self, context: Ticketed, runner: HooksRunner, *, is_awaitable: Any = optimized_is_awaitable
    ) -> ExecutorOrErrors:
        """The executor of the operation of `context`, or the errors in its variables."""
        return self._hooked.build(context, runner, is_awaitable=is_awaitable)

    async def execute_in_pieces(self, context: Ticketed, runner: HooksRunner) -> InPieces | None:
        """Execute the operation of `context`, which `enter` let in; what follows its first result, or None.

        Its result is in `context`, and with None `refusal` makes the answer of it.
        """
        return await self._hooked.execute_in_pieces(context, runner)

    def note(self, context: Ticketed, errors: list[GraphQLError] | None) -> None:
        """Note the errors of a result before extensions may change them, and show them to the schema."""
        self._hooked.note(context, errors)

    def _answer(self, result: ExecutionResult, ready: Ready, context: object) -> Answer:
        errors = result.errors or ()
        away = result.data is None and any(code_of(error) == "UNAVAILABLE" for error in errors)
        self.finder.keep(ready)
        return Answer(
            data=result.data,
            errors=self.presenter.present(errors),
            extensions=result.extensions,
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


def _late() -> Refusal:
    return Refusal("DEADLINE_EXCEEDED", "The operation took too long and was cancelled.")
