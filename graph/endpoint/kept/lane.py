"""Whole answers, kept as bytes: an operation that is known and may be kept is answered before the schema.

`Lane.enter` is the fast lane. For a prepared query whose policy (`policy`) allows it, one batch goes to Redis: the
check of the session, the charge to the limit, the generations of the tags that the kept answer was made of, and the
answer itself unless this process has a copy. What the lane enforces is what the schema's way enforces, by the same
objects: `Admission`, `BatchAuthenticator`, `Operations`. What it does not know it leaves to the schema, uncharged.

An answer is kept under the digest of its document, its operation, the variables that the operation declares and, where
it is private, its session; and under the tags of whatever was read through the cache while it was made. So an
acknowledged write is never followed by an older answer (`graph.patterns.cache.answers`). Never kept are errors,
mutations, answers that set headers, and public ones whose resolvers asked who the caller is.

Caches between here and the client know nothing of writes. They are told to ask each time; asking is cheap (ETag, 304).

Failure: without Redis every operation goes to the schema. A session that cannot be checked gives `UNAVAILABLE`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Generic, TypeVar

from prometheus_client import Counter

from graph.endpoint.admission import Ticket
from graph.endpoint.declare import Scope
from graph.endpoint.document import Policy, Retention, wish_of
from graph.endpoint.errors import Refusal
from graph.endpoint.execution import RUNNABLE, Ready
from graph.endpoint.kept.approach import Approach, Asked, Fast, Looked, Question, Sender, name_of
from graph.endpoint.kept.compression import Compressed
from graph.endpoint.kept.entrance import Entrance
from graph.endpoint.kept.turn import Turn
from graph.patterns.cache import Granted, Look, digest_of
from graph.patterns.fair_queue import act_for

if TYPE_CHECKING:
    from collections.abc import Collection

    from graphql import OperationType
    from starlette.requests import HTTPConnection

    from graph.endpoint.document import OperationRequest, Prepared
    from graph.endpoint.execution import Engine
    from graph.endpoint.identity import BatchAuthenticator, Caller
    from graph.patterns.cache import ByteCache, Hit, Made
    from graph.patterns.client import Client, Command, Replies, Reply

Context = TypeVar("Context")

_ANSWERS = Counter("graph_responses_total", "Answers that may be kept, by outcome: hit, made, unkept.", ["outcome"])
_HIT, _MADE, _UNKEPT = (_ANSWERS.labels(outcome) for outcome in ("hit", "made", "unkept"))

_RECALLED = 64 << 20
"""Bytes that recalled requests are taken to need, as if no two had the same document."""
_LONGEST = 8192
"""Bytes of the longest of them."""
_BYTES_PER_TOKEN = 1024
"""Bytes that a document takes for each of its tokens, about as `Operations` reckons."""
_NOTHING = nullcontext()


class Lane(Generic[Context]):
    """The fast lane of one endpoint."""

    def __init__(
        self,
        engine: Engine[Context],
        authenticator: BatchAuthenticator,
        client: Client,
        cache: ByteCache,
        *,
        realm: bytes = b"",
        enabled: bool = True,
        debug: bool = False,
    ) -> None:
        """Answer from `cache` what `engine` would answer, or another of its `realm` has.

        Unless `enabled`, every operation is executed, and answered with the same headers. With `debug` an answer
        tells in ``extensions.cache`` how it was made.
        """
        self._engine = engine
        self._authenticator = authenticator
        self._client, self._realm = client, realm
        self.entrance = Entrance(engine, authenticator, client)
        self.cache = cache
        self.enabled = enabled
        self.debug = debug
        self.who = authenticator.headers
        self.compressed = Compressed()
        self._recalled: Retention[tuple[bytes, bytes], Question] = Retention(_RECALLED)

    async def recall(self, query: bytes, body: bytes, connection: HTTPConnection, *, whole: bool = True) -> Fast | None:
        """Answer, as `enter` does, what was answered here before, without parsing it again."""
        question = self.question(query, body)
        if question is None or not (whole or question.asked.prepared.in_pieces is None):
            return None
        return await self._answer(question, connection)

    async def enter(
        self,
        request: OperationRequest,
        connection: HTTPConnection,
        query: bytes,
        body: bytes,
        kinds: Collection[OperationType] = RUNNABLE,
        *,
        whole: bool = True,
    ) -> Fast | Ready | None:
        """Admit and answer `request`, which came as `query` string and `body`.

        An operation of `kinds` that is never kept is only admitted (`Entrance`): it is to be executed. Returns None,
        without a charge, for a request that the lane does not serve: unless the answer is to be `whole`, not `@defer`
        nor `@stream`. Raises `RedisUnavailable` when a session cannot be checked.
        """
        asked = await self.find(request)
        if asked is None:
            return await self.entrance.ready(request, connection, kinds)
        if not whole and asked.prepared.in_pieces is not None:
            return None
        question = Question(request, asked)
        fast = await self._answer(question, connection)
        if fast is not None and fast.body is not None:
            self._keep(question, query, body)
        return fast

    def question(self, query: bytes, body: bytes) -> Question | None:
        """The question of a request with this query string and body, if it was answered here before."""
        return self._recalled.get((query, body))

    def remember(
        self, request: OperationRequest, prepared: Prepared | None, query: bytes, body: bytes
    ) -> Question | None:
        """What `request` asks, which came as `query` string and `body`, if the lane can take it; keep that.

        `prepared` is its document, if that is known here.
        """
        asked = self._asked(request, prepared)
        if asked is None:
            return None
        question = Question(request, asked)
        self._keep(question, query, body)
        return question

    def _keep(self, question: Question, query: bytes, body: bytes) -> None:
        length = len(query) + len(body)
        if length <= _LONGEST:
            document = question.asked.prepared.document
            tokens = document.token_count if document is not None else 0
            self._recalled.put((query, body), question, 10 * length + _BYTES_PER_TOKEN * (tokens or 0))

    async def _answer(self, question: Question, connection: HTTPConnection) -> Fast | None:
        approach = self.approach(question, self.entrance.sender(connection))
        if approach is None or self._engine.admission.refused(approach.sender.caller) is not None:
            return None
        look = self.seek(approach.key, question) or self.cache.look(approach.key)
        try:
            replies = await self._client.batch(*approach.commands, *look.commands)
        except asyncio.CancelledError:  # what was sent is done all the same
            self.cache.abandon(look)
            raise
        return await self.conclude(approach, look, replies, connection)

    def seek(self, key: str, question: Question) -> Look | None:
        """A look for an answer that this process knows nothing of, with the lease to make it; else None."""
        if not self.enabled:
            return None
        asked = question.asked
        try:
            tags = asked.policy.tags(question.request.variables)
        except Exception:  # noqa: BLE001 - raised again once the request has been charged, to be answered
            return None
        return self.cache.claim(key, asked.prepared.digest, tags)

    def approach(self, question: Question, sender: Sender) -> Approach | None:
        """How the lane handles a request: what it asks Redis beside the answer. Nothing is asked or charged yet."""
        admission, asked = self._engine.admission, question.asked
        charges = admission.charges(sender.caller, asked.weight)
        key = asked.key(sender)
        if key is None or any(one.weight > one.limit.count for one in charges):
            return None
        commands = (*sender.session, admission.command(charges, guard=sender.guard))
        return Approach(question, sender, charges, key, commands)

    async def conclude(self, approach: Approach, look: Look, replies: Replies, connection: HTTPConnection) -> Fast:
        """Read the replies to the commands of `approach` and of `look`, and make the answer if there is none."""
        (_, asked), sender, charges, _, commands, _ = approach
        place = len(commands)
        granted = self.cache.granted(look, replies, place)
        with granted or _NOTHING:  # a request that is refused must not keep others from making the answer
            ticket = await self.entrance.ticket(sender, asked.weight, charges, replies[:place], connection)
            return await self._conclude(approach, ticket, granted or Looked(look, replies, place), connection)

    def turnstile(self, approach: Approach) -> Command | None:
        """The one command that replaces those of `approach`; None where the case is not simple enough."""
        if len(approach.charges) != 1:
            return None
        return self._authenticator.turnstile(approach.sender.caller.token, approach.charges[0])

    async def proceed(
        self, request: OperationRequest, look: Look, replies: Replies, connection: HTTPConnection
    ) -> Fast:
        """Answer a `request` that was at the turnstile: `replies` begin with its, and go on with those to `look`."""
        asked = await self.find(request, prepare=True)
        assert asked is not None
        approach = self.approach(Question(request, asked), self.entrance.sender(connection))
        assert approach is not None
        # Both ask Redis, in one trip, where the entry has to be looked for again.
        settling = self.cache.settle(look, replies, 1)
        caller, hit = await asyncio.gather(self._authenticator.authenticate(connection), settling)
        ticket = Ticket(caller, asked.weight, approach.charges)
        self._engine.admission.settle(ticket, replies[0], turnstile=True)
        return await self._conclude(approach, ticket, hit, connection)

    def renew(self, approach: Approach, look: Look, replies: Replies, place: int) -> Look:
        """A look with the lease to make the answer anew that the replies to `look` have shown not to be current."""
        request, asked = approach.question
        try:
            tags = asked.policy.tags(request.variables)
        except Exception:  # noqa: BLE001 - as in `seek`
            return Look(look.key, None, look.tags, ())
        return self.cache.renew(look, replies, place, asked.prepared.digest, tags)

    async def resume(
        self, approach: Approach, passage: Reply, look: Look, replies: Replies, connection: HTTPConnection
    ) -> Fast:
        """Answer what was at the turnstile, whose reply is `passage`, and was found not to be current.

        The `replies` are those to the check of the session, and to the `look` for a newer answer (`renew`).
        """
        _, asked = approach.question
        place = len(approach.commands)
        granted = self.cache.granted(look, replies, place)
        with granted or _NOTHING:
            caller = await self.entrance.caller(approach.sender, replies[:place], connection)
            ticket = Ticket(caller, asked.weight, approach.charges)
            self._engine.admission.settle(ticket, passage, turnstile=True)
            seen = granted or (Looked(look, replies, place) if look.commands else None)
            return await self._conclude(approach, ticket, seen, connection)

    async def _conclude(
        self, approach: Approach, ticket: Ticket, seen: Looked | Granted | Hit | None, connection: HTTPConnection
    ) -> Fast:
        """Answer from the entry that was `seen`; make it if there is none, or if the lease for that was granted."""
        (request, asked), caller, key = approach.question, ticket.caller, approach.key
        ready = Ready(request, asked.prepared, asked.operation, ticket, cost=asked.cost)
        turn = Turn(self._engine, ready, approach, connection, debug=self.debug)
        assert ticket.verdict is not None
        ended = asked.policy.scope is Scope.VIEWER and not caller.signed_in
        if ended or not self.enabled or not ticket.verdict.allowed:
            made = await turn.make()
            return self._finish(turn, None if ended else made)
        act_for(caller.identity or None)  # before the work is shared
        hit: Hit | None = None
        granted: Granted | None = None
        if isinstance(seen, Granted):
            granted = seen
        else:
            hit = await self.cache.settle(*seen) if isinstance(seen, Looked) else seen
        if hit is None:
            tags, public = asked.policy.tags(request.variables), asked.policy.scope is Scope.PUBLIC
            kind = asked.prepared.digest
            bring, stays = self.cache.bring, approach.stays
            hit = await bring(key, turn.make, tags, public=public, kind=kind, granted=granted, stays=stays)
            if hit is None:
                return self._finish(turn, turn.made)
        elif self.cache.due(hit):
            self.cache.refresh(key, hit, turn.make, asked.policy.tags(request.variables))
        _HIT.inc()
        return turn.send(hit.body, hit.digest, max(0, int(time.time() - hit.made)), "hit")

    async def find(self, request: OperationRequest, *, prepare: bool = False) -> Asked | None:
        """The operation of `request`, if the lane can take it; a document that is not known is left to others.

        With `prepare` it is made ready here: it was known when the request came first.
        """
        operations = self._engine.operations
        try:
            text = await self._engine.persisted.text(request)
        except Refusal:
            return None
        return self._asked(request, await self._engine.finder.prepared(text) if prepare else operations.known(text))

    def _asked(self, request: OperationRequest, prepared: Prepared | None) -> Asked | None:
        engine = self._engine
        try:
            if prepared is None or prepared.errors:
                return None
            operation = prepared.select(request.operation_name)
            if not isinstance(operation.policy, Policy) or wish_of(operation.node, request.variables) is not None:
                return None
            estimate = engine.operations.check(operation, request.variables)
        except Refusal:
            return None
        weight = 0 if operation.free else engine.admission.weight(estimate.fields, estimate.work)
        name = name_of(self._realm, prepared, operation, request)
        return Asked(prepared, operation, operation.policy, estimate.cost, weight, name)

    def refused(self, caller: Caller) -> bool:
        """Whether this process remembers a refusal of `caller` that still holds."""
        admission = self._engine.admission
        return admission.remembers and admission.refused(caller) is not None

    def served(self, count: int) -> None:
        """Count answers that `express` served from entries of `cache`."""
        self._engine.operations.recalled(count)
        _HIT.inc(count)

    # --- answering ---

    def _finish(self, turn: Turn[Context], made: Made | None) -> Fast:
        """Build the answer from what the schema returned."""
        if made is None:
            _UNKEPT.inc()
            return Fast(answer=turn.answer)
        _MADE.inc()
        return turn.send(made.body, made.digest or digest_of(made.body), 0, "miss")
