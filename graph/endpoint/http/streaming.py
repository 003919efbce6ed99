"""Answers over a long HTTP response: GraphQL over SSE (distinct connections), multipart subscriptions, pieces.

One response carries one operation. What differs between the two is in a `Framing` (`framings`); what is the same is
here: the operation is admitted before the first byte, so that a refusal by status is an ordinary answer (429
with Retry-After); a slow client has a bounded queue; a quiet line is kept alive; the end of the session
ends the response; a client that goes away is no error.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from graph.endpoint.execution import Answer, blank_response
from graph.endpoint.http.call import run_background, set_headers
from graph.endpoint.http.framings import MultipartPieces
from graph.endpoint.http.negotiation import EVENT_STREAM, JSON, accepted
from graph.endpoint.http.security import HEADERS
from graph.endpoint.subscriptions import Backlog, Outlet, errors_json, resumed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.responses import Response
    from starlette.types import Message, Receive

    from graph.endpoint.admission import Ticket
    from graph.endpoint.execution import Ready
    from graph.endpoint.http.call import Call
    from graph.endpoint.http.negotiation import Acceptable, PiecesMedia
    from graph.endpoint.identity import Authenticator
    from graph.endpoint.subscriptions import Follow, Streams

_BAD_REQUEST = 400


class Framing(Protocol):
    """How results stand in the body."""

    content_type: bytes
    cache_control: bytes
    has_status: bool
    """Whether the status that a resolver set is that of the response; 200 otherwise."""
    opening: bytes
    """Sent at once, so that the client sees the response begin."""
    idle: bytes
    """Sent while nothing happens; empty for nothing."""

    def next(self, payload: str, cursor: str | None) -> bytes:
        """A result."""
        ...

    def error(self, errors: str, extensions: str = "") -> bytes:
        """The errors that end the operation, and the `extensions` of its last result."""
        ...

    def complete(self) -> bytes:
        """The end."""
        ...


class HttpStreaming:
    """Streams operations over HTTP."""

    def __init__(
        self,
        streams: Streams[Any],
        authenticator: Authenticator,
        framings: Mapping[str, Framing],
        *,
        keep_alive: float = 12.0,
        queue: int = 100,
        as_strawberry: bool = False,
    ) -> None:
        """Frame each media type by its entry in `framings`.

        `keep_alive` is the seconds between two signs of life on a quiet line, `queue` how many results may wait for a
        slow client. Responses are as those of Strawberry's views where `as_strawberry` says so: pieces in its format
        for who takes any, and server-sent events that begin before their operation is executed.
        """
        self._streams = streams
        self._authenticator = authenticator
        self._framings = framings
        self.media = tuple(framings)
        """The media types that it has frames for."""
        self._keep_alive = keep_alive
        self._queue = queue
        self._as_strawberry = as_strawberry

    def accepted(self, accept: str | None) -> Acceptable:
        """What a client takes of what there is here."""
        return accepted(accept, self.media, as_strawberry=self._as_strawberry)

    async def stream(self, media: str, ready: Ready, call: Call) -> None:
        """Send the whole response of type `media`, or an ordinary one with a refusal."""
        engine = self._streams.engine
        last = call.request.headers.get("last-event-id") if media == EVENT_STREAM else None
        if last:
            ready = await resumed(engine, ready, last)
        framing = self._framings[media]
        if not ready.stands and media == EVENT_STREAM and self._as_strawberry:
            response = blank_response()
            await self._follow(ready, self._streams.answering(ready, call.request, response), framing, call, response)
            return
        if not ready.stands:
            answer = await engine.run(ready, call.request, blank_response(), streamed=True)
            if answer.executed:
                await _send_whole(answer, framing, call)
            else:
                await self.refuse(answer, media, call)
            return
        admitted = await self._streams.admit(ready, call.request)
        if isinstance(admitted, Answer):
            await self.refuse(admitted, media, call)
            return
        engine.monitor.stands(ready)
        await self._follow(ready, admitted, framing, call)

    async def pieces(self, wanted: PiecesMedia, ready: Ready, call: Call) -> Answer | None:
        """Send the answer to `ready` in pieces, as it is `wanted`; an answer that comes whole is returned."""
        framing = self._framings[EVENT_STREAM] if wanted.media == EVENT_STREAM else MultipartPieces(wanted.content_type)
        response = blank_response()
        admitted = await self._streams.in_pieces(ready, call.request, response, wanted.form)
        if not isinstance(admitted, Answer):
            await self._follow(ready, admitted, framing, call, response)
            return None
        if self.accepted(call.request.headers.get("accept")).whole is not None:
            return admitted
        if admitted.executed:
            await _send_whole(admitted, framing, call)
        else:
            await self.refuse(admitted, wanted.media, call)
        return None

    async def refuse(self, answer: Answer, media: str, call: Call) -> None:
        """Send a refusal from before anything ran.

        An EventSource sees nothing of a response that is not 200, so the protocol wants what a document is refused
        for in a ``next`` event. A refusal with a status of its own (429 and its Retry-After) is an ordinary answer.
        """
        if media != EVENT_STREAM or answer.status is not None:
            accept = self.accepted(call.request.headers.get("accept"))
            told = () if answer.response is None else (answer.response,)
            media, status = accept.json or JSON, answer.status or _BAD_REQUEST
            await call.answer(media, status, answer.encode(), answer.headers, *told)
            return
        await _send_whole(answer, self._framings[media], call)

    async def _follow(
        self, ready: Ready, follow: Follow, framing: Framing, call: Call, response: Response | None = None
    ) -> None:
        outlet = Outlet(call.send)
        sink = _Response(outlet, framing, self._queue, self._keep_alive)
        try:
            await call.send(_start(framing, ready.ticket, call, response))
        except BaseException:
            follow(sink)()  # end the admitted subscription, too
            raise
        sink.open()
        unwatch = self._authenticator.watch(ready.ticket.caller, sink.session_ended)
        leave = follow(sink)
        gone = asyncio.create_task(_gone(call.receive))
        finishing = asyncio.create_task(sink.finish())
        try:
            await asyncio.wait({gone, finishing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leave()
            unwatch()
            sink.stop()
            for task in (gone, finishing):
                task.cancel()
            await asyncio.wait({gone, finishing})
            await outlet.close()
            await run_background([response] if response is not None else [])


class _Response(Backlog):
    """The `Sink` of one response."""

    def __init__(self, outlet: Outlet, framing: Framing, limit: int, keep_alive: float) -> None:
        super().__init__(outlet, limit)
        self._framing = framing
        self._keep_alive = keep_alive
        self._finished = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    # --- Sink ---

    def next(self, payload: str, cursor: str | None = None) -> None:
        """Send a result now, or queue it while the client is slow."""
        if not self._ended:
            self.result(_body(self._framing.next(payload, cursor)), cursor)

    def error(self, errors: str, extensions: str = "") -> None:
        """Send the errors and end."""
        self._last(self._framing.error(errors, extensions))

    def complete(self) -> None:
        """End."""
        self._last(self._framing.complete())

    def session_ended(self) -> None:
        """End because the caller's session has."""
        self.error(errors_json("UNAUTHENTICATED", "The session has ended"))

    # --- sending ---

    def open(self) -> None:
        """Begin the body."""
        self.say(_body(self._framing.opening))
        self._stay_alive()

    def stop(self) -> None:
        """Stop keeping the line alive, and take nothing more."""
        self._ended = True
        self._finished.set()
        if self._timer is not None:
            self._timer.cancel()

    async def finish(self) -> None:
        """Wait for the end of the operation and end the body with it."""
        await self._finished.wait()
        await self._outlet.send({"type": "http.response.body", "body": b"", "more_body": False})

    def _last(self, frame: bytes) -> None:
        if not self._ended:
            self.say(_body(frame))
            self.stop()

    def _stay_alive(self) -> None:
        if self._timer is not None and self._framing.idle:
            self._outlet.offer(_body(self._framing.idle))  # not needed while the line is busy
        self._timer = self._loop.call_later(self._keep_alive, self._stay_alive)


