"""Runs operations for transports that keep a connection open, and shares one execution among identical subscriptions.

Followers of the same document with the same variables form a `Group`: one source, one execution and one encoding an
event, however many they are; a transport only splices its own frame around the ready text. Each follower is admitted
on its own first.

Only what a field declares to be the same for everybody is shared (`declare.live`); every other subscription is run for
its client alone, with all that Strawberry gives it (`own`), and so is one of a schema with an extension that looks at
each result. Sharing shows nobody what is another's. A group for
everybody executes as an anonymous caller; as soon as an execution reads who asks (`identity.viewer_touched`), the
signed-in followers get executions of their own, one a user.

Failure: a source that breaks ends its followers with the error, masked like any other. `Streams.run` raises nothing
but cancellation.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeAlias, TypeVar

from graphql import OperationType

from graph.endpoint.admission import Ticket
from graph.endpoint.declare import Live, cursor_variable
from graph.endpoint.errors import Refusal
from graph.endpoint.execution import Answer, encode
from graph.endpoint.identity import PUBLIC, Caller, notes_viewer
from graph.endpoint.subscriptions.entry import entered
from graph.endpoint.subscriptions.group import Follower, Group, Key
from graph.endpoint.subscriptions.once import Once
from graph.endpoint.subscriptions.own import Own
from graph.endpoint.subscriptions.patches import PiecesFormat
from graph.endpoint.subscriptions.pieces import Pieces
from graph.endpoint.subscriptions.resume import promise_of, resumed_at_once
from graph.endpoint.subscriptions.sink import ending

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from graph.endpoint.document import OperationRequest
    from graph.endpoint.execution import Engine, Ready
    from graph.endpoint.subscriptions.sink import Sink

Context = TypeVar("Context")

Follow: TypeAlias = "Callable[[Sink], Callable[[], None]]"
"""Starts to follow a subscription, and returns a function that leaves it."""


class LiveRunner(Protocol):
    """Runs live queries."""

    async def admit(self, ready: Ready, connection: HTTPConnection) -> Answer | Follow:
        """Admit one follower, as `Streams.admit` does."""
        ...

    async def close(self) -> None:
        """End every live query without a message."""
        ...


ANONYMOUS = Caller(address="")
"""The anonymous caller of shared executions."""

_REMEMBERED = 4096  # operations known to read who asks before their first event


class Streams(Generic[Context]):
    """The subscriptions of one process (`sink.Runner`)."""

    def __init__(self, engine: Engine[Context], live: LiveRunner | None = None) -> None:
        """Run what `engine` admits; queries with `@live` by `live`."""
        self.engine = engine
        self._live = live
        self.once = Once()
        self._groups: dict[Key, Group] = {}  # those that newcomers may join
        self._running: set[Group] = set()
        self._personal: OrderedDict[tuple[str, str | None], None] = OrderedDict()
        self._alone: set[Own | Pieces] = set()
        self._mutations: set[asyncio.Task[Answer]] = set()

    @property
    def groups(self) -> int:
        """The number of executions per event."""
        return len(self._running) + len(self._alone)

    async def close(self) -> None:
        """End every subscription without a message, let mutations finish, and leave nothing running."""
        tasks: list[asyncio.Task[Any]] = [group.stop() for group in list(self._running)]
        for one in list(self._alone):
            one.leave()
            tasks.append(one.task)
        tasks += self._mutations
        if tasks:
            await asyncio.wait(tasks)
        if self._live is not None:
            await self._live.close()

    # --- Runner ---

    async def run(
        self,
        request: OperationRequest,
        caller: Caller,
        connection: HTTPConnection,
        sink: Sink,
        form: PiecesFormat = PiecesFormat.LEGACY,
    ) -> Callable[[], None] | None:
        """Admit, prepare and execute `request`; hand every answer to `sink` (see `sink.Runner`)."""
        try:
            ready = await self.engine.ready(request, caller, connection, streamed=True)
            if isinstance(ready, Answer):
                answer = ready
            elif ready.stands:
                admitted = await self.admit(ready, connection)
                if not isinstance(admitted, Answer):
                    self.engine.monitor.stands(ready)
                    return admitted(sink)
                answer = admitted
            elif ready.in_pieces:
                admitted = await self.in_pieces(ready, connection, form=form)
                if not isinstance(admitted, Answer):
                    return admitted(sink)
                answer = admitted
            else:
                answer = await self._execute(ready, connection)
        except Exception as error:  # noqa: BLE001 - whatever breaks is masked, logged and told the client
            self._fail(sink, error)
            return None
        _tell(sink, answer)
        return None

    def answering(self, ready: Ready, connection: HTTPConnection, response: Response) -> Follow:
        """What executes a query or mutation for who follows: its answer is the one result.

        Resolvers may set on `response` what there is still time for.
        """

        async def answer(sink: Sink) -> None:
            try:
                _tell(sink, await self._execute(ready, connection, response))
            except Exception as error:  # noqa: BLE001 - whatever breaks is masked, logged and told the client
                self._fail(sink, error)

        def follow(sink: Sink) -> Callable[[], None]:
            task = asyncio.create_task(answer(sink))

            def leave() -> None:
                task.cancel()

            return leave

        return follow

    async def _execute(self, ready: Ready, connection: HTTPConnection, response: Response | None = None) -> Answer:
        """The answer to a query or a mutation; a mutation goes on when its client leaves."""
        executing = self.engine.run(ready, connection, response, streamed=True)
        if ready.operation.kind is not OperationType.MUTATION:
            return await executing
        task = asyncio.create_task(executing)
        self._mutations.add(task)
        task.add_done_callback(self._mutations.discard)
        return await asyncio.shield(task)

    def _fail(self, sink: Sink, error: Exception) -> None:
        self.engine.monitor.failed()
        sink.error(self.errors(error))

    def errors(self, error: Exception) -> str:
        """The errors that a client gets for `error`, as a JSON list; a bug is logged."""
        return encode(self.engine.presenter.raised(error)).decode()

    async def admit(self, ready: Ready, connection: HTTPConnection) -> Answer | Follow:
        """Charge one follower and run the hooks of the schema's extensions; an answer when they refuse.

        For an admitted follower, returns a function that starts to follow and itself returns one that leaves.
        """
        if ready.live is not None:
            if self._live is None:
                unkept = Refusal("CANNOT_BE_LIVE", "No answers are kept here, so nothing tells when one changes.")
                return await self.engine.reject([unkept], ready.ticket)
            return await self._live.admit(ready, connection)
        promise, _ = promise_of(self.engine, ready)
        if not promise.shared or self.engine.root_value is not None:
            return await self._own(ready, connection, promise)
        context, runner = self.engine.begin(ready, connection, None)
        if not notes_viewer(context.context) or self.engine.extensions.look_at_results(runner.extensions):
            return await self._own(ready, connection, promise)
        return await entered(self.engine, ready, context, runner) or partial(self.follow, ready)

    async def _own(self, ready: Ready, connection: HTTPConnection, promise: Live) -> Answer | Follow:
        """Run `ready` for its client alone."""
        own = Own(self.engine, ready, connection, promise)
        self._alone.add(own)
        own.task.add_done_callback(lambda _: self._alone.discard(own))
        return await own.admitted() or own.follow

    async def in_pieces(
        self,
        ready: Ready,
        connection: HTTPConnection,
        response: Response | None = None,
        form: PiecesFormat = PiecesFormat.SPECIFIED,
    ) -> Answer | Follow:
        """Execute a query or mutation whose document has `@defer` or `@stream`; the answer where it comes whole.

        Otherwise what was returned by `admit` is returned; resolvers have set on `response` what they set. Pieces are
        in the format `form`.
        """
        pieces = Pieces(self.engine, ready, connection, response, form)
        self._alone.add(pieces)
        pieces.task.add_done_callback(lambda _: self._alone.discard(pieces))
        return await pieces.admitted() or pieces.follow

    # --- sharing ---

    def follow(self, ready: Ready, sink: Sink) -> Callable[[], None]:
        """Join the group of `ready`, or start it; the callable returned leaves it."""
        follower = Follower(sink, ready.ticket.caller)
        self._place(ready, follower)
        return follower.leave

    def _place(self, ready: Ready, follower: Follower) -> None:
        promise, field = promise_of(self.engine, ready)
        variable = cursor_variable(promise, field) if field is not None else None
        variables = dict(ready.request.variables or {})
        after = variables.pop(variable, None) if variable is not None else None
        here = (ready.prepared.digest, ready.operation.name)
        scope = follower.caller.scope if here in self._personal else PUBLIC
        key: Key = (*here, encode(sorted(variables.items())).decode(), scope, None)
        base_ready = ready._replace(request=ready.request._replace(variables=variables))
        if after is None:
            self._group(key, base_ready, promise).join(follower)
            return
        base = self._group(key, base_ready, promise)
        if isinstance(after, str) and base.resume(follower, after):
            return
        here_after: Key = (*key[:-1], encode(after).decode())  # coercion refuses an invalid cursor
        group = self._groups.get(here_after)
        if group is None or not group.follow(follower, base):
            self._start(here_after, ready, promise).follow(follower, base)

    def _group(self, key: Key, ready: Ready, promise: Live) -> Group:
        return self._groups.get(key) or self._start(key, ready, promise)

    def _start(self, key: Key, ready: Ready, promise: Live) -> Group:
        caller = ANONYMOUS if key[3] == PUBLIC else ready.ticket.caller
        group = self._groups[key] = Group(self, key, ready._replace(ticket=Ticket(caller)), promise)
        self._running.add(group)
        return group

    def forget(self, group: Group) -> None:
        """Remove a group that has ended."""
        self._running.discard(group)
        if self._groups.get(group.key) is group:
            del self._groups[group.key]

    def rehome(self, group: Group, followers: list[Follower], after: str | None) -> None:
        """Give each of `followers` a group of its user: the source of `group` reads who asks."""
        ready = group.ready if after is None else resumed_at_once(self.engine, group.ready, after)
        self._personal[group.key[:2]] = None
        self._personal[ready.prepared.digest, ready.operation.name] = None
        while len(self._personal) > _REMEMBERED:
            self._personal.popitem(last=False)
        for follower in followers:
            self._place(ready._replace(ticket=Ticket(follower.caller)), follower)


def _tell(sink: Sink, answer: Answer) -> None:
    if answer.executed:
        sink.next(answer.encode().decode())
        sink.complete()
    else:
        sink.error(*ending(answer))
