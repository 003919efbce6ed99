"""The fast lane for requests that are recognised before they are parsed; headers that nobody reads are ignored.

A request is taken apart by what its answer depends on (`heads`). From its head follows who asks and how the answer
looks: a `Visit`, kept once the lane has answered two requests with that head. From its body, or query string, follows
what is asked: the lane's `Question`, read here if its document is known. Everything that can change is asked anew each
time, in one batch: session and limit (`graph.patterns.limiter.turnstile`), the generations of the answer's tags, and
the answer itself unless this process has a copy. Only the plain outcome is served here: session in use, limit not
reached, the answer current and not near its end. One that is outdated is an errand (`errand`); any other is handed on,
with the replies if the charge was or may have been made, so that nothing is charged twice and no rule stands twice.

It needs the server's help: the bytes of a request that came in one piece, and an answer written as it is
(`graph.server.http_express` gives both). Under any other server requests take the way of `GraphQLEndpoint`.

Visits hold copies of heads, credentials among them, in memory: `VISITS` bytes at most. They keep neither answers nor
documents alive: those have bounds of their own.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any

from graph.endpoint.admission import template
from graph.endpoint.document import Retention
from graph.endpoint.errors import Refusal
from graph.endpoint.execution import describe
from graph.endpoint.kept.approach import control, matches
from graph.endpoint.kept.compression import encoding_of
from graph.endpoint.kept.heads import Heads
from graph.endpoint.kept.pace import Pace
from graph.endpoint.kept.visit import Gate, Leftover, Ride, Visit, begin_apart
from graph.endpoint.observe import ABORTED
from graph.patterns.client import OutcomeUnknown, pack
from graph.patterns.limiter import passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.types import Scope

    from graph.endpoint.document import OperationRequest
    from graph.endpoint.kept.approach import Approach, Fast, Question
    from graph.endpoint.kept.errand import Errands
    from graph.endpoint.kept.heads import Parts
    from graph.endpoint.kept.lane import Lane
    from graph.endpoint.kept.visit import ClientConnection, RawHeaders, Sight
    from graph.endpoint.observe import Tally, Tracing
    from graph.patterns.cache import Hit, Look
    from graph.patterns.client import Client, Command, Replies

EXPRESS = "graph.express"
"""Where the lifespan's state holds the `Express` for the server to ask."""
VISITS = 32 << 20
"""Bytes of heads, and of what is known of them: `_VISIT` each, beside the head."""
LARGEST = 16_384
"""Bytes of a request, head and body."""
_VISIT = 6144
_SIGHTINGS = 8192
_CURRENT = 8192
_COUNTED_EVERY = 0.05
_EARLY = 40.0
"""This module does no random early refresh: this many `delta` before expiry its probability is e^-40."""
_NEAR = b"", "", 0.0

logger = logging.getLogger(__name__)


