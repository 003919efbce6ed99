"""The live queries of one process, and who may follow them.

Identical ones (the normal form of the operation, variables, what `@live` asks for, and the session where the answer
depends on it) are one `LiveQuery`. Those that differ in what `@live` asks for alone share their kept answer, as those
of other processes do. Each follower is admitted on its own first: charged once like any operation, and in the mode
"cost" for every answer after the first, too. An answer that every field declares public is executed as an anonymous
caller; as soon as an execution reads who asks, signed-in followers get queries of their sessions. Where the context
cannot tell, each follower has a query of its own.

Failure: as for subscriptions, a refusal is the sink's error, and nothing but cancellation is raised.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

import orjson

from graph.endpoint.admission import Ticket, over_limit
from graph.endpoint.declare import Scope
from graph.endpoint.document import Policy
from graph.endpoint.errors import Refusal
from graph.endpoint.execution import encode
from graph.endpoint.identity import PUBLIC, notes_viewer
from graph.endpoint.live.follower import LiveFollower
from graph.endpoint.live.form import form_of
from graph.endpoint.live.query import LiveQuery
from graph.endpoint.live.reading import LiveQuestion, Reader
from graph.endpoint.subscriptions import ANONYMOUS, entered, errors_json, nobody, refused
from graph.patterns.cache import TagWatch, trimmed
from graph.patterns.limiter import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import HTTPConnection

    from graph.endpoint.execution import Answer, Engine, Ready
    from graph.endpoint.identity import BatchAuthenticator, Caller
    from graph.endpoint.live.reading import LiveReading
    from graph.endpoint.subscriptions import Follow, Sink
    from graph.patterns.cache import ByteCache
    from graph.patterns.client import Client

_REMEMBERED = 4096  # operations known to read who asks


class LiveQueries:
    """Runs live queries (`subscriptions.LiveRunner`)."""

    def __init__(
        self,
        engine: Engine[Any],
        authenticator: BatchAuthenticator,
        client: Client,
        cache: ByteCache,
        *,
        enabled: bool = True,
        most: int = 100,
        patience: float = 10.0,
        check_every: float = 4.0,
    ) -> None:
        """Run what `engine` admits; share answers through `cache` if that is `enabled`.

        A caller follows at most `most` in this process. One that has no answer yet waits `patience` seconds for Redis
        or SQL. All generations are compared every `check_every` seconds.
        """
        self.patience = patience
        self.watch = TagWatch(client, cache.generations, check_every=check_every)
        self._engine = engine
        self._authenticator = authenticator
        self._reader = Reader(engine, client, cache, enabled=enabled)
        self._most = most
        self._queries: dict[object, LiveQuery] = {}
        self._running: set[LiveQuery] = set()
        self._followed: Counter[str] = Counter()
        self._personal: OrderedDict[str, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._running)

    async def close(self) -> None:
        """End every live query without a message, and leave nothing running."""
        tasks = [query.stop() for query in list(self._running)]
        if tasks:
            await asyncio.wait(tasks)
        await self.watch.close()

    # --- who may follow ---

    async def admit(self, ready: Ready, connection: HTTPConnection) -> Answer | Follow:
        """Charge one follower and run the hooks of the schema's extensions; an answer when they refuse."""
        if not isinstance(ready.operation.policy, Policy):
            unkept = Refusal("CANNOT_BE_LIVE", "Nothing tells when the answer to this query changes.")
            return await self._engine.reject([unkept], ready.ticket)
        context, runner = self._engine.begin(ready, connection, None)
        refusal = await entered(self._engine, ready, context, runner)
        if refusal is not None:
            return refusal
        return partial(self._follow, ready, connection, shared=notes_viewer(context.context))

    def _follow(self, ready: Ready, connection: HTTPConnection, sink: Sink, *, shared: bool) -> Callable[[], None]:
        """Follow `ready`; the callable returned leaves it."""
        caller = ready.ticket.caller
        name = caller.identity
        if self._followed[name] >= self._most:
            sink.error(errors_json("TOO_MANY_OPERATIONS", f"A caller follows at most {self._most} live queries."))
            return lambda: None
        self._followed[name] += 1
        follower = LiveFollower(sink, caller, ready.ticket.weight)
        self._place(ready, follower, None if shared else connection)
        left = False

        def leave() -> None:
            nonlocal left
            if not left:
                left = True
                self._followed[name] -= 1
                if not self._followed[name]:
                    del self._followed[name]
                if follower.query is not None:
                    follower.query.remove(follower)

        return leave

    async def charge(self, followers: Sequence[LiveFollower]) -> None:
        """Charge a refresh to each of `followers`, where fields are charged; end those that may not have it."""
        admission = self._engine.admission
        if admission.mode != "cost":
            return
        tickets = [Ticket(one.caller, one.weight) for one in followers]
        verdicts = await asyncio.gather(*map(admission.admit, tickets))
        for follower, ticket, verdict in zip(followers, tickets, verdicts, strict=True):
            if not verdict.allowed and follower.query is not None:
                follower.query.dismiss([follower], refused(over_limit(verdict, ticket.weight)))

    # --- what they follow ---

    async def read(self, question: LiveQuestion) -> LiveReading:
        """Read an answer (`query.QueryHome`)."""
        return await self._reader.read(question)

    def _place(self, ready: Ready, follower: LiveFollower, connection: HTTPConnection | None) -> None:
        """Join the live query of `ready`, or start it; over its own `connection` it is the follower's alone."""
        policy, caller = ready.operation.policy, follower.caller
        assert isinstance(policy, Policy)
        form = form_of(ready.prepared, ready.operation)
        public = policy.scope is Scope.PUBLIC and form.digest not in self._personal
        whose = PUBLIC if public or connection is not None else self._whose(caller)
        if whose is None or connection is not None:
            self._start(object(), ready, caller, connection, None).join(follower)
            return
        # One that the directive alone has may be wrong: then it fails this client's query and nobody else's.
        name = (form.digest, _variables(ready, policy.variables), ready.live, whose)
        query = self._queries.get(name)
        if query is None:
            as_caller = ANONYMOUS if public else caller
            key = _key(form.digest, _variables(ready, form.variables), whose)
            query = self._queries[name] = self._start(name, ready, as_caller, None, key, public=public)
        query.join(follower)

    def _whose(self, caller: Caller) -> str | None:
        """Whose answer it is: that of a session; None where there is no telling."""
        if not caller.signed_in:
            return caller.scope
        guard = self._authenticator.guard(caller.token)
        return None if guard is None else f"session {guard}"

    def _start(
        self,
        name: object,
        ready: Ready,
        caller: Caller,
        connection: HTTPConnection | None,
        key: str | None,
        *,
        public: bool = False,
    ) -> LiveQuery:
        assert ready.live is not None
        assert isinstance(ready.operation.policy, Policy)
        limit = self._engine.admission.anonymous
        # What its followers were charged is not charged again when it is executed.
        ticket = Ticket(caller, 0, verdict=Verdict(allowed=True, limit=limit, remaining=limit.count))
        question = LiveQuestion(ready._replace(ticket=ticket), connection or nobody(), ready.operation.policy, key)
        query = LiveQuery(self, name, question, ready.live, public=public)
        self._running.add(query)
        return query

    def errors(self, error: Exception) -> str:
        """The errors that a client gets for `error`, as a JSON list."""
        return encode(self._engine.presenter.raised(error)).decode()

    def forget(self, query: LiveQuery) -> None:
        """Remove a query that has ended."""
        self._running.discard(query)
        if self._queries.get(query.name) is query:
            del self._queries[query.name]

    def rehome(self, query: LiveQuery, followers: list[LiveFollower]) -> None:
        """Give each of `followers` a query of its session: the answer depends on who asks."""
        ready = query.question.ready
        self._personal[form_of(ready.prepared, ready.operation).digest] = None
        while len(self._personal) > _REMEMBERED:
            self._personal.popitem(last=False)
        for follower in followers:
            self._place(ready, follower, None)


def _variables(ready: Ready, names: frozenset[str]) -> bytes:
    given = ready.request.variables or {}
    used = {name: given[name] for name in names if name in given}
    try:
        return trimmed(orjson.dumps(used, option=orjson.OPT_SORT_KEYS))
    except TypeError:  # an integer that no variable may be; execution says so
        return repr(sorted(used.items())).encode()


def _key(form: str, variables: bytes, whose: str) -> str:
    parts = (b"live", form.encode(), variables, whose.encode())
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