def _body(frame: bytes) -> Message:
    return {"type": "http.response.body", "body": frame, "more_body": True}


async def _send_whole(answer: Answer, framing: Framing, call: Call) -> None:
    """Send one result and the end."""
    body = framing.opening + framing.next(answer.encode().decode(), None) + framing.complete()
    await call.send(_start(framing, answer.ticket, call, answer.response))
    await call.send({"type": "http.response.body", "body": body})
    await run_background([answer.response] if answer.response is not None else [])


def _start(framing: Framing, ticket: Ticket | None, call: Call, response: Response | None = None) -> Message:
    told = ticket.headers if ticket is not None else {}
    raw = [
        (b"content-type", framing.content_type),
        (b"cache-control", framing.cache_control),
        (b"x-accel-buffering", b"no"),  # nginx would hold the events back
        (b"vary", b"Accept, Origin"),
        *HEADERS,
        *call.cors,
        *((name.encode(), value.encode("latin-1")) for name, value in told.items()),
        *(set_headers(response) if response is not None else ()),
    ]
    status = (response.status_code if response is not None and framing.has_status else None) or 200
    return {"type": "http.response.start", "status": status, "headers": raw}


async def _gone(receive: Receive) -> None:
    """Wait until the client goes away."""
    while (await receive())["type"] != "http.disconnect":
        pass
