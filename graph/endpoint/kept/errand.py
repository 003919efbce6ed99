"""Recognised requests that are executed: what they are admitted by is one trip, then they run.

These are mutations, and queries whose answer this process knows nothing of: with their trip goes the request for the
lease to make it (`graph.patterns.cache`), and for the generations that it will probably depend on. A query whose answer
has been found to be outdated was charged at the turnstile: its second trip checks the session and requests the lease.

What is saved is all that stands between the server and the execution: the request is not parsed as HTTP, and passes
neither the application nor its middleware. What is enforced is what the transport enforces, by the same objects.

A request is taken if its head is known (`Visit`), its document is, and it is neither refused nor traced; any other is
left to the application, uncharged. Once it was taken it is answered, whatever Redis replied: nothing is handed on.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from graphql import OperationType

from graph.endpoint.kept.approach import Approach
from graph.endpoint.kept.entrance import KnownOperation
from graph.endpoint.kept.visit import begin_apart
from graph.endpoint.observe import ABORTED
from graph.patterns.client import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from graph.endpoint.document import Operation
    from graph.endpoint.kept.approach import Question, Toll
    from graph.endpoint.kept.lane import Lane
    from graph.endpoint.kept.visit import ClientConnection, Ride, Sight, Visit
    from graph.endpoint.observe import Tally, Tracing
    from graph.patterns.cache import Look
    from graph.patterns.client import Client, Command, Replies, Reply

Perform: TypeAlias = "Callable[[Errand], Coroutine[object, object, None]]"
"""Executes what was replied to, answers it over its connection, and tells `Errand.ended`."""

_KINDS = frozenset({OperationType.MUTATION})


class WantedAnswer(NamedTuple):
    """An answer that is to be made, unless the `look` for it finds one."""

    approach: Approach
    look: Look

    @property
    def operation(self) -> Operation:
        """The operation whose answer it is."""
        return self.approach.question.asked.operation


class OutdatedAnswer(NamedTuple):
    """An answer that is to be made anew, unless the `look` finds a newer one; the charge was made: `passage`."""

    approach: Approach
    passage: Reply
    look: Look

    @property
    def operation(self) -> Operation:
        """The operation whose answer it is."""
        return self.approach.question.asked.operation


class Errand:
    """A request in progress: receives the replies to its toll, and has itself performed."""

    __slots__ = ("_began", "_errands", "body", "connection", "replies", "toll", "visit", "work")

    replies: Replies

    def __init__(  # noqa: PLR0917 - made for each request, where keywords cost time
        self,
        errands: Errands,
        visit: Visit,
        work: KnownOperation | WantedAnswer | OutdatedAnswer,
        toll: Toll,
        connection: ClientConnection,
        body: bytes,
        began: float = 0.0,
    ) -> None:
        self._errands = errands
        self.body = body
        self.visit = visit
        self.work = work
        self.toll = toll
        self.connection = connection
        self._began = began or time.perf_counter()

    def done(self) -> bool:
        """False: the replies are awaited."""
        return False

    def set_result(self, replies: Replies) -> None:
        """Go on with the replies to the toll, unless what performs it has been closed meanwhile."""
        self._errands.running += 1
        if self._errands.closed:
            if not isinstance(self.work, KnownOperation):
                self._errands.abandon(self.work.look)  # others may make the answer
            self.connection.abort()
            self.ended(ABORTED, {"operation": self.work.operation.name})
            return
        self.replies = replies
        self.connection.start(self._errands.perform(self))

    def ended(self, status: int, facts: dict[str, Any]) -> None:
        """Count it; `facts` are for its line in the access log."""
        self._errands.running -= 1
        if (tally := self._errands.tally) is not None:
            tally.executed(self.visit.method, status, self._began, self.visit.peer, facts)


class Errands:
    """Takes the requests of one endpoint that are executed."""

    def __init__(
        self, lane: Lane[Any], client: Client, perform: Perform, *, tally: Tally | None, tracing: Tracing | None
    ) -> None:
        """Have what `lane` would admit done by `perform`; `tally` and `tracing` as `Express` knows them."""
        self._lane = lane
        self._client = client
        self.perform = perform
        self.tally = tally
        self._tracing = tracing
        self.running = 0
        """How many are being performed."""
        self.closed = False
        """Whether nothing is performed any more: the server stopped while tolls were waiting for Redis."""

    def take(self, sight: Sight, visit: Visit, connection: ClientConnection) -> bool:
        """Take over a mutation, whose body was read; False for any other request."""
        if sight.asked is None or visit.method != "POST":
            return False
        found = self._lane.entrance.find(sight.asked, sight.prepared, _KINDS)
        if found is None or found.prepared.in_pieces is not None or self._lane.refused(visit.sender.caller):
            return False
        toll = self._toll(visit, found.weight)
        if toll is None or self._is_traced(sight, connection):
            return False
        self._send(Errand(self, visit, found, toll, connection, sight.parts.body), toll.commands)
        return True

    def make(self, question: Question, key: str, sight: Sight, visit: Visit, connection: ClientConnection) -> bool:
        """Take over a query that takes more than a check whether its kept answer is current; False if it may not be."""
        toll = self._toll(visit, question.asked.weight)
        if toll is None or not self._lane.enabled or self._is_traced(sight, connection):
            return False
        look = self._lane.seek(key, question) or self._lane.cache.look(key)
        wanted = WantedAnswer(Approach(question, visit.sender, toll.charges, key, toll.commands, stays=True), look)
        self._send(Errand(self, visit, wanted, toll, connection, sight.parts.body), (*toll.commands, *look.commands))
        return True

    def renew(self, ride: Ride, replies: Replies) -> bool:
        """Take over a query that was charged, whose answer the `replies` have shown not to be current.

        False where it has to be handed on.
        """
        visit = ride.visit
        toll = self._toll(visit, ride.question.asked.weight)
        if toll is None or self.closed:
            return False
        checks = visit.sender.session
        approach = Approach(ride.question, visit.sender, toll.charges, ride.look.key, checks, stays=True)
        look = self._lane.renew(approach, ride.look, replies, 1)
        work = OutdatedAnswer(approach, replies[0], look)
        errand = Errand(self, visit, work, toll, ride.connection, ride.body, ride.began)
        if checks or look.commands:
            self._send(errand, (*checks, *look.commands))
        else:
            if self.tally is not None:
                self.tally.begin()
            errand.set_result(replies)  # of which it reads none
        return True

    def abandon(self, look: Look) -> None:
        """Give up the lease that was requested with `look`."""
        self._lane.cache.abandon(look)

    def _is_traced(self, sight: Sight, connection: ClientConnection) -> bool:
        """Whether the request has a span: it takes the ordinary way then, as everything below the span does."""
        if self._tracing is not None:
            sight.span = begin_apart(self._tracing, sight, connection)
        return sight.span is not None

    def _send(self, errand: Errand, commands: tuple[Command, ...]) -> None:
        if self.tally is not None:
            self.tally.begin()
        self._client.deliver(errand, *commands)

    def _toll(self, visit: Visit, weight: int) -> Toll | None:
        """The toll of an operation of `weight`, ready to be sent: it is the same each time."""
        toll = visit.tolls.get(weight)
        if toll is None and (toll := self._lane.entrance.toll(visit.sender, weight)) is not None:
            commands = tuple(one._replace(packed=pack(one.args)) for one in toll.commands)
            toll = visit.tolls[weight] = toll._replace(commands=commands)
        return toll
