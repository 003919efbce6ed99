"""An operation on its way through the engine: found and checked, then in the context that extensions see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import OperationType
from strawberry.types.execution import ExecutionContext

from graph.endpoint.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Collection

    from graphql import ExperimentalIncrementalExecutionResults
    from graphql.execution import Executor

    from graph.endpoint.admission import Admission, Ticket
    from graph.endpoint.document import Operation, OperationRequest, Prepared, Wish
    from graph.endpoint.errors import Raised


class Ready(NamedTuple):
    """An operation that may be admitted: valid, within bounds, of a kind that the transport carries."""

    request: OperationRequest
    prepared: Prepared
    operation: Operation
    ticket: Ticket
    live: Wish | None = None
    """What `@live` asks for; None for any other operation."""
    weight: int | None = None
    """The units that it weighs; None where nobody may change it any more."""
    cost: int = 0
    """What it costs, as `Bounds.complexity` bounds it."""

    @property
    def stands(self) -> bool:
        """Whether it is answered again and again: a subscription, or a live query."""
        return self.live is not None or self.operation.kind is OperationType.SUBSCRIPTION

    @property
    def in_pieces(self) -> bool:
        """Whether it may be answered in pieces: its document has `@defer` or `@stream`."""
        return self.prepared.in_pieces is not None and not self.stands


class InPieces(NamedTuple):
    """What follows the first result of an operation, and what executes it."""

    results: ExperimentalIncrementalExecutionResults
    executor: Executor[Any]


@dataclass
class Ticketed(ExecutionContext):
    """Strawberry's execution context with the ticket that `RateLimit` of that `admission` charges."""

    ticket: Ticket | None = None
    admission: Admission | None = None
    ready: Ready | None = None
    streamed: bool = False
    """Whether its transport streams results, of which it has one."""
    told: bool = False
    """Whether its result has what extensions add to it."""
    ran: bool = False
    """Whether it was executed."""
    raised: tuple[Raised, ...] = ()
    """Its errors before extensions could change them."""


def wrong_transport(kind: OperationType, kinds: Collection[OperationType]) -> Refusal:
    """The refusal of an operation of a `kind` that its transport does not carry."""
    if kind is OperationType.SUBSCRIPTION:
        return Refusal(
            "NOT_ACCEPTABLE",
            "A subscription needs a WebSocket, or an Accept header of text/event-stream or multipart/mixed.",
        )
    allowed = ", ".join(sorted(one.value for one in kinds))
    return Refusal("METHOD_NOT_ALLOWED", f"This request may carry only: {allowed}.", headers={"Allow": "POST"})
