"""The fast lane for a request that was seen before, byte for byte, from the same peer.

What the lane derives from a request alone (who asks, what to ask Redis, most of the answer's head) is kept as a
`Route` once it has answered the request twice. The third is recognised by its bytes, before it is parsed. Everything
that can change is asked anew each time, in one batch: session and limit (`graph.patterns.limiter.turnstile`), the
generations of the answer's tags. Only the plain outcome is served here: session in use, limit not reached, this
process's copy current and not near its end. Any other is handed on, with the replies if the charge was or may have been
made, so that nothing is charged twice and no rule stands twice.

It needs the server's help: the bytes of a request that came in one piece, and an answer written as it is
(`graph.server.http_express` gives both). Under any other server requests take the way of `GraphQLEndpoint`.

Routes hold copies of requests, credentials among them, in memory: at most `ROUTES` of at most `LARGEST` bytes each.
They keep neither answers nor documents alive: those have bounds of their own.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any

from graph.endpoint.admission import template
from graph.endpoint.kept.approach import control
from graph.endpoint.kept.compression import encoding_of
from graph.endpoint.kept.route import Leftover, ReadyAnswer, Route
from graph.endpoint.observe import ABORTED
from graph.patterns.cache import Look
from graph.patterns.client import OutcomeUnknown, pack
from graph.patterns.limiter import passed

if TYPE_CHECKING:
    from starlette.requests import Request

    from graph.endpoint.document import OperationRequest
    from graph.endpoint.kept.approach import Approach, Fast
    from graph.endpoint.kept.lane import Lane
    from graph.endpoint.kept.route import Connection, Raw, Sight
    from graph.endpoint.observe import Tally
    from graph.patterns.cache import Copy
    from graph.patterns.client import Client, Command, Replies

EXPRESS = "graph.express"
"""Where the lifespan's state holds the `Express` for the server to ask."""
ROUTES = 8192
"""One takes about 3 KB, and as much as its request."""
LARGEST = 8192
"""Bytes of a request, head and body."""
_TURNS = 8
"""Routes that are looked at for one that nobody took lately, to make room for a new one."""
_SIGHTINGS = 8192
_COUNTED_EVERY = 0.05
_EARLY = 40.0
"""Early refresh by lot is none of this module's business: the chance at this many `delta` before the end is e^-40."""

_log = logging.getLogger(__name__)


class _Ride:
    """A request under way: takes the replies to its batch."""

    __slots__ = ("_express", "began", "connection", "copy", "ready", "route")

    def __init__(self, express: Express, route: Route, ready: ReadyAnswer, copy: Copy, connection: Connection) -> None:
        self._express = express
        self.route = route
        self.ready = ready
        self.copy = copy
        self.connection = connection
        self.began = time.perf_counter()

    def done(self) -> bool:
        return False

    def set_result(self, replies: Replies) -> None:
        self._express.arrive(self, replies)


