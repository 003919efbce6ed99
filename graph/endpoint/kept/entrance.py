"""Admits operations with one trip to Redis: the check of the session and the charge to the limit leave together.

Until the replies arrive, a session that may be alive is assumed to be alive: its user's budget is charged, unless the
session's key is gone. Then the address is charged, as it is where the caller is found first.

What it enforces is what `Engine.ready` and `Admission.admit` enforce, by the same objects. What it does not know it
leaves to them, uncharged: a document that is new here, a refusal, a caller whose refusal this process remembers.

Failure: a session that cannot be checked raises `graph.patterns.client.RedisUnavailable`; a limit that cannot be asked
is the local budget's (`Admission.settle`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import OperationType

from graph.endpoint.admission import Ticket
from graph.endpoint.document import wish_of
from graph.endpoint.errors import Refusal
from graph.endpoint.execution import Ready
from graph.endpoint.identity import Caller
from graph.endpoint.kept.approach import Sender, Toll
from graph.patterns.fair_queue import act_for

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from starlette.requests import HTTPConnection

    from graph.endpoint.document import Operation, OperationRequest, Prepared
    from graph.endpoint.execution import Engine
    from graph.endpoint.identity import BatchAuthenticator
    from graph.patterns.client import Client, Replies, Reply
    from graph.patterns.limiter import Charge


class KnownOperation(NamedTuple):
    """An operation that is to be executed, what it weighs and what it costs."""

    request: OperationRequest
    prepared: Prepared
    operation: Operation
    weight: int
    cost: int

    def ready(self, ticket: Ticket) -> Ready:
        """The operation once it has its `ticket`."""
        return Ready(self.request, self.prepared, self.operation, ticket, weight=self.weight, cost=self.cost)


class Entrance:
    """Finds who sends a request, and charges them for it."""

    def __init__(self, engine: Engine[Any], authenticator: BatchAuthenticator, client: Client) -> None:
        """Admit to `engine` whom `authenticator` knows."""
        self._engine = engine
        self._authenticator = authenticator
        self._client = client

    def sender(self, connection: HTTPConnection) -> Sender:
        """The sender of a request. It depends only on the head, and may be kept for other requests with that head."""
        authenticator = self._authenticator
        token = authenticator.token(connection.headers)
        address = authenticator.address(connection)
        session = authenticator.commands(token)
        guard = authenticator.guard(token) if session else None
        if session:  # its user's budget is charged, provided that the session exists
            caller = Caller(address, user="", token=token)
        else:
            caller = authenticator.caller((), token=token, address=address)
        return Sender(caller, tuple(session), guard)

    async def ticket(
        self, sender: Sender, weight: int, charges: tuple[Charge, ...], replies: Sequence[Reply], found: HTTPConnection
    ) -> Ticket:
        """The ticket of an operation: `replies` are those to the commands of `sender`, and last that to the charge."""
        caller = await self.caller(sender, replies[:-1], found)
        ticket = Ticket(caller, weight, charges)
        if not self._engine.admission.settle(ticket, replies[-1]).exists:
            ticket = Ticket(caller, weight)  # the session has ended, so the address is charged
            await self._engine.admission.admit(ticket)
        return ticket

    async def caller(self, sender: Sender, checks: Sequence[Reply], found: HTTPConnection) -> Caller:
        """Who the sender of `found` is: `checks` are the replies to the commands that check its session."""
        caller = sender.caller
        if checks:
            caller = self._authenticator.caller(checks, token=caller.token, address=caller.address)
            if caller.problem is not None:  # it may know more than Redis does
                caller = await self._authenticator.authenticate(found)
        return caller

    def known(self, request: OperationRequest) -> Prepared | None:
        """The document of `request`, if it is known here; None also for one that is refused."""
        try:
            text = self._engine.persisted.known(request)
        except Refusal:
            return None
        return self._engine.operations.known(text) if text is not None else None

    def find(
        self, request: OperationRequest, prepared: Prepared | None, kinds: Collection[OperationType]
    ) -> KnownOperation | None:
        """Find an operation of `kinds` that may be executed as soon as it is charged; None where that takes more.

        `prepared` is the document of `request`, as `known` gives it.
        """
        engine = self._engine
        try:
            if prepared is None or prepared.errors:
                return None
            operation = prepared.select(request.operation_name)
            stands = operation.kind is OperationType.SUBSCRIPTION or wish_of(operation.node, request.variables)
            if stands or operation.kind not in kinds:
                return None
            estimate = engine.operations.check(operation, request.variables)
        except Refusal:
            return None
        weight = 0 if operation.free else engine.admission.weight(estimate.fields, estimate.work)
        return KnownOperation(request, prepared, operation, weight, estimate.cost)

    def toll(self, sender: Sender, weight: int) -> Toll | None:
        """What an operation of `weight` is charged, and the commands for it; None where no waiting would help."""
        admission = self._engine.admission
        charges = admission.charges(sender.caller, weight)
        if any(one.weight > one.limit.count for one in charges):
            return None
        return Toll(weight, charges, (*sender.session, admission.command(charges, guard=sender.guard)))

    async def ready(
        self, request: OperationRequest, connection: HTTPConnection, kinds: Collection[OperationType]
    ) -> Ready | None:
        """Find and charge an operation that is about to be executed; None, uncharged, where that takes more."""
        found = self.find(request, self.known(request), kinds)
        if found is None:
            return None
        sender = self.sender(connection)
        toll = self.toll(sender, found.weight)
        if toll is None or self._engine.admission.refused(sender.caller) is not None:
            return None
        return await self.admit(found, sender, toll, await self._client.batch(*toll.commands), connection)

    async def admit(
        self, found: KnownOperation, sender: Sender, toll: Toll, replies: Replies, connection: HTTPConnection
    ) -> Ready:
        """Admit an operation by the `replies` to the commands of its toll."""
        ticket = await self.ticket(sender, toll.weight, toll.charges, list(replies), connection)
        act_for(ticket.caller.identity or None)
        return found.ready(ticket)
