"""Recognised mutations: the check of the session and the charge are one trip, then the mutation is executed.

What is saved is all that stands between the server and the execution: the request is not parsed as HTTP, and passes
neither the application nor its middleware. What is enforced is what the transport enforces, by the same objects.

A mutation is taken if its head is known (`Visit`), its document is, and it is neither refused nor traced; any other is
left to the application, uncharged. Once it was taken it is answered, whatever Redis replied: nothing is handed on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeAlias

from graphql import OperationType

from graph.endpoint.kept.visit import begin_apart
from graph.patterns.client import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from graph.endpoint.kept.approach import Toll
    from graph.endpoint.kept.entrance import KnownOperation
    from graph.endpoint.kept.lane import Lane
    from graph.endpoint.kept.visit import ClientConnection, Sight, Visit
    from graph.endpoint.observe import Tally, Tracing
    from graph.patterns.client import Client, Replies

Perform: TypeAlias = "Callable[[Errand], Coroutine[object, object, None]]"
"""Executes a mutation whose toll was replied to, answers it over its connection, and tells `Errand.ended`."""

_KINDS = frozenset({OperationType.MUTATION})


class Errand:
    """A mutation in progress: receives the replies to its toll, and has itself performed."""

    __slots__ = ("_began", "_errands", "connection", "found", "replies", "toll", "visit")

    replies: Replies

    def __init__(
        self, errands: Errands, visit: Visit, found: KnownOperation, toll: Toll, connection: ClientConnection
    ) -> None:
        self._errands = errands
        self.visit = visit
        self.found = found
        self.toll = toll
        self.connection = connection
        self._began = time.perf_counter()

    def done(self) -> bool:
        """False: the replies are awaited."""
        return False

    def set_result(self, replies: Replies) -> None:
        """Go on with the replies to the toll."""
        self.replies = replies
        self.connection.start(self._errands.perform(self))

    def ended(self, status: int, facts: dict[str, Any]) -> None:
        """Count it; `facts` are for its line in the access log."""
        if (tally := self._errands.tally) is not None:
            tally.executed(self.visit.method, status, self._began, self.visit.peer, facts)


class Errands:
    """Takes the mutations of one endpoint."""

    def __init__(
        self, lane: Lane[Any], client: Client, perform: Perform, *, tally: Tally | None, tracing: Tracing | None
    ) -> None:
        """Have mutations that `lane` would admit done by `perform`; `tally` and `tracing` as `Express` knows them."""
        self._lane = lane
        self._client = client
        self.perform = perform
        self.tally = tally
        self._tracing = tracing

    def take(self, sight: Sight, visit: Visit, connection: ClientConnection) -> bool:
        """Take over a mutation, whose body was read; False for any other request."""
        if sight.asked is None or visit.method != "POST":
            return False
        found = self._lane.entrance.find(sight.asked, _KINDS)
        if found is None or found.prepared.in_pieces is not None or self._lane.refused(visit.sender.caller):
            return False
        toll = self._toll(visit, found.weight)
        if toll is None:
            return False
        if self._tracing is not None:
            sight.span = begin_apart(self._tracing, sight, connection)
            if sight.span is not None:
                return False  # it takes the ordinary way
        if self.tally is not None:
            self.tally.begin()
        self._client.deliver(Errand(self, visit, found, toll, connection), *toll.commands)
        return True

    def _toll(self, visit: Visit, weight: int) -> Toll | None:
        """The toll of an operation of `weight`, ready to be sent: it is the same each time."""
        toll = visit.tolls.get(weight)
        if toll is None and (toll := self._lane.entrance.toll(visit.sender, weight)) is not None:
            commands = tuple(one._replace(packed=pack(one.args)) for one in toll.commands)
            toll = visit.tolls[weight] = toll._replace(commands=commands)
        return toll