class Express:
    """The visits of one endpoint."""

    def __init__(
        self,
        lane: Lane[Any],
        client: Client,
        read: Callable[[bytes], OperationRequest | None],
        *,
        forwarded: bool = False,
        tally: Tally | None = None,
        eager: bool = False,
        tracing: Tracing | None = None,
        errands: Errands | None = None,
    ) -> None:
        """Serve what `lane` would; `read` gives the one operation that the body of a POST asks for.

        `read` raises `Refusal` for a body without an operation. `forwarded` says that the server believes what proxies
        say about their clients; `tally` is told of each answer. With `eager` a head is known after its first request.
        What `tracing` wants has a span. `errands` take what is executed.
        """
        self._lane = lane
        self._client = client
        self._read = read
        self._tally = tally
        self._heads = Heads(lane.who, forwarded=forwarded)
        self._visits: Retention[tuple[str, bytes, bytes], Visit] = Retention(VISITS)
        self._seen: set[int] = set()
        self.errands = errands
        self._eager = eager
        self._tracing = tracing
        self._current: dict[str, tuple[bytes, Any, bytes]] = {}  # the generations under which copies were found current
        self._served = 0
        self._pace = Pace(self.arrive, errands)

    def split(self, data: bytes) -> Parts | None:
        """The parts of the request `data` that its answer depends on; None if it cannot be split so simply."""
        return self._heads.split(data) if len(data) <= LARGEST else None

    def take(self, sight: Sight, connection: ClientConnection) -> bool:
        """Take over the request `sight`, to be answered or handed on over `connection`; False if it is not known."""
        parts = sight.parts
        visit = self._visits.get((sight.peer, parts.head, parts.query))
        if visit is None:
            return False
        question = self._lane.question(parts.query, parts.body) or self._ask(sight)
        if question is not None and question.asked.prepared.in_pieces is not None:
            return False  # this client may want it in pieces
        if question is None:
            return self.errands is not None and self.errands.take(sight, visit, connection)
        lane = self._lane
        key = question.asked.key(visit.sender)
        gate = self._gate(visit, question) if key is not None else None
        if key is None or gate is None or lane.refused(visit.sender.caller):
            return False
        look = lane.cache.look(key)
        if not _is_simple(look):
            return self.errands is not None and self.errands.make(question, key, sight, visit, connection)
        if self._tally is not None:
            self._tally.begin()
        condition = parts.condition if visit.method == "GET" else b""
        ride = Ride(self._pace.arrive, visit, question, gate, look, condition, connection, parts.body)
        if self._tracing is not None:
            ride.span = sight.span = begin_apart(self._tracing, sight, connection)
        if ride.span is None:
            self._client.deliver(ride, gate.turnstile, *look.commands)
        else:
            with ride.span.below():
                sent = self._client.batch(gate.turnstile, *look.commands)
            sent.add_done_callback(lambda done: ride.set_result(done.result()))
        return True

    def _ask(self, sight: Sight) -> Question | None:
        """The question of a new body whose document is known. A GET is known as a whole or not at all."""
        parts = sight.parts
        if parts.query or not parts.body:
            return None
        try:
            sight.asked = self._read(parts.body)
        except Refusal:
            return None
        if sight.asked is None:
            return None
        sight.prepared = self._lane.entrance.known(sight.asked)
        return self._lane.remember(sight.asked, sight.prepared, parts.query, parts.body)

    def arrive(self, ride: Ride, replies: Replies) -> None:
        """Answer or hand on the request whose replies have arrived."""
        try:
            status = self._settle(ride, replies)
        except Exception:  # whatever it is, the other replies are none of its business
            logger.exception("a request that was recognised could not be handed on")
            ride.connection.abort()
            status = ABORTED
        if self._tally is not None:
            asked, visit = ride.question.asked, ride.visit
            name = asked.operation.name
            self._tally.end(visit.method, status, ride.began, visit.peer, operation=name, cost=asked.cost)

    def _settle(self, ride: Ride, replies: Replies) -> int:
        """The status that was answered; 0 if the request was handed on, or is executed."""
        reply = replies[0]
        kind = reply.__class__
        if kind is list:
            try:
                hit = self._judge(ride.look, replies)
                if hit is None and self._is_renewed(ride, replies):
                    return 0
                status = self._answer(ride, hit, reply) if hit is not None and hit is not _NEAR else 0
            except Exception:  # the charge was made: the application answers for it
                logger.exception("an answer that was ready could not be sent")
                status = 0
            if status:
                self._count()
                if ride.span is not None:
                    asked = ride.question.asked
                    describe(ride.span, asked.prepared, asked.operation, "kept", asked.cost)
                    ride.span.end()
                return status
        charged = kind is list or kind is OutcomeUnknown  # else there was more to do, or nothing could be done
        left = Leftover(ride.visit.media, ride.look, replies) if charged else None
        if ride.connection.hand_on(left):
            return 0
        if kind is list:
            passed(1)  # this charge is counted nowhere else
        return ABORTED

    def _is_renewed(self, ride: Ride, replies: Replies) -> bool:
        """Whether the answer, which is not current, is made anew without the application."""
        return ride.span is None and self.errands is not None and self.errands.renew(ride, replies)

    def _judge(self, look: Look, replies: Replies) -> tuple[bytes, str, float] | None:
        """The body that is current, its digest, and when it was made; remember the generations under which it is.

        `_NEAR` for one that may have to be made early.
        """
        copy, values = look.copy, replies[1:]
        alone = replies.wires is None  # all of it came from one server process, the one of `run_id`
        if copy is not None and alone:
            known = self._current.get(look.key)
            if known is not None and known == (copy.stamp, values, replies.run_id):
                return copy.value
        hit: Hit | None = self._lane.cache.judge(look, replies, 1)
        if hit is None:
            return None
        if hit.expires - _EARLY * hit.delta <= time.time():
            return _NEAR
        if copy is not None and alone:
            if len(self._current) >= _CURRENT:
                self._current.clear()
            self._current[look.key] = copy.stamp, values, replies.run_id
        return hit.body, hit.digest, hit.made

    def _answer(self, ride: Ride, found: tuple[bytes, str, float], passage: list[int]) -> int:
        """The status that was sent; 0 if nothing could be."""
        body, digest, made = found
        shown = b"" if ride.span is None else b"traceresponse: %b\r\n" % ride.span.response.encode()
        at, remaining, reset = passage
        reset /= 1_000_000
        age, tag = max(0, int(time.time() - made)), digest.encode()
        told = remaining, math.ceil(reset), remaining, math.ceil(at / 1_000_000 + reset), age, tag
        if ride.condition and matches(ride.condition.decode("latin-1"), f'W/"{digest}"'):
            return 304 if ride.connection.answer(304, shown + ride.gate.unchanged % told, b"") else 0
        encoding, encoded = encoding_of(ride.visit.accepts, len(body)), b""
        if encoding is not None:
            body = self._lane.compressed.now(digest, encoding, body)
            encoded = b"content-encoding: %b\r\n" % encoding.encode()
        head = shown + ride.gate.head % (len(body), encoded, *told)
        return 200 if ride.connection.answer(200, head, body) else 0

    async def finish(self, left: Leftover, asked: OperationRequest, request: Request) -> Fast:
        """Answer what was handed on, and `asked` for that operation; raises what `Lane.proceed` raises."""
        return await self._lane.proceed(asked, left.look, left.replies, request)

    def _count(self) -> None:
        """Count an answer; counts are passed to the metrics in batches, a moment later."""
        if not self._served:
            asyncio.get_running_loop().call_later(_COUNTED_EVERY, self._tell)
        self._served += 1

    def _tell(self) -> None:
        served, self._served = self._served, 0
        passed(served)
        self._lane.served(served)

    # --- visits ---

    def notice(self, sight: Sight, media: str, headers: RawHeaders, request: Request, scope: Scope) -> None:
        """Keep what the head of `request` is known for, the second time that one is answered.

        The answer had the type `media` and the `headers`. The `scope` is as it was before anything was executed: what
        resolvers put there is no later request's.
        """
        seen = sight.peer, sight.parts.head, sight.parts.query
        sighting = hash(seen)
        if sighting not in self._seen and not self._eager:
            if len(self._seen) >= _SIGHTINGS:
                self._seen.clear()
            self._seen.add(sighting)
            return
        size = _VISIT + 2 * (len(sight.parts.head) + len(sight.parts.query))
        self._visits.put(seen, Visit(self._lane.entrance.sender(request), media, headers, request, scope), size)

    def _gate(self, visit: Visit, question: Question) -> Gate | None:
        """How the sender is charged; None where the turnstile is not enough."""
        asked = question.asked
        kind = asked.weight, asked.policy.scope
        try:
            return visit.gates[kind]
        except KeyError:
            approach = self._lane.approach(question, visit.sender)
            turnstile = self._lane.turnstile(approach) if approach is not None else None
            gate = None
            if approach is not None and turnstile is not None:
                gate = _gate(visit, approach, turnstile)
            visit.gates[kind] = gate
            return gate


def _is_simple(look: Look) -> bool:
    """Whether one trip is enough, and the answer is not near its end."""
    if look.copy is None:
        return bool(look.tags)  # else this process has never seen it
    return look.copy.expires - _EARLY * look.copy.delta > time.time()


def _gate(visit: Visit, approach: Approach, turnstile: Command) -> Gate:
    lines = visit.lines.replace(b"%", b"%%")
    told = template(approach.charges[0].limit) | control(approach.question.asked.policy.scope, "%b", 0) | {"age": "%d"}
    lines += "".join(f"{name}: {value}\r\n" for name, value in told.items()).encode("latin-1")
    media = b"content-type: %b; charset=utf-8\r\n" % visit.media.encode()
    packed = turnstile._replace(packed=pack(turnstile.args))
    return Gate(packed, media + b"content-length: %d\r\n%b" + lines, media + lines)
