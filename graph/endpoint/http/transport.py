"""GraphQL over HTTP: reads a request, has its operations run, and sends the answer.

It follows the GraphQL-over-HTTP specification as the audits of npm `graphql-http` read it. Every answer is JSON, every
refusal has an ``extensions.code``, nothing a client sends makes a 5xx. A subscription, or any operation from a client
that accepts nothing but a stream, is handed to `streaming`.

Failure: whatever fails unexpectedly is logged under an id and answered 500 with that id. A client that goes away is
not an error; its queries end with it (`presence`). While Redis is away a request whose session must be checked is
answered 503, any other is served.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from graphql import OperationType
from starlette.requests import Request

from graph.endpoint.admission import over_limit
from graph.endpoint.document import Allowance, OperationRequest
from graph.endpoint.errors import Refusal
from graph.endpoint.execution import RUNNABLE, Answer, Deadlines, Ready, blank_response
from graph.endpoint.http.call import Call, Sending
from graph.endpoint.http.exchange import EXCHANGE, read_before
from graph.endpoint.http.form import is_form
from graph.endpoint.http.negotiation import JSON, Acceptable, accepted, need_some
from graph.endpoint.http.presence import presence
from graph.endpoint.http.request import parse_body, parse_query_string, read_body
from graph.endpoint.http.security import HEADERS, METHODS
from graph.endpoint.http.uploads import Spool, UploadForm
from graph.endpoint.identity import begin_batch
from graph.endpoint.kept import copied
from graph.endpoint.observe import annotate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from graph.endpoint.execution import Engine
    from graph.endpoint.http.exchange import ServerExchange
    from graph.endpoint.http.security import Origins
    from graph.endpoint.http.streaming import HttpStreaming
    from graph.endpoint.identity import Authenticator, Caller
    from graph.endpoint.kept import Express, Fast, Lane

_STREAMED = frozenset({OperationType.SUBSCRIPTION})
_BY_GET = _STREAMED | {OperationType.QUERY}
_BY_POST = _STREAMED | RUNNABLE


class HttpTransport:
    """Serves HTTP requests as an ASGI application."""

    def __init__(
        self,
        engine: Engine[Any],
        authenticator: Authenticator,
        *,
        origins: Origins,
        page: Callable[[Request], Response | None] = lambda _: None,
        streaming: HttpStreaming | None = None,
        lane: Lane[Any] | None = None,
        express: Express | None = None,
        uploads: bool = False,
    ) -> None:
        """Run operations with `engine`, as the callers that `authenticator` finds.

        `page` may answer a GET or HEAD from a browser; `origins` may use the endpoint from their own pages (CORS).
        Without `streaming` no subscription is served; `lane` and `express` answer what was kept. With `uploads`
        operations may come in a form, with files.
        """
        self._engine = engine
        self._bounds = engine.operations.bounds
        self._bodies = Deadlines(self._bounds.body_timeout)
        self._sending = Sending(engine)
        self._authenticator = authenticator
        self._origins = origins
        self._page = page
        self._streaming = streaming
        self._accepted = streaming.accepted if streaming is not None else partial(accepted, streams=())
        self._lane = lane
        self._express = express
        self._executing = express if express is not None and express.errands is not None else None
        self._spool = Spool(self._bounds.spool) if uploads else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive, send)
        exchange: ServerExchange | None = scope.get(EXCHANGE)
        begun = exchange.span if exchange is not None else None
        with self._engine.monitor.tracing.begin(request.headers, begun) as span:
            told = [] if span is None else [(b"traceresponse", span.response.encode())]
            call = Call(receive, send, request, self._origins.headers(request.headers), told)
            if exchange is not None and exchange.sight is not None and self._express is not None:
                call.arrived.update(copied(scope))
            await self._sending.through(call, self._call(call))

    async def _call(self, call: Call) -> None:
        exchange: ServerExchange | None = call.scope.get(EXCHANGE)
        left = exchange.left if exchange is not None else None
        if left is not None and self._express is not None:
            fast = await self._express.finish(left, await self._read(call), call.request)
            await self._finish_fast(call, left.media, fast)
        else:
            await self._serve(call)

    async def _read(self, call: Call) -> OperationRequest:
        """The operation of a recognised request."""
        if call.scope["method"] == "GET":
            return parse_query_string(call.scope["query_string"], self._bounds)
        body = await self._body(call)
        asked = read_before(call.scope, body) or parse_body(body, self._bounds)
        assert isinstance(asked, OperationRequest)
        return asked

    async def _body(self, call: Call) -> bytes:
        """The body of a POST. A resolver that asks its request for it gets it, instead of waiting for another."""
        body = await read_body(call.receive, call.request.headers, self._bounds, self._bodies)
        call.request._body = body  # noqa: SLF001  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue] - where Starlette keeps it
        return body

    async def _serve(self, call: Call) -> None:
        request = call.request
        method: str = call.scope["method"]
        if method == "POST":
            await self._post(call)
        elif method in {"GET", "HEAD"} and (page := self._page(request)) is not None:
            await page(call.scope, call.receive, call.send)
        elif method == "GET":
            accept = self._accepted(request.headers.get("accept"))
            need_some(accept.json, accept.stream)
            asked = parse_query_string(call.scope["query_string"], self._bounds)
            self._origins.check_get(request.headers, asked)
            await self._one(call, accept, asked, _BY_GET if self._bounds.queries_by_get else _STREAMED)
        elif method == "OPTIONS":
            await call.start(204, [*HEADERS, *self._origins.preflight(request.headers)], b"")
        else:
            raise Refusal("METHOD_NOT_ALLOWED", "GraphQL is served by GET and POST.", headers={"Allow": METHODS})

    async def _post(self, call: Call) -> None:
        request = call.request
        accept = self._accepted(request.headers.get("accept"))
        need_some(accept.json, accept.stream)
        if self._spool is not None and is_form(request.headers):
            await self._form(call, accept.json, self._spool)
            return
        body = await self._body(call)
        media = accept.whole
        if self._lane is not None and media is not None:
            fast = await self._lane.recall(call.scope["query_string"], body, request, whole=not accept.pieces)
            if fast is not None:
                await self._finish_fast(call, media, fast)
                return
        asked = read_before(call.scope, body) or parse_body(body, self._bounds)
        if isinstance(asked, list):
            await self._batch(call, accept.json, asked)
        else:
            await self._one(call, accept, asked, _BY_POST, body=body)

    # --- one operation ---

    async def _one(
        self,
        call: Call,
        accept: Acceptable,
        asked: OperationRequest,
        kinds: frozenset[OperationType],
        *,
        body: bytes = b"",
    ) -> None:
        media, stream, pieces = accept.whole, accept.stream, accept.pieces
        if stream is None:
            kinds -= {OperationType.SUBSCRIPTION}
            need_some(media, None)
        ready: Ready | Answer | None = None
        if self._lane is not None and media is not None:
            query: bytes = call.scope["query_string"]
            fast = await self._lane.enter(asked, call.request, query, body, kinds, whole=not pieces)
            if not isinstance(fast, Ready | None):
                await self._finish_fast(call, media, fast)
                return
            ready = fast
        if ready is None:
            caller = await self._authenticator.authenticate(call.request)
            ready = await self._engine.ready(asked, caller, call.request, kinds, streamed=media is None)
        if isinstance(ready, Answer):
            if media is None and stream is not None and self._streaming is not None:
                await self._streaming.refuse(ready, stream, call)
            else:
                await self._sending.answer(call, media or JSON, ready)
            return
        annotate(call.scope, operation=ready.operation.name)
        answer: Answer | None = None
        if self._streaming is not None and pieces is not None and ready.in_pieces:
            with presence(call.scope, ready.operation.kind):
                answer = await self._streaming.pieces(pieces, ready, call)
        elif self._streaming is not None and stream is not None and (media is None or ready.stands):
            with presence(call.scope, OperationType.SUBSCRIPTION if ready.stands else ready.operation.kind):
                await self._streaming.stream(stream, ready, call)
        else:
            answer = await self._execute(call, media, ready)
        if answer is not None:
            await self._sending.answer(call, media or JSON, answer)

    async def _execute(self, call: Call, media: str | None, ready: Ready) -> Answer:
        kind = ready.operation.kind
        if kind is OperationType.MUTATION and media is not None and self._executing is not None:
            self._notice(call, media, self._executing)
        with presence(call.scope, kind):
            return await self._engine.run(ready, call.request, blank_response())

    async def _finish_fast(self, call: Call, media: str, fast: Fast) -> None:
        assert self._lane is not None
        if fast.body is not None and fast.approach is not None and self._express is not None:
            self._notice(call, media, self._express)
        await self._sending.fast(call, media, fast, self._lane.compressed)

    @staticmethod
    def _notice(call: Call, media: str, express: Express) -> None:
        exchange: ServerExchange | None = call.scope.get(EXCHANGE)
        if exchange is not None and exchange.sight is not None:
            express.notice(exchange.sight, media, [*HEADERS, *call.cors], call.request, call.arrived)

    # --- several operations ---

    async def _batch(self, call: Call, media: str | None, asked: list[OperationRequest]) -> None:
        need_some(media, None)
        begin_batch(call.scope)
        caller = await self._authenticator.authenticate(call.request)
        await self._run_batch(call, media, await self._ready(asked, caller, call.request))

    async def _ready(self, asked: Sequence[OperationRequest], caller: Caller, request: Request) -> list[Ready | Answer]:
        """What comes of the operations of one request before they run."""
        allowance = Allowance(self._engine.operations.bounds)
        found = (self._engine.ready(one, caller, request, RUNNABLE, allowance) for one in asked)
        return await asyncio.gather(*found)

    async def _run_batch(self, call: Call, media: str | None, readied: Sequence[Ready | Answer]) -> None:
        self._engine.monitor.batch(len(readied))
        if any(isinstance(one, Ready) and one.operation.kind is OperationType.MUTATION for one in readied):
            answers = [await self._run(one, call.request) for one in readied]  # in their order
        else:
            with presence(call.scope):
                answers = await asyncio.gather(*(self._run(one, call.request) for one in readied))
        statuses = {answer.status for answer in answers}
        last = min(answers, key=_remaining)
        body = b"[" + b",".join(answer.encode() for answer in answers) + b"]"
        responses = [answer.response for answer in answers if answer.response is not None]
        status = statuses.pop() if len(statuses) == 1 else None
        status = status or next((one.status_code for one in reversed(responses) if one.status_code), None)
        await call.answer(media or JSON, status or 200, body, last.headers, *responses)

    async def _run(self, one: Ready | Answer, request: Request) -> Answer:
        if isinstance(one, Answer):
            return one
        with self._engine.monitor.tracing.part():
            return await self._engine.run(one, request, blank_response())

    # --- operations with files ---

    async def _form(self, call: Call, media: str | None, spool: Spool) -> None:
        """Serve a form; its files are read once its operations were found right and charged."""
        request = call.request
        self._origins.check_form(request.headers)
        need_some(media, None)
        async with UploadForm(call.receive, request.headers, self._bounds, spool) as form:
            asked = await form.read_operations()
            batch = asked if isinstance(asked, list) else [asked]
            if isinstance(asked, list):
                begin_batch(call.scope)
            caller = await self._authenticator.authenticate(request)
            found = await self._ready(batch, caller, request)
            right = next((one for one in found if isinstance(one, Ready)), None)
            readied = [await self._charged(one, form.units if one is right else 0) for one in found]
            if any(isinstance(one, Ready) for one in readied):
                await form.read_files()
            if isinstance(asked, list):
                await self._run_batch(call, media, readied)
                return
            with presence(call.scope, _kind(readied[0])):
                answer = await self._run(readied[0], request)
            await self._sending.answer(call, media or JSON, answer)

    async def _charged(self, one: Ready | Answer, units: int) -> Ready | Answer:
        """Charge an operation, and `units` beside what it weighs, before it runs."""
        if isinstance(one, Answer):
            return one
        admission = self._engine.admission
        admission.add(one.ticket, units)
        verdict = await admission.admit(one.ticket)
        if verdict.allowed:
            return one
        return await self._engine.reject([over_limit(verdict, one.ticket.weight)], one.ticket)


def _kind(one: Ready | Answer) -> OperationType:
    return one.operation.kind if isinstance(one, Ready) else OperationType.MUTATION


def _remaining(answer: Answer) -> float:
    verdict = answer.ticket.verdict if answer.ticket is not None else None
    return verdict.remaining if verdict is not None else float("inf")
