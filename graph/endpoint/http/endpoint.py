"""GraphQL over HTTP: the endpoint as one ASGI application.

It follows the GraphQL-over-HTTP specification as the audits of npm `graphql-http` read it. Every answer is JSON, every
refusal has an ``extensions.code``, nothing a client sends makes a 5xx. What a request may take is in `bounds.Bounds`,
who may ask how often in `admission.Admission`, what a foreign page cannot do in `security`.

A subscription, or any operation from a client that accepts nothing but a stream, is handed to `streams`; a WebSocket
to `websocket`; a browser that opens the endpoint gets what `page` gives.

Failure: whatever fails unexpectedly is logged under an id and answered 500 with that id. A client that goes away is
not an error; its queries end with it (`presence`). While Redis is away a request whose session must be checked is
answered 503, any other is served.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from graphql import GraphQLError, OperationType
from starlette.requests import Request
from starlette.responses import Response
from strawberry.asgi import GraphQL

from graph.endpoint.declare.caching import derive
from graph.endpoint.document.bounds import Bounds
from graph.endpoint.document.operations import Operations
from graph.endpoint.errors import REFUSALS, Presenter, Refusal
from graph.endpoint.execution.answer import Answer, encode
from graph.endpoint.execution.engine import RUNNABLE, Engine, Ready
from graph.endpoint.http.negotiation import JSON, accepted
from graph.endpoint.http.presence import presence
from graph.endpoint.http.request import Disconnected, parse_body, parse_query_string, read_body
from graph.endpoint.http.security import HEADERS, METHODS, Origins
from graph.endpoint.kept.express import EXCHANGE
from graph.endpoint.observe.observe import annotate
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Receive, Scope, Send
    from strawberry import Schema

    from graph.endpoint.admission.admission import Admission
    from graph.endpoint.document.persisted import Persisted
    from graph.endpoint.http.security import Raw
    from graph.endpoint.identity.caller import Authenticator, Caller
    from graph.endpoint.kept.express import Express, Leftover, Sight
    from graph.endpoint.kept.lane import Approach, Fast
    from graph.endpoint.subscriptions.sink import OperationRequest

Context = TypeVar("Context")

_QUERY = frozenset({OperationType.QUERY})
_WITH_STREAMS = RUNNABLE | {OperationType.SUBSCRIPTION}
_NO_STORE = (b"cache-control", b"no-store")
_VARY = (b"vary", b"Accept, Origin")
_NOT_MODIFIED = 304


@dataclass(frozen=True, slots=True)
class Exchange:
    """One HTTP request under way; `cors` are headers that its answer needs."""

    scope: Scope
    receive: Receive
    send: Send
    request: Request
    cors: Raw


class Streams(Protocol):
    """Answers an operation with a stream of results over HTTP (SSE, multipart)."""

    async def stream(self, media: str, request: OperationRequest, caller: Caller, exchange: Exchange) -> None:
        """Send the whole response of type `media` (``text/event-stream`` or ``multipart/mixed``)."""
        ...

    async def refuse(self, answer: Answer, media: str, exchange: Exchange) -> None:
        """Tell what was refused before anything ran; raises `Refusal` for one with a status of its own."""
        ...


class Lane(Protocol):
    """The fast lane: answers known operations that may be kept before the schema does; see `responses`."""

    async def recall(self, body: bytes, connection: HTTPConnection) -> Fast | None:
        """Answer a request by the bytes of its body, without reading it; None for bytes that are new. As `enter`."""
        ...

    async def enter(
        self, request: OperationRequest, connection: HTTPConnection, body: bytes | None = None
    ) -> Fast | None:
        """Admit and answer; None, uncharged, for an operation that is none of the lane's business."""
        ...


