"""The whole endpoint as one ASGI application: GraphQL over HTTP, WebSocket, SSE and multipart, for any schema.

`GraphQLEndpoint` puts the parts together, and is complete once constructed. `Bounds` limits a single request,
`Admission` how often a caller may ask, `http.security` what a foreign page can do, and `KeptAnswers` says which answers
are kept.

It serves as soon as it is constructed. Close it, or use it as an ``async with`` block, to end its subscriptions.

`GraphQLEndpoint.at` mounts it under a path, with and without a slash behind it. (Under Starlette's own `mount` the
router answers a POST to the path without the slash: an empty 307; and a WebSocket is refused.)
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from graph.endpoint.declare import check, core_of, declare_live, takes_files
from graph.endpoint.document import Bounds, Operations, Persisted, derive
from graph.endpoint.errors import Presenter
from graph.endpoint.execution import Engine, Monitor
from graph.endpoint.http import (
    EVENT_STREAM,
    MULTIPART,
    EndpointRoute,
    HttpStreaming,
    HttpTransport,
    Multipart,
    Origins,
    Performer,
    ServerSentEvents,
    parse_body,
)
from graph.endpoint.identity import Anonymous, BatchAuthenticator
from graph.endpoint.live import LiveQueries
from graph.endpoint.overrides import refuse_overrides
from graph.endpoint.subscriptions import Streams
from graph.endpoint.websocket import SUBPROTOCOL, SocketLimits, WebSockets, refuse_socket
from graph.patterns.fair_queue import act_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.requests import HTTPConnection, Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import Receive, Scope, Send
    from strawberry import Schema

    from graph.endpoint.admission import Admission
    from graph.endpoint.document import OperationRequest
    from graph.endpoint.identity import Authenticator, Caller
    from graph.endpoint.kept import Express, KeptAnswers
    from graph.endpoint.observe import OperationMetrics, Tracing
    from graph.endpoint.websocket import OnConnect

Context = TypeVar("Context")

_SOCKETS = SocketLimits()
_FRAMINGS = {
    "graphql-sse": (EVENT_STREAM, ServerSentEvents()),
    "multipart-subscription": (MULTIPART, Multipart()),
}
PROTOCOLS = (SUBPROTOCOL, *_FRAMINGS)
"""What subscriptions may go over, by Strawberry's names."""


def _as_configured(bounds: Bounds, schema: Schema) -> Bounds:
    """`bounds` with no larger batches than the schema's configuration allows."""
    batching = schema.config.batching_config
    return bounds if batching is None else replace(bounds, batch=min(bounds.batch, batching["max_operations"]))


