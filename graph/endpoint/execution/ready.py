"""An operation on its way through the engine: found and checked, then in the context that extensions see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from strawberry.types.execution import ExecutionContext

if TYPE_CHECKING:
    from graph.endpoint.admission import Ticket
    from graph.endpoint.document import Operation, OperationRequest, Prepared


class Ready(NamedTuple):
    """An operation that may be admitted: valid, within bounds, of a kind that the transport carries."""

    request: OperationRequest
    prepared: Prepared
    operation: Operation
    ticket: Ticket


@dataclass
class Ticketed(ExecutionContext):
    """Strawberry's execution context with the ticket that `RateLimit` charges."""

    ticket: Ticket | None = None
    ready: Ready | None = None
