"""What FastAPI sends for a request to `FastGraphQL`: the endpoint's own answer, and what the app sets on responses.

There are three of them. FastAPI's stands for the answer in its dependencies; each operation has one, on which resolvers
set things (the endpoint sends those); and a route class gets the one that is here. The answer is as if all of it had
been set on one, in that order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import Response

from graph.library.serving.contexts import Injected, give

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import Message, Receive, Scope, Send

    from graph.endpoint import GraphQLEndpoint

_OK, _REFUSED = 200, 400
_STATUSES = {*range(201, 600)} - {204, 304}  # which have no body, where an answer has one
_STREAMS = (b"text/event-stream", b"multipart/")
_OF_THE_BODY = {b"content-length", b"content-type", b"content-encoding", b"transfer-encoding"}
_ADDED = {b"set-cookie", b"vary"}
_OWN = 1  # the length of the empty body that it is made with


class EndpointResponse(Response):
    """What FastAPI sends: the endpoint's own answer, with the headers that were set on FastAPI's response by then."""

    def __init__(self, endpoint: GraphQLEndpoint[Any], given: Injected, *, body: bytes | None = None) -> None:
        """Have `endpoint` answer, in the context of what was `given`; `body` is what dependencies have read already."""
        super().__init__()
        self._endpoint = endpoint
        self._given = given
        self._read = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        give(scope, self._given)

        async def with_headers(message: Any) -> None:
            await send(self._told(message) if message["type"] == "http.response.start" else message)

        await self._endpoint(scope, receive if self._read is None else _again(self._read, receive), with_headers)
        if self.background is not None:
            await self.background()

    def _told(self, start: Any) -> Any:
        """The `start` of an answer, with what dependencies, and a route class, have set on FastAPI's responses.

        It is as if all of them had set it on one response, where what was set last counts: what resolvers have set, and
        after them the route class. What the endpoint says by itself gives way, but for the kind and length of a body,
        and for how long a refusal and a stream are kept, which is not what anybody had in mind for an answer.
        """
        before, operations = self._given.response, self._given.responses or []
        if _is_untouched(self, _OWN) and (before is None or _is_untouched(before, 0)):
            return start
        ours: list[tuple[bytes, bytes]] = start["headers"]
        is_stream = dict(ours).get(b"content-type", b"").startswith(_STREAMS)
        status: int = start["status"]
        if status == _OK and not is_stream and not any(one.status_code for one in operations):
            status = next((one.status_code for one in (self, before) if one and one.status_code in _STATUSES), status)
        fixed = {b"cache-control"} if start["status"] >= _REFUSED or is_stream else set[bytes]()
        last = _settable(self, fixed)
        fixed.update(name for name, _ in last)
        fixed.update(name for one in operations for name, _ in one.raw_headers)
        first = _settable(before, fixed) if before is not None else []
        replaced = {name for name, _ in (*first, *last)} - _ADDED
        return {**start, "status": status, "headers": [*first, *(one for one in ours if one[0] not in replaced), *last]}


def _is_untouched(response: Response, headers: int) -> bool:
    return len(response.raw_headers) == headers and response.status_code in {None, _OK}


def _settable(response: Response, fixed: Collection[bytes]) -> list[tuple[bytes, bytes]]:
    """What was set on `response`, but for what tells of a body, and for what is `fixed` already."""
    without = _OF_THE_BODY | ({*fixed} - _ADDED)
    return [one for one in response.raw_headers if one[0] not in without]


def _again(body: bytes, receive: Receive) -> Receive:
    """What receives `body` once more, and then whatever else comes."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return parts.pop() if parts else await receive()

    return received