class Express:
    """The routes of one endpoint."""

    def __init__(self, lane: Lane[Any], client: Client, *, tally: Tally | None = None, eager: bool = False) -> None:
        """Serve what `lane` would; `tally` hears of each answer.

        With `eager` a request has its route from the first sighting on.
        """
        self._lane = lane
        self._client = client
        self._tally = tally
        self._routes: dict[Sight, Route] = {}
        self._seen: set[int] = set()
        self._eager = eager
        self._served = 0

    def take(self, sight: Sight, connection: Connection) -> bool:
        """Take over the request `sight`: it will be answered, or handed on, over `connection`. False: not known."""
        route = self._routes.get(sight)
        if route is None:
            return False
        route.used = True
        now = time.time()
        copy = self._lane.cache.copy(route.key, now)
        if copy is None or copy.expires - _EARLY * copy.delta <= now or self._lane.refused(route.caller):
            return False
        ready = route.ready
        if ready is None or ready.stamp != copy.stamp or ready.digest != copy.value[1]:
            ready = route.ready = self._prepare(route, copy)
        if self._tally is not None:
            self._tally.begin()
        self._client.deliver(_Ride(self, route, ready, copy, connection), *ready.commands)
        return True

    def arrive(self, ride: _Ride, replies: Replies) -> None:
        """Answer, or hand on, the request whose batch has come back."""
        try:
            status = self._settle(ride, replies)
        except Exception:  # noqa: BLE001 - whatever it is, the other replies are none of its business
            _log.exception("a request that was recognised could not be handed on")
            ride.connection.abort()
            status = ABORTED
        if self._tally is not None:
            self._tally.end(status, ride.began, ride.route.peer, ride.route.operation)

    def _settle(self, ride: _Ride, replies: Replies) -> int:
        """The status that was answered; 0 if the request was handed on."""
        reply = replies[0]
        kind = reply.__class__
        if kind is list:
            try:
                answered = self._current(ride, replies) and self._answer(ride, reply)
            except Exception:  # noqa: BLE001 - the charge was made: the application answers for it
                _log.exception("an answer that was ready could not be sent")
                answered = False
            if answered:
                self._count()
                return 200
        charged = kind is list or kind is OutcomeUnknown  # else there was more to do, or nothing could be done
        left = Leftover(ride.route.media, self._look(ride), replies) if charged else None
        if ride.connection.hand_on(left):
            return 0
        if kind is list:
            passed(1)  # nobody else will count it
        return ABORTED

    def _current(self, ride: _Ride, replies: Replies) -> bool:
        """Whether the copy is current; remember the generations under which it is."""
        ready, values = ride.ready, replies[1:]
        alone = replies.wires is None  # all of it came from one server process, the one of `run_id`
        if alone and values == ready.values and replies.run_id == ready.run_id:
            return True
        if self._lane.cache.judge(self._look(ride), replies, 1) is None:
            return False
        if alone:
            ready.values, ready.run_id = values, replies.run_id
        return True

    @staticmethod
    def _look(ride: _Ride) -> Look:
        return Look(ride.route.key, ride.copy, ride.copy.tags, ride.ready.commands[1:])

    def _answer(self, ride: _Ride, passage: list[int]) -> bool:
        body, digest, made = ride.copy.value
        if ride.ready.encoding is not None:
            body = self._lane.compressed.now(digest, ride.ready.encoding, body)
        at, remaining, reset = passage
        reset /= 1_000_000
        age = max(0, int(time.time() - made))
        head = ride.ready.head % (remaining, math.ceil(reset), remaining, math.ceil(at / 1_000_000 + reset), age)
        return ride.connection.answer(head, body)

    async def finish(self, left: Leftover, asked: OperationRequest, request: Request) -> Fast:
        """Answer what was handed on, and `asked` for that operation; raises what `Lane.proceed` raises."""
        return await self._lane.proceed(asked, left.look, left.replies, request)

    def _count(self) -> None:
        """Count an answer; the metrics hear of it a moment later, of many at once."""
        if not self._served:
            asyncio.get_running_loop().call_later(_COUNTED_EVERY, self._tell)
        self._served += 1

    def _tell(self) -> None:
        served, self._served = self._served, 0
        passed(served)
        self._lane.served(served)

    # --- routes ---

    def notice(
        self, sight: Sight, approach: Approach, media: str, headers: Raw, *, peer: str, accepts: str | None = None
    ) -> None:
        """Make a route of what the lane has answered for the second time.

        It was `approach`, the answer had the type `media` and the `headers`, the access log calls the client `peer`,
        and it `accepts` these encodings.
        """
        sighting = hash(sight)
        if sighting not in self._seen and not self._eager:
            if len(self._seen) >= _SIGHTINGS:
                self._seen.clear()
            self._seen.add(sighting)
            return
        asked = approach.request
        if sight in self._routes or len(sight[1]) > LARGEST or asked.query is None or asked.extensions:
            return
        turnstile = self._lane.turnstile(approach)
        if turnstile is not None and self._make_room():
            self._routes[sight] = Route(approach, _packed(turnstile), media, headers, peer=peer, accepts=accepts)

    def _make_room(self) -> bool:
        """Forget a route that was not taken for a whole round (CLOCK); False where all seen just now were."""
        routes = self._routes
        if len(routes) < ROUTES:
            return True
        for _ in range(_TURNS):
            sight = next(iter(routes))
            route = routes.pop(sight)
            if not route.used:
                return True
            route.used = False
            routes[sight] = route
        return False

    def _prepare(self, route: Route, copy: Copy) -> ReadyAnswer:
        """Prepare to serve `copy`."""
        body, digest, _ = copy.value
        encoding = encoding_of(route.accepts, len(body))
        if encoding is not None:
            body = self._lane.compressed.now(digest, encoding, body)
        fixed = [
            (b"content-type", b"%b; charset=utf-8" % route.media.encode()),
            (b"content-length", b"%d" % len(body)),
            *([(b"content-encoding", encoding.encode())] if encoding is not None else []),
            *route.headers,
        ]
        head = b"".join(b"%b: %b\r\n" % line for line in fixed).replace(b"%", b"%%")
        told = template(route.limit) | control(route.scope, digest, 0) | {"age": "%d"}
        head += "".join(f"{name}: {value}\r\n" for name, value in told.items()).encode("latin-1")
        asking = self._lane.cache.look_at(route.key, copy).commands
        return ReadyAnswer(copy, (route.turnstile, *map(_packed, asking)), head, encoding)


def _packed(one: Command) -> Command:
    return one._replace(packed=pack(one.args))
