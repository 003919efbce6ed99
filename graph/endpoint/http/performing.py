"""Performs recognised requests (`graph.endpoint.kept.errand`): executes them, and answers over their connection.

The engine executes them as it does any other, for a request with all of its headers; the lane makes the answers that
may be kept. An answer has the headers that the transport would send, in its order.

Failure: what is raised is answered as the transport answers it (`Sending`). One that is cancelled, because the server
has waited for long enough to stop, loses its connection.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from graph.endpoint.execution import blank_response, is_untouched
from graph.endpoint.http.call import NO_STORE, VARY, Call, Sending, status_of
from graph.endpoint.http.security import HEADERS
from graph.endpoint.kept import Arrival, OutdatedAnswer, WantedAnswer, copied, encoding_of
from graph.endpoint.observe import ABORTED, FACTS
from graph.patterns.client import hurry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from starlette.types import Message, Receive, Scope

    from graph.endpoint.execution import Answer, Engine
    from graph.endpoint.kept import Errand, Fast, Lane, RawHeaders, Visit

OK = 200
_LAST = b"%b: %b\r\n%b: %b\r\n" % (*VARY, *NO_STORE)


class Performer:
    """Performs the recognised requests of one endpoint."""

    def __init__(self, engine: Engine[Any], lane: Lane[Any]) -> None:
        """Admit as `lane` does, and execute by `engine`."""
        self._engine = engine
        self._lane = lane
        self._sending = Sending(engine)

    async def __call__(self, errand: Errand) -> None:
        """Perform one."""
        hurry()
        facts: dict[str, Any] = {"operation": errand.work.operation.name}
        outlet = _Outlet(errand)
        request = _LateRequest(errand, facts, outlet.receive)
        call = Call(outlet.receive, outlet.send, request, errand.visit.headers[len(HEADERS) :])
        try:
            await self._sending.through(call, self._perform(errand, call, outlet))
        finally:
            if not outlet.answered:
                errand.connection.abort()
            errand.ended(facts.pop("status", outlet.status), facts)

    async def _perform(self, errand: Errand, call: Call, outlet: _Outlet) -> None:
        visit, request, work = errand.visit, call.request, errand.work
        if isinstance(work, WantedAnswer):
            fast = await self._lane.conclude(work.approach, work.look, errand.replies, request)
            await self._send(errand, call, outlet, fast)
            return
        if isinstance(work, OutdatedAnswer):
            fast = await self._lane.resume(work.approach, work.passage, work.look, errand.replies, request)
            await self._send(errand, call, outlet, fast)
            return
        ready = await self._lane.entrance.admit(work, visit.sender, errand.toll, errand.replies, request)
        answer = await self._engine.run(ready, request, blank_response())
        body = answer.encode()
        if _is_plain(answer) and encoding_of(visit.accepts, len(body)) is None:
            outlet.finish(status_of(visit.media, answer), _head(errand, answer.headers, body) + _LAST, body)
        else:
            await self._sending.answer(call, visit.media, answer)

    async def _send(self, errand: Errand, call: Call, outlet: _Outlet, fast: Fast) -> None:
        """Send an answer that may be kept."""
        body = fast.body
        if body is None or fast.kept or fast.status != OK or encoding_of(errand.visit.accepts, len(body)) is not None:
            await self._sending.fast(call, errand.visit.media, fast, self._lane.compressed)
        else:
            outlet.finish(OK, _head(errand, fast.headers, body), body)


class _LateRequest(Request):
    """The request that resolvers see. Its scope is made once somebody asks for it, which hardly any of them does."""

    def __init__(self, errand: Errand, facts: dict[str, Any], receive: Receive) -> None:
        arrival = Arrival(errand.visit.method, facts)
        vars(self).update(_unread(), _receive=receive, _body=errand.body, arrival=arrival)
        connection = errand.connection
        self._made_of = errand.visit, connection.header_reader(), connection.client, connection.app_state, facts

    def __getattr__(self, name: str) -> Any:
        if name != "scope":
            raise AttributeError(name)
        self.scope = scope = _scope(*self._made_of)
        return scope


@cache
def _unread() -> dict[str, Any]:
    """What a new request is, but for what is its own."""
    return {name: value for name, value in vars(Request({"type": "http"})).items() if name not in {"scope", "_receive"}}


def _scope(
    visit: Visit,
    read: Callable[[], RawHeaders],
    peer: tuple[str, int] | None,
    state: dict[str, Any],
    facts: dict[str, Any],
) -> Scope:
    """The scope of the request, as the application's middleware would leave it.

    But its `state` is that of the lifespan: what an earlier request put there, a loader perhaps, was of that one.
    """
    headers = [(name, visit.host if name == b"host" else value) for name, value in read()]
    scope: Scope = {**copied(visit.scope), "headers": headers, "state": {**state}, FACTS: facts}
    client = scope.get("client")
    if client is not None and peer is not None and client[0] == peer[0] and client[1]:  # no proxy told of another
        scope["client"] = peer
    return scope


def _is_plain(answer: Answer) -> bool:
    """Whether `answer` has no headers but those that tell of limits."""
    response = answer.response
    return answer.executed and response is not None and is_untouched(response)


def _head(errand: Errand, headers: Mapping[str, str], body: bytes) -> bytes:
    """The header lines of an answer with these `headers` of its own, as `Call.answer` would send them."""
    visit = errand.visit
    told = "".join([f"{name}: {value}\r\n" for name, value in headers.items()]).encode("latin-1")
    return b"content-type: %b; charset=utf-8\r\ncontent-length: %d\r\n%b%b" % (
        *(visit.media.encode(), len(body), visit.lines, told),
    )


class _Outlet:
    """What ASGI's `receive` and `send` are for a request that no server has made a scope of."""

    __slots__ = ("_errand", "_head", "answered", "status")

    def __init__(self, errand: Errand) -> None:
        self._errand = errand
        self._head: RawHeaders = []
        self.status = ABORTED
        self.answered = False

    async def receive(self) -> Message:
        """Nothing more comes: the body has been read."""
        return await asyncio.get_running_loop().create_future()

    async def send(self, message: Message) -> None:
        """Send the start of the answer together with its body."""
        if message["type"] == "http.response.start":
            self.status, self._head = message["status"], message["headers"]
        else:
            head = b"".join([b"%b: %b\r\n" % line for line in self._head])
            last = any(name == b"connection" and b"close" in value.lower() for name, value in self._head)
            self.finish(self.status, head, message["body"], last=last)

    def finish(self, status: int, head: bytes, body: bytes, *, last: bool = False) -> None:
        """Send the whole answer, once; the connection ends after the `last` one."""
        if self.answered:
            return
        self._errand.connection.conclude(status, head, body, last=last)
        self.status, self.answered = status, True  # a status that HTTP does not have was refused
