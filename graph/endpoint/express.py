"""The fast lane for a request that was seen before, byte for byte, from the same peer.

What the lane derives from a request alone (the operation, who asks, what to ask Redis, most of the answer's head) is
kept as a `_Route` from its second sighting on. The third is recognised by its bytes, before it is parsed. Everything
that can change is asked anew each time, in one batch: session and limit (`graph.patterns.turnstile`), the generations
of the answer's tags. Only the plain outcome is served here: session in use, limit not reached, this process's copy
current and not near its end. Any other is handed on, with the replies if the charge was made, so that nothing is
charged twice and no rule stands twice.

It needs the server's help: the bytes of a request that came in one piece, and an answer written as it is
(`graph.http_protocol` gives both). Under any other server requests take the way of `GraphQLEndpoint`.

Routes hold copies of requests, credentials among them, in memory: at most `ROUTES` of at most `LARGEST` bytes each.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from starlette.requests import Request

from graph.endpoint.admission import template
from graph.endpoint.errors import Refusal
from graph.endpoint.negotiation import accepted
from graph.endpoint.reading import check_head, parse_body
from graph.endpoint.responses import control
from graph.endpoint.security import HEADERS
from graph.endpoint.sink import OperationRequest
from graph.patterns.limiter import passed
from graph.patterns.pending import pack
from graph.patterns.turnstile import Passage, passage

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from graph.endpoint.bounds import Bounds
    from graph.endpoint.observe import Tally
    from graph.endpoint.responses import Approach, Fast, Responses
    from graph.endpoint.security import Origins, Raw
    from graph.patterns.cache_bytes import Look
    from graph.patterns.cache_local import Copy
    from graph.patterns.client import Client
    from graph.patterns.pending import Replies
    from graph.patterns.script import Command

EXCHANGE = "graph.exchange"
"""Where the scope holds the `Exchange`."""
EXPRESS = "graph.express"
"""Where the lifespan's state holds the `Express` for the server to ask."""
ROUTES = 8192
"""One takes about 4 KB, and as much as its request."""
LARGEST = 8192
"""Bytes of a request, head and body."""
_TURNS = 8
"""Routes that are looked at for one that nobody took lately, to make room for a new one."""
_SIGHTINGS = 8192
_COUNTED_EVERY = 0.05
_EARLY = 40.0
"""Early refresh by lot is none of this module's business: the chance at this many `delta` before the end is e^-40."""

_log = logging.getLogger(__name__)

Sight: TypeAlias = "tuple[str, bytes]"
"""A request as it is recognised: the peer's address and all of its bytes."""


class Exchange(Protocol):
    """One HTTP exchange of the server underneath, as the application sees it."""

    sight: Sight | None
    """The request, if it came in one piece over a connection that stays."""
    left: Leftover | None
    """What has been done about it already."""

    def attend(self, left: Callable[[], None] | None) -> bool:
        """Call `left` (in place of what was to be called before) when the client goes; False if it has gone."""
        ...


class Connection(Protocol):
    """The connection that a recognised request came over."""

    def answer(self, head: bytes, body: bytes) -> bool:
        """Send an answer with status 200, whose header lines are `head`; False: not this way, nothing was sent."""
        ...

    def hand_on(self, left: Leftover | None) -> bool:
        """Let the application have the request, with what was done about it; False: the client has gone."""
        ...


class Leftover(NamedTuple):
    """A request that was charged, but is not answered yet: its replies had another outcome than the plain one."""

    media: str
    approach: Approach
    passage: Passage
    look: Look
    replies: Replies


class _Route:
    """What is known of a request beforehand."""

    __slots__ = ("address", "approach", "commands", "copy", "cors", "head", "look", "media", "run_id", "used", "values")

    def __init__(self, media: str, approach: Approach, turnstile: Command, cors: Raw, address: str) -> None:
        self.media = media
        self.approach = approach
        self.commands: tuple[Command, ...] = (turnstile,)
        self.cors = cors
        self.address = address
        self.copy: Copy | None = None
        self.look: Look | None = None
        self.head = b""
        self.values: list[bytes | None] | None = None  # the generations under which `copy` was found current
        self.run_id = b""
        self.used = False  # since somebody looked for a route to forget


class _Ride:
    """A request under way: takes the replies to its batch."""

    __slots__ = ("_began", "_connection", "_express", "_route")

    def __init__(self, express: Express, route: _Route, connection: Connection) -> None:
        self._express = express
        self._route = route
        self._connection = connection
        self._began = time.perf_counter()

    def done(self) -> bool:
        return False

    def set_result(self, replies: Replies) -> None:
        self._express.arrive(self._route, self._connection, replies, self._began)


