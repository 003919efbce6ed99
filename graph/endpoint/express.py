"""The fast lane for a request that was seen before, byte for byte, from the same address.

What the lane derives from a request alone (the operation, who asks, what to ask Redis, most of the answer's head) is
kept as a `_Route` from its second sighting on; the third costs a look-up. Everything that can change is asked anew each
time, in the lane's own batch: the session, the limit, the generations of the answer's tags. Only the plain outcome is
served here (session alive, limit not reached, this process's copy current and not near its end); any other goes back
to `Responses.conclude` with the replies, so that nothing is charged twice and no rule stands twice.

It needs the server's help: a whole body without waiting, and a head written as it is (`Exchange`, which
`graph.http_protocol` offers in the scope). Under any other server requests take the way of `GraphQLEndpoint`.

Routes hold copies of requests, credentials among them, in memory: at most `ROUTES` of at most `LARGEST` bytes each.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from starlette.requests import Request

from graph.endpoint.admission import template
from graph.endpoint.errors import Refusal
from graph.endpoint.negotiation import accepted
from graph.endpoint.observe import annotate
from graph.endpoint.reading import check_head, parse_body
from graph.endpoint.responses import control
from graph.endpoint.security import HEADERS
from graph.endpoint.sink import OperationRequest
from graph.patterns.limiter import passed
from graph.patterns.pending import pack

if TYPE_CHECKING:
    from starlette.types import Scope

    from graph.endpoint.bounds import Bounds
    from graph.endpoint.responses import Approach, Fast, Responses
    from graph.endpoint.security import Origins, Raw
    from graph.patterns.cache_bytes import Look
    from graph.patterns.cache_local import Copy
    from graph.patterns.client import Client
    from graph.patterns.pending import Replies
    from graph.patterns.script import Command

EXCHANGE = "graph.exchange"
"""Where the scope holds the `Exchange`."""
ROUTES = 1024
LARGEST = 8192
"""Bytes of a body, and of all headers together."""
_SIGHTINGS = 8192
_COUNTED_EVERY = 0.05
_EARLY = 40.0
"""Early refresh by lot is none of this module's business: the chance at this many `delta` before the end is e^-40."""


class Exchange(Protocol):
    """One HTTP exchange of the server underneath."""

    def whole_body(self) -> bytes | None:
        """The body, if it has come completely; it is not taken away."""
        ...

    def answer(self, head: bytes, body: bytes) -> bool:
        """Send an answer with status 200, whose header lines are `head`; False: not this way, nothing was sent."""
        ...


class Leftover(NamedTuple):
    """A request whose batch came back with another outcome than the plain one; the media type and the lane's answer."""

    media: str
    fast: Fast
    request: Request


class _Route:
    """What is known of a request beforehand."""

    __slots__ = ("approach", "commands", "copy", "cors", "head", "look", "media", "run_id", "values")

    def __init__(self, media: str, approach: Approach, cors: Raw) -> None:
        self.media = media
        self.approach = approach
        self.cors = cors
        self.copy: Copy | None = None
        self.look: Look | None = None
        self.commands: tuple[Command, ...] = ()
        self.head = b""
        self.values: list[bytes | None] | None = None  # the generations under which `copy` was found current
        self.run_id = b""


class Express:
    """The routes of one endpoint."""

    def __init__(
        self, lane: Responses[Any], client: Client, bounds: Bounds, origins: Origins, *, eager: bool = False
    ) -> None:
        """Serve what `lane` would, to requests within `bounds`; `origins` are told what CORS wants.

        With `eager` a request has its route from the first sighting on.
        """
        self._lane = lane
        self._client = client
        self._bounds = bounds
        self._origins = origins
        self._routes: dict[Any, _Route] = {}
        self._seen: set[int] = set()
        self._eager = eager
        self._served = 0

    async def serve(self, scope: Scope, exchange: Exchange) -> Leftover | bool:
        """Answer the POST of `scope` and say True; False: nothing was done; or what the lane made of it.

        Raises what `Responses.conclude` raises.
        """
        body = exchange.whole_body()
        if body is None:
            return False
        client = scope["client"]
        key = (client[0] if client else "", body, tuple(scope["headers"]))
        route = self._routes.get(key)
        if route is None:
            await self._notice(key, scope, body)
            return False
        lane, approach = self._lane, route.approach
        now = time.time()
        copy = lane.cache.copy(approach.key, now)
        if copy is None or copy.expires - _EARLY * copy.delta <= now or lane.refused(approach):
            return False
        if copy is not route.copy and not self._renew(route, copy):
            return False
        replies = await self._client.batch(*route.commands)
        verdict = replies[-2]
        if (
            replies[-1] == route.values
            and replies.run_id == route.run_id
            and replies.wires is None
            and verdict.__class__ is list
            and verdict[0]  # the session that guards the charge exists
            and verdict[2]
            and not isinstance(replies[0], Exception)
        ):
            _, at, _, remaining, reset, _ = verdict
            reset /= 1_000_000
            age = max(0, int(time.time() - copy.value[2]))
            head = route.head % (remaining, math.ceil(reset), remaining, math.ceil(at / 1_000_000 + reset), age)
            if exchange.answer(head, copy.value[0]):
                self._count()
                annotate(scope, status=200, operation=approach.asked.operation.name, cache="hit")
                return True
        request = Request(scope)
        assert route.look is not None
        fast = await lane.conclude(approach, route.look, replies, request)
        self._learn(route, replies)
        return Leftover(route.media, fast, request)

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

    async def _notice(self, key: Any, scope: Scope, body: bytes) -> None:
        """Make a route of what is sent for the second time."""
        sighting = hash(key)
        if sighting not in self._seen and not self._eager:
            if len(self._seen) >= _SIGHTINGS:
                self._seen.clear()
            self._seen.add(sighting)
            return
        if len(body) + sum(len(name) + len(value) for name, value in scope["headers"]) > LARGEST:
            return
        route = await self._route(scope, body)
        if route is not None:
            if len(self._routes) >= ROUTES:
                del self._routes[next(iter(self._routes))]
            self._routes[key] = route

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
        if approach is None:
            return None
        approach = approach._replace(commands=tuple(map(_packed, approach.commands)))
        return _Route(media, approach, self._origins.headers(request.headers))

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
        route.commands = (*approach.commands, _packed(look.commands[0]))
        route.look, route.copy, route.values = look, copy, None
        return True

    def _learn(self, route: _Route, replies: Replies) -> None:
        """Remember the generations under which the route's copy is current, if it is."""
        assert route.look is not None
        sure = replies.wires is None and isinstance(replies[-1], list)
        if sure and self._lane.cache.judge(route.look, replies, len(replies) - 1) is not None:
            route.values, route.run_id = replies[-1], replies.run_id


def _packed(one: Command) -> Command:
    return one._replace(packed=pack(one.args))