class GraphQLEndpoint(GraphQL[Any, Any], Generic[Context]):
    """A schema on the web: mount it where Strawberry's `GraphQL` would stand."""

    def __init__(
        self,
        schema: Schema,
        *,
        authenticator: Authenticator,
        admission: Admission,
        context: Callable[[Caller, HTTPConnection, Response | None], Context],
        bounds: Bounds | None = None,
        operations: Operations | None = None,
        prepared_bytes: int = 32 << 20,
        persisted: Persisted | None = None,
        page: Callable[[Request], Response | None] = lambda _: None,
        origins: Collection[str] = (),
        debug: bool = False,
    ) -> None:
        """Serve `schema`; each operation gets its own ``context(caller, connection, response)``.

        Headers and cookies set on that `response` are sent with the answer; it is None where there is none to set
        them on. `page` may answer a GET from a browser; `origins` may use the endpoint from their own pages (CORS).
        `debug` shows suggestions and the tracebacks of bugs. `operations` replaces the store of parsed documents that
        would be made with `bounds` and `prepared_bytes`.

        What runs on `engine` may be set afterwards: `lane`, `streams` for subscriptions over HTTP, `websocket`.
        """
        super().__init__(schema, graphql_ide=None)
        self.bounds = bounds or (operations.bounds if operations is not None else Bounds())
        self.presenter = Presenter(debug=debug)
        core = schema._schema  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - Strawberry has no public name for it
        self.engine = Engine(
            schema,
            operations=operations
            or Operations(core, self.bounds, capacity=prepared_bytes, hide_suggestions=not debug, derive=derive),
            admission=admission,
            context=context,
            persisted=persisted,
            presenter=self.presenter,
        )
        self.authenticator = authenticator
        self.streams: Streams | None = None
        self.websocket: ASGIApp | None = None
        self.lane: Lane | None = None
        self.express: Express | None = None
        self._page = page
        self.origins = Origins(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request or one WebSocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket" and self.websocket is not None:
            await self.websocket(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        exchange = Exchange(scope, receive, send, request, self.origins.headers(request.headers))
        try:
            left: Leftover | None = getattr(scope.get(EXCHANGE), "left", None)
            if left is not None and self.express is not None:
                body = await read_body(receive, request.headers, self.bounds)
                await self._finish_fast(exchange, left.media, await self.express.finish(left, body, request))
            else:
                await self._serve(exchange)
        except Disconnected:
            return
        except Refusal as error:
            await self._refuse(exchange, error)
        except RedisUnavailable:
            away = Refusal("UNAVAILABLE", "The session cannot be checked right now.", headers={"Retry-After": "1"})
            await self._refuse(exchange, away)
        except Exception as error:  # noqa: BLE001 - a bug, to be masked and logged under an id
            shown = self.presenter.present([GraphQLError(str(error), original_error=error)])
            await self._send(exchange, JSON, 500, encode({"errors": shown}), {})

    async def _serve(self, exchange: Exchange) -> None:
        request = exchange.request
        method: str = exchange.scope["method"]
        if method == "POST":
            media, stream = accepted(request.headers.get("accept"))
            _need_some(media, stream)
            body = await read_body(exchange.receive, request.headers, self.bounds)
            if self.lane is not None and media is not None:
                fast = await self.lane.recall(body, request)
                if fast is not None:
                    await self._finish_fast(exchange, media, fast)
                    return
            asked = parse_body(body, self.bounds)
            if isinstance(asked, list):
                await self._batch(exchange, media, asked)
            else:
                await self._one(exchange, media, stream, asked, _WITH_STREAMS, body=body)
        elif method == "GET":
            page = self._page(request)
            if page is not None:
                await page(exchange.scope, exchange.receive, exchange.send)
                return
            media, stream = accepted(request.headers.get("accept"))
            _need_some(media, stream)
            asked = parse_query_string(exchange.scope["query_string"], self.bounds)
            self.origins.check_get(request.headers, asked)
            await self._one(exchange, media, stream, asked, _QUERY | {OperationType.SUBSCRIPTION})
        elif method == "OPTIONS":
            await _start(exchange.send, 204, [*HEADERS, *self.origins.preflight(request.headers)], b"")
        else:
            raise Refusal("METHOD_NOT_ALLOWED", "GraphQL is served by GET and POST.", headers={"Allow": METHODS})

    # --- one operation ---

    async def _one(
        self,
        exchange: Exchange,
        media: str | None,
        stream: str | None,
        asked: OperationRequest,
        kinds: frozenset[OperationType],
        *,
        body: bytes | None = None,
    ) -> None:
        if self.streams is None or stream is None:
            stream, kinds = None, kinds - {OperationType.SUBSCRIPTION}
            _need_some(media, None)
        if self.lane is not None and media is not None:
            fast = await self.lane.enter(asked, exchange.request, body)
            if fast is not None:
                await self._finish_fast(exchange, media, fast)
                return
        caller = await self.authenticator.authenticate(exchange.request)
        ready = await self.engine.ready(asked, caller, kinds)
        if isinstance(ready, Answer):
            if media is None and stream is not None and self.streams is not None:
                await self.streams.refuse(ready, stream, exchange)
            else:
                await self._answer(exchange, media or JSON, ready)
            return
        annotate(exchange.scope, operation=ready.operation.name)
        if stream is not None and (media is None or ready.operation.kind is OperationType.SUBSCRIPTION):
            assert self.streams is not None
            with presence(exchange.scope, ready.operation.kind):
                await self.streams.stream(stream, asked, caller, exchange)
        else:
            response = Response()
            with presence(exchange.scope, ready.operation.kind):
                answer = await self.engine.run(ready, exchange.request, response)
            await self._answer(exchange, media or JSON, answer, response)

    async def _finish_fast(self, exchange: Exchange, media: str, fast: Fast) -> None:
        if fast.body is not None:
            if fast.approach is not None and self.express is not None and exchange.scope["method"] == "POST":
                self._notice(exchange, media, fast.approach, self.express)
            await self._send(exchange, media, fast.status, fast.body, fast.headers)
        else:
            assert fast.answer is not None
            await self._answer(exchange, media, fast.answer, fast.response)

    @staticmethod
    def _notice(exchange: Exchange, media: str, approach: Approach, express: Express) -> None:
        sight: Sight | None = getattr(exchange.scope.get(EXCHANGE), "sight", None)
        if sight is not None:
            client = exchange.scope.get("client")
            express.notice(sight, approach, media, exchange.cors, client[0] if client else "")

    # --- several operations ---

    async def _batch(self, exchange: Exchange, media: str | None, asked: list[OperationRequest]) -> None:
        _need_some(media, None)
        caller = await self.authenticator.authenticate(exchange.request)
        readied = await asyncio.gather(*(self.engine.ready(one, caller, RUNNABLE) for one in asked))
        responses = [Response() for _ in readied]
        jobs = [self._run(one, exchange.request, response) for one, response in zip(readied, responses, strict=True)]
        if any(isinstance(one, Ready) and one.operation.kind is OperationType.MUTATION for one in readied):
            answers = [await job for job in jobs]  # mutations run in the order in which they were sent
        else:
            with presence(exchange.scope):
                answers = await asyncio.gather(*jobs)
        statuses = {answer.status for answer in answers}
        last = min(answers, key=_remaining)
        body = b"[" + b",".join(answer.encode() for answer in answers) + b"]"
        status = statuses.pop() if len(statuses) == 1 else None
        await self._send(exchange, media or JSON, status or 200, body, last.headers, *responses)

    async def _run(self, one: Ready | Answer, request: Request, response: Response) -> Answer:
        return one if isinstance(one, Answer) else await self.engine.run(one, request, response)

    # --- sending ---

    async def _refuse(self, exchange: Exchange, error: Refusal) -> None:
        REFUSALS.labels(error.code).inc()
        media = accepted(exchange.request.headers.get("accept")).json or JSON
        body = encode({"errors": self.presenter.present([error])})
        await self._send(exchange, media, error.status or 400, body, error.headers)

    async def _answer(self, exchange: Exchange, media: str, answer: Answer, response: Response | None = None) -> None:
        status = answer.status or (200 if answer.executed or media == JSON else 400)
        await self._send(exchange, media, status, answer.encode(), answer.headers, *([response] if response else []))

    async def _send(
        self,
        exchange: Exchange,
        media: str,
        status: int,
        body: bytes,
        headers: Mapping[str, str],
        *responses: Response,
    ) -> None:
        length = [(b"content-length", b"%d" % len(body))] if status != _NOT_MODIFIED else []
        raw: Raw = [
            (b"content-type", b"%b; charset=utf-8" % media.encode()),
            *length,
            *HEADERS,
            *exchange.cors,
            *((name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()),
        ]
        for response in responses:
            raw += [pair for pair in response.raw_headers if pair[0] not in {b"content-length", b"content-type"}]
        names = {name for name, _ in raw}
        if b"vary" not in names:
            raw.append(_VARY)
        if b"cache-control" not in names:
            raw.append(_NO_STORE)
        await _start(exchange.send, status, raw, body)


async def _start(send: Send, status: int, headers: Raw, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _need_some(media: str | None, stream: str | None) -> None:
    if media is None and stream is None:
        raise Refusal("NOT_ACCEPTABLE", "Answers are application/graphql-response+json or application/json, in UTF-8.")


def _remaining(answer: Answer) -> float:
    verdict = answer.ticket.verdict if answer.ticket is not None else None
    return verdict.remaining if verdict is not None else float("inf")