class Express:
    """The routes of one endpoint."""

    def __init__(
        self,
        lane: Responses[Any],
        client: Client,
        bounds: Bounds,
        origins: Origins,
        *,
        eager: bool = False,
    ) -> None:
        """Serve what `lane` would, to requests within `bounds`; `origins` are told what CORS wants.

        With `eager` a request has its route from the first sighting on. `tally`, once it is set, hears of each answer.
        """
        self._lane = lane
        self._client = client
        self._bounds = bounds
        self._origins = origins
        self.tally: Tally | None = None
        self._routes: dict[Sight, _Route] = {}
        self._seen: set[int] = set()
        self._eager = eager
        self._served = 0

    def take(self, sight: Sight, connection: Connection) -> bool:
        """Take over the request `sight`: it will be answered, or handed on, over `connection`. False: not known."""
        route = self._routes.get(sight)
        if route is None:
            return False
        route.used = True
        lane, approach = self._lane, route.approach
        now = time.time()
        copy = lane.cache.copy(approach.key, now)
        if copy is None or copy.expires - _EARLY * copy.delta <= now or lane.refused(approach):
            return False
        if copy is not route.copy and not self._renew(route, copy):
            return False
        if self.tally is not None:
            self.tally.begin()
        self._client.deliver(_Ride(self, route, connection), *route.commands)
        return True

    def arrive(self, route: _Route, connection: Connection, replies: Replies, began: float) -> None:
        """Answer, or hand on, the request of `route` whose batch has come back."""
        status = 0
        try:
            passed = replies[0]
            if passed.__class__ is not list:  # nothing was charged; or it may have been, and the connection broke
                connection.hand_on(None)
            elif self._current(route, replies) and self._answer(route, connection, passed):
                self._count()
                status = 200
            elif not connection.hand_on(self._leftover(route, replies)):
                status = 499
        except Exception:  # noqa: BLE001 - whatever it is, the other replies are none of its business
            _log.exception("an answer that was ready could not be sent")
            connection.hand_on(None)
        if self.tally is not None:
            self.tally.end(status, began, route.address, route.approach.asked.operation.name)

    def _current(self, route: _Route, replies: Replies) -> bool:
        """Whether the route's copy is current; remember the generations under which it is."""
        if replies.wires is not None:
            return False
        values = replies[1]
        if values == route.values and replies.run_id == route.run_id:
            return True
        assert route.look is not None
        if not isinstance(values, list) or self._lane.cache.judge(route.look, replies, 1) is None:
            return False
        route.values, route.run_id = values, replies.run_id
        return True

    def _answer(self, route: _Route, connection: Connection, passed: list[int]) -> bool:
        copy = route.copy
        assert copy is not None
        at, remaining, reset = passed
        reset /= 1_000_000
        age = max(0, int(time.time() - copy.value[2]))
        head = route.head % (remaining, math.ceil(reset), remaining, math.ceil(at / 1_000_000 + reset), age)
        return connection.answer(head, copy.value[0])

    def _leftover(self, route: _Route, replies: Replies) -> Leftover:
        charge = passage(replies[0])
        assert charge is not None
        assert route.look is not None
        return Leftover(route.media, route.approach, charge, route.look, replies)

    async def finish(self, left: Leftover, request: Request) -> Fast:
        """Answer what was handed on after its charge; raises what `Responses.proceed` raises."""
        return await self._lane.proceed(left.approach, left.passage, left.look, left.replies, request)

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

    async def notice(self, sight: Sight, scope: Scope, body: bytes) -> None:
        """Make a route of what is sent for the second time."""
        sighting = hash(sight)
        if sighting not in self._seen and not self._eager:
            if len(self._seen) >= _SIGHTINGS:
                self._seen.clear()
            self._seen.add(sighting)
            return
        if sight in self._routes or len(sight[1]) > LARGEST or not self._make_room():
            return
        route = await self._route(scope, body)
        if route is not None:
            self._routes[sight] = route

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

    async def _route(self, scope: Scope, body: bytes) -> _Route | None:
        request = Request(scope)
        media = accepted(request.headers.get("accept")).json
        if media is None:
            return None
        try:
            check_head(request.headers, self._bounds)
            asked = parse_body(body, self._bounds)
        except Refusal:
            return None
        if not isinstance(asked, OperationRequest) or asked.query is None or asked.extensions or asked.document_id:
            return None
        found = await self._lane.find(asked)
        approach = self._lane.approach(found, asked, request) if found is not None else None
        turnstile = self._lane.turnstile(approach) if approach is not None else None
        if approach is None or turnstile is None:
            return None
        client = scope.get("client")
        cors = self._origins.headers(request.headers)
        return _Route(media, approach, _packed(turnstile), cors, client[0] if client else "")

    def _renew(self, route: _Route, copy: Copy) -> bool:
        """Prepare to serve `copy`."""
        approach = route.approach
        look = self._lane.cache.look(approach.key)
        if len(look.commands) != 1 or look.copy is not copy:
            return False
        body, digest, _ = copy.value
        fixed = [
            (b"content-type", b"%b; charset=utf-8" % route.media.encode()),
            (b"content-length", b"%d" % len(body)),
            *HEADERS,
            *route.cors,
        ]
        head = b"".join(b"%b: %b\r\n" % line for line in fixed).replace(b"%", b"%%")
        told = control(approach.asked.policy.scope, digest, 0) | {"age": "%d"}
        rest = "".join(f"{name}: {value}\r\n" for name, value in (template(approach.charge.limit) | told).items())
        route.head = head + rest.encode("latin-1")
        route.commands = (route.commands[0], _packed(look.commands[0]))
        route.look, route.copy, route.values = look, copy, None
        return True


def _packed(one: Command) -> Command:
    return one._replace(packed=pack(one.args))
