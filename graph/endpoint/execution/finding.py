"""Finds the operation that a request asks for, and checks and weighs it: the steps before it may be admitted.

Whatever is refused is charged nevertheless, unless it is the first half of an operation (an unknown hash).

Failure: `find` raises nothing for what a client sends; a `Refused` says what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graphql import GraphQLSyntaxError, parse

from graph.endpoint.admission import Ticket, over_limit
from graph.endpoint.document import wish_of
from graph.endpoint.errors import Presenter, Raised, Refusal, code_of
from graph.endpoint.execution.answer import Answer
from graph.endpoint.execution.ready import Ready, wrong_transport
from graph.patterns.fair_queue import act_for

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from typing import Any

    from graphql import DocumentNode, GraphQLError, OperationType

    from graph.endpoint.admission import Admission
    from graph.endpoint.document import (
        Allowance,
        Estimate,
        Operation,
        OperationRequest,
        Operations,
        Persisted,
        Prepared,
    )
    from graph.endpoint.execution.monitor import Monitor
    from graph.endpoint.identity import Caller
    from graph.patterns.limiter import Verdict

_UNCHARGED = frozenset({"PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED"})


class Refused(NamedTuple):
    """An operation that does not run, because of `errors`."""

    errors: Sequence[GraphQLError]
    ticket: Ticket
    request: OperationRequest
    charged: bool = True
    text: str | None = None
    """Its document, where that was found and looked into."""
    prepared: Prepared | None = None

    @property
    def document(self) -> DocumentNode | None:
        """What hooks may look at."""
        if self.prepared is not None and self.prepared.document is not None:
            return self.prepared.document
        try:
            return parse(self.text or "")
        except GraphQLSyntaxError:
            return None


class Finder:
    """Finds operations, and says how one is refused."""

    def __init__(
        self,
        operations: Operations,
        admission: Admission,
        persisted: Persisted,
        presenter: Presenter,
        monitor: Monitor,
    ) -> None:
        """Look into what `operations` prepare, and charge by `admission`; tell `monitor` what was refused."""
        self.operations = operations
        self.admission = admission
        self.persisted = persisted
        self.presenter = presenter
        self.monitor = monitor

    async def find(
        self,
        request: OperationRequest,
        caller: Caller,
        kinds: Collection[OperationType],
        allowance: Allowance | None = None,
    ) -> Ready | Refused:
        """Find, check and weigh the operation of `request`; `allowance` bounds what is new of its batch."""
        act_for(caller.identity or None)
        ticket = Ticket(caller)
        over = self.admission.refused(caller)
        text: str | None = None
        prepared: Prepared | None = None
        try:
            found = await self.persisted.text(request, remembered=over is not None)
            prepared = self.operations.known(found)
            if prepared is None:
                prepared = await self._prepare(found, ticket, over, allowance)
            text = found
            if prepared.errors:
                return Refused(prepared.errors, ticket, request, text=text, prepared=prepared)
            operation = prepared.select(request.operation_name)
            if operation.kind not in kinds:
                raise wrong_transport(operation.kind, kinds)
            estimate = self.operations.check(operation, request.variables)
            weight, live = self._weight(operation, estimate), wish_of(operation.node, request.variables)
        except Refusal as error:
            if over is not None:
                self.admission.repeat(ticket, over)
            charged = over is not None or error.code not in _UNCHARGED
            return Refused([error], ticket, request, charged, text, prepared)
        self.admission.weigh(ticket, weight)
        return Ready(request, prepared, operation, ticket, live, weight, estimate.cost)

    def weight(self, operation: Operation, variables: Mapping[str, Any] | None) -> int:
        """The units that `operation` is charged; raises `Refusal` where it is out of bounds."""
        return self._weight(operation, self.operations.check(operation, variables))

    def _weight(self, operation: Operation, estimate: Estimate) -> int:
        return 0 if operation.free else self.admission.weight(estimate.fields, estimate.work)

    async def _prepare(self, text: str, ticket: Ticket, over: Verdict | None, allowance: Allowance | None) -> Prepared:
        """Prepare `text` after charging the caller one unit, whatever the document turns out to select."""
        verdict = over or await self.admission.admit(ticket)
        if not verdict.allowed:
            raise over_limit(verdict, ticket.weight)
        if allowance is not None and not self.persisted.trusts(text):
            allowance.take(text)
        return await self.prepared(text)

    async def prepared(self, text: str) -> Prepared:
        """Make `text` ready; a trusted document without bounds."""
        return await self.operations.prepared(text, trusted=self.persisted.trusts(text))

    def keep(self, ready: Ready) -> None:
        """Keep the document of an operation that was charged and runs."""
        if ready.ticket.weight:
            self.persisted.keep(ready.request, ready.prepared.text, ready.ticket.caller.identity)

    async def reject(
        self,
        errors: Sequence[GraphQLError],
        ticket: Ticket,
        *,
        charged: bool = True,
        raised: Sequence[Raised] = (),
        extensions: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The answer to an operation that does not run. It is charged nevertheless, unless `charged` is False.

        `raised` are its errors before extensions could change them, `extensions` what those add to the answer.
        """
        first = raised[0].error if raised else errors[0]
        told: dict[str, str] = {}
        if charged:
            verdict = await self.admission.admit(ticket)
            told = ticket.headers
            if not verdict.allowed and code_of(first) != "RATE_LIMITED":
                errors, raised = [first := over_limit(verdict, ticket.weight)], ()
        self.monitor.refused(code_of(first))
        status = first.status if isinstance(first, Refusal) else None
        if isinstance(first, Refusal):
            told |= first.headers
        return Answer(
            errors=self.presenter.present(errors, raised),
            extensions=extensions,
            executed=False,
            status=500 if code_of(first) == "INTERNAL_SERVER_ERROR" else status,
            headers=told,
            ticket=ticket,
        )