class GraphQLEndpoint(Generic[Context]):
    """A schema on the web: put it where Strawberry's `GraphQL` would stand."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Raise `TypeError` for a method of Strawberry's views that nobody would call."""
        super().__init_subclass__(**options)
        refuse_overrides(cls, GraphQLEndpoint)

    def __init__(
        self,
        schema: Schema,
        *,
        admission: Admission,
        context: Callable[[Caller, HTTPConnection, Response | None], Context],
        root_value: Callable[[Caller, HTTPConnection], object] | None = None,
        on_ws_connect: OnConnect | None = None,
        authenticator: Authenticator | None = None,
        bounds: Bounds | None = None,
        operations: Operations | None = None,
        prepared_bytes: int = 32 << 20,
        persisted: Persisted | None = None,
        kept: KeptAnswers | None = None,
        sockets: SocketLimits | None = _SOCKETS,
        subscription_protocols: Collection[str] = PROTOCOLS,
        keep_alive: float = 12.0,
        as_strawberry: bool = False,
        page: Callable[[Request], Response | None] = lambda _: None,
        origins: Collection[str] = (),
        compiled: bool = True,
        debug: bool = False,
        metrics: OperationMetrics | None = None,
        slow: float = 0.0,
        tracing: Tracing | None = None,
    ) -> None:
        """Serve `schema`. If it has Strawberry's scalar `Upload`, operations may come with files.

        Args:
            schema: Any Strawberry schema.
            admission: Charges each operation to its caller.
            context: Makes the context of an operation: ``context(caller, connection, response)``. Status, headers,
                cookies and background tasks set on `response` count for the answer; it is None where there is none to
                set them on. A context that notes who was asked for (`identity.NotesViewer`) lets subscriptions and
                kept answers be shared. `websocket.connection_params` gives what a client sent with ``connection_init``.
            root_value: Makes the object that root fields are resolved on. It may depend on who asks, so nothing is
                shared, and `kept` is refused.
            on_ws_connect: Called with caller, connection and the payload of each ``connection_init``; what it returns
                is the payload of the acknowledgement. It refuses by Strawberry's `ConnectionRejectionError` (4403).
            authenticator: Finds the caller of a request; without one everybody is anonymous.
            bounds: What one request may take; a lower `max_operations` of the schema's `batching_config` counts.
            operations: The store of prepared documents, in place of one made with `bounds` and `prepared_bytes`.
            prepared_bytes: Bytes of memory for prepared documents.
            persisted: Documents that clients name by hash or id.
            kept: How answers are kept; None keeps none.
            sockets: Bounds of each WebSocket; their `queue` bounds what waits for a slow client of a long HTTP
                response, too. None serves no subscriptions, and no WebSocket.
            subscription_protocols: Those of ``graphql-transport-ws``, ``graphql-sse`` and ``multipart-subscription``
                that are spoken. Without the second nothing is answered by server-sent events.
            keep_alive: Seconds between two signs of life on a quiet response.
            as_strawberry: Answer as Strawberry's own views do where that is worse for most clients, but what a front
                end may expect that was written for them (docs/endpoint.md#as-strawberrys-views).
            page: May answer a GET from a browser.
            origins: Origins whose pages may use the endpoint from a browser (CORS).
            compiled: Compile operations where that is possible; else graphql-core executes all of them.
            debug: Show suggestions (unless the schema's configuration disables them), and the tracebacks of bugs.
            metrics: Which operations have metrics of their own.
            slow: Seconds from which on an operation is logged as slow; 0 logs none.
            tracing: Makes a span of each operation.

        Raises:
            BadPolicy: The schema declares that something may be kept which cannot be.
            TypeError: `kept` is given, and `authenticator` is not a `BatchAuthenticator`, or there is a `root_value`;
                or the schema overrides a method, or has an extension, that cannot be honoured. The message says what
                to do.
            ValueError: One of `subscription_protocols` is not served here.
        """
        for one in {*subscription_protocols} - {*PROTOCOLS}:
            raise ValueError(f"{one} is not among the subscription protocols that are served: {', '.join(PROTOCOLS)}")

        def in_turn_of_caller(caller: Caller, connection: HTTPConnection, response: Response | None) -> Context:
            act_for(caller.identity or None)
            return context(caller, connection, response)

        authenticator = authenticator or Anonymous()
        core = core_of(schema)
        if kept is not None:
            check(core)
            if root_value is not None:
                raise TypeError(
                    "answers that depend on a root value are nobody else's: leave out `kept` or `root_value`"
                )
        persisted = persisted or Persisted()
        self.bounds = _as_configured(bounds or (operations.bounds if operations is not None else Bounds()), schema)
        if operations is not None and operations.bounds.batch > self.bounds.batch:
            raise TypeError(
                "`operations` takes larger batches than the schema's `batching_config`: lower `Bounds.batch`"
            )
        suggestions = debug and not schema.config.disable_field_suggestions
        self.engine = Engine(
            schema,
            operations=operations
            or Operations(core, self.bounds, capacity=prepared_bytes, hide_suggestions=not suggestions, derive=derive),
            admission=admission,
            context=in_turn_of_caller,
            root_value=root_value,
            persisted=persisted,
            presenter=Presenter(debug=debug, suggestions=suggestions),
            compiled=compiled,
            monitor=Monitor(persisted, core, metrics=metrics, slow=slow, tracing=tracing),
        )
        self.authenticator = authenticator
        self.live: LiveQueries | None = None
        if kept is not None and sockets is not None and isinstance(authenticator, BatchAuthenticator):
            declare_live(core)
            self.live = LiveQueries(
                self.engine, authenticator, kept.client, kept.cache, enabled=kept.enabled, most=sockets.operations
            )
        self.streams = Streams(self.engine, self.live)
        self.lane = kept.lane(self.engine, authenticator) if kept is not None else None
        self.express: Express | None = None
        if kept is not None and self.lane is not None:
            self.express = kept.express(self.lane, self._read, Performer(self.engine, self.lane), tracing)
        streaming: HttpStreaming | None = None
        self._sockets: WebSockets | None = None
        if sockets is not None:
            framings = dict(_FRAMINGS[one] for one in subscription_protocols if one in _FRAMINGS)
            streaming = HttpStreaming(
                self.streams,
                authenticator,
                framings,
                keep_alive=keep_alive,
                queue=sockets.queue,
                as_strawberry=as_strawberry,
            )
        if sockets is not None and SUBPROTOCOL in subscription_protocols:
            self._sockets = WebSockets(
                self.streams,
                authenticator,
                sockets,
                on_connect=on_ws_connect,
                tracing=tracing,
                null_payload=as_strawberry,
            )
        self._http = HttpTransport(
            self.engine,
            authenticator,
            origins=Origins(origins),
            page=page,
            streaming=streaming,
            lane=self.lane,
            express=self.express,
            uploads=takes_files(core),
        )

    def _read(self, body: bytes) -> OperationRequest | None:
        """The one operation that a body asks for; None for a batch, and for a body that is too large."""
        if len(body) > self.bounds.body:
            return None
        asked = parse_body(body, self.bounds)
        return None if isinstance(asked, list) else asked

    def at(self, path: str) -> BaseRoute:
        """A route for an application's ``routes``: the endpoint at `path`, with and without a slash behind it.

        ::

            app.router.routes.append(endpoint.at("/graphql"))
        """
        return EndpointRoute(path, self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request or one WebSocket."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket" and self._sockets is not None:
            await self._sockets(scope, receive, send)
        elif scope["type"] == "websocket":
            await refuse_socket(receive, send)

    async def close(self) -> None:
        """End every subscription without a message, let mutations finish, and leave nothing running."""
        if self.express is not None and self.express.errands is not None:
            self.express.errands.closed = True
        await self.streams.close()
        await self.engine.admission.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()
