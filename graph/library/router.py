"""`FastGraphQL`: the whole endpoint as a router of FastAPI, where Strawberry's `GraphQLRouter` would stand.

::

    app.include_router(FastGraphQL(schema), prefix="/graphql")

HTTP, batches, WebSocket, server-sent events, multipart streams and file uploads at one path, with or without a slash at
its end, behind `Bounds`; operations are compiled. docs/endpoint.md says what it promises. Everything beyond the schema
is optional.

It serves as soon as it is included. With the app it ends its subscriptions.
"""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from graph.endpoint import PROTOCOLS, Admission, Bounds, GraphQLEndpoint, KeptAnswers, Persisted, SocketLimits
from graph.endpoint.http import Assets, GraphiqlPage, Origins, wants_graphiql
from graph.library.contexts import Injected, context_for, give, injected_in
from graph.library.limits import Unlimited
from graph.library.rates import limit_of
from graph.library.sign_in import AsyncSignIn, authenticator
from graph.patterns.cache import ByteCache
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
    from contextlib import AsyncExitStack

    from starlette.types import Message, Receive, Scope, Send
    from strawberry import Schema

    from graph.endpoint.websocket import OnConnect
    from graph.library.redis import Redis

_STATIC = Path(__file__).parents[1] / "static"
_METHODS = [
    "GET",
    "HEAD",
    "POST",
    "OPTIONS",
    "PUT",
    "PATCH",
    "DELETE",
]  # the endpoint itself refuses what it does not take
_SOCKETS = SocketLimits()
_CALLED_OTHERWISE = {
    "graphql_ide": "pass `graphiql=`",
    "allow_queries_via_get": "pass `bounds=Bounds(queries_by_get=False)`",
    "keep_alive": "quiet streams always show signs of life",
    "keep_alive_interval": "quiet streams always show signs of life",
    "connection_init_wait_timeout": "pass `sockets=SocketLimits(init_timeout=…)`",
    "max_subscriptions_per_connection": "pass `sockets=SocketLimits(operations=…)`",
    "multipart_uploads_enabled": "files are taken if the schema has `Upload`, as many as `Bounds(files=…)` says",
    "allowed_origins": "pass `origins=`",
}
"""Arguments of Strawberry's `GraphQLRouter`, and what stands for them here."""


def _nothing() -> None:
    """What there is without a getter."""


class FastGraphQL(APIRouter):
    """A schema as a router."""

    def __init__(
        self,
        schema: Schema,
        *,
        path: str = "",
        context_getter: Callable[..., Any] | None = None,
        root_value_getter: Callable[..., Any] | None = None,
        on_ws_connect: OnConnect | None = None,
        sign_in: Callable[[str], str | None] | Callable[[str], Awaitable[str | None]] | None = None,
        bounds: Bounds | None = None,
        keep: Redis | None = None,
        rates: tuple[str, str] = ("600/minute", "120/minute"),
        sockets: SocketLimits | None = _SOCKETS,
        subscription_protocols: Collection[str] = PROTOCOLS,
        origins: Collection[str] = (),
        as_strawberry: bool = False,
        graphiql: bool = True,
        debug: bool = False,
        **router: Any,
    ) -> None:
        """Serve `schema`.

        Args:
            schema: Any Strawberry schema; `RateLimit` among its extensions limits its operations.
            path: Where it is, below the prefix that it is included with.
            context_getter: A dependency of FastAPI, async or not, that gives a dict or an object of any class. A dict,
                and an object of Strawberry's `BaseContext`, get ``request``, ``response`` and ``background_tasks``, and
                over a WebSocket ``connection_params``. Any of them gets ``caller``: whom `sign_in` found.
            root_value_getter: Another, that gives the object on which root fields are resolved.
            on_ws_connect: Called with caller, connection and the payload of each ``connection_init``; what it returns
                is the payload of the acknowledgement.
            sign_in: Gives the user behind a bearer token, or None; it may decode a JWT or ask a database.
            bounds: What one request may take.
            keep: Keeps answers of fields that are declared `cached` there, and documents by their hash; then `@live`
                follows queries. Only a function that is not async can sign in.
            rates: With `keep`, the operations that a user and an address may make: they are charged in the same trip.
            sockets: Bounds of a WebSocket; None serves no subscriptions.
            subscription_protocols: Those of Strawberry's ``graphql-transport-ws``, ``graphql-sse`` and
                ``multipart-subscription`` that are spoken: all of them.
            origins: Origins whose pages may use it from a browser (CORS). Pages of others open no WebSocket either,
                for a browser would send the cookies along that `context_getter` may believe.
            as_strawberry: Answer as Strawberry's router does where that is worse for most clients, but what a front end
                may expect that was written for it (docs/endpoint.md#as-strawberrys-views).
            graphiql: Show browsers GraphiQL.
            debug: Show suggestions, and the tracebacks of bugs.
            router: Options of FastAPI's `APIRouter`.

        Raises:
            TypeError: `keep` with an async `sign_in` or a root value, a schema that the endpoint cannot honour, or an
                argument of Strawberry's router that has another name here.
            ValueError: One of `rates` is not a rate, one of `subscription_protocols` not served here.
        """
        for name in router:
            if name in _CALLED_OTHERWISE:
                raise TypeError(f"FastGraphQL has no argument `{name}`: {_CALLED_OTHERWISE[name]}")
        super().__init__(lifespan=self._lifespan, **router)
        self._endpoints: dict[asyncio.AbstractEventLoop, GraphQLEndpoint[Any]] = {}
        self._keep = keep
        self._origins = Origins(origins)
        page = GraphiqlPage(_STATIC / "graphiql")
        signed, anonymous = map(limit_of, rates)
        who = authenticator(sign_in)

        def make(kept: KeptAnswers | None, persisted: Persisted | None) -> GraphQLEndpoint[Any]:
            admission = Unlimited()
            if keep is not None:
                admission = Admission(
                    keep.limiter,
                    budget=lambda _: None,
                    authenticated=signed.count,
                    anonymous=anonymous.count,
                    window=signed.window,
                    prefix=keep.prefix,
                )
            return GraphQLEndpoint(
                schema,
                admission=admission,
                context=context_for,
                root_value=None
                if root_value_getter is None
                else lambda _caller, connection: injected_in(connection).root,
                on_ws_connect=on_ws_connect,
                authenticator=who,
                bounds=bounds,
                persisted=persisted,
                kept=kept,
                sockets=sockets,
                subscription_protocols=subscription_protocols,
                page=lambda request: _page(page, request) if graphiql and wants_graphiql(request.scope) else None,
                origins=origins,
                as_strawberry=as_strawberry,
                debug=debug,
            )

        if keep is not None and isinstance(who, AsyncSignIn):
            raise TypeError("an async sign_in cannot keep answers: they are found in one trip with everything else")
        if keep is not None and root_value_getter is not None:
            raise TypeError("answers that depend on a root value are nobody else's: leave out `keep` or the getter")
        make(None, None)  # tells what it cannot honour at once
        self._make = make
        self._serve_at(path, context_getter or _nothing, root_value_getter or _nothing, graphiql=graphiql)

    def _serve_at(
        self, path: str, context_getter: Callable[..., Any], root_getter: Callable[..., Any], *, graphiql: bool
    ) -> None:
        depends: Any = Depends(context_getter)
        root_depends: Any = Depends(root_getter)

        async def serve(
            request: Request,
            response: Response,
            background: BackgroundTasks,
            context: Any = depends,
            root: Any = root_depends,
        ) -> Response:
            given = Injected(context, response, background, root)
            return EndpointResponse(await self._endpoint(), given, body=getattr(request, "_body", None))

        async def connect(websocket: WebSocket, context: Any = depends, root: Any = root_depends) -> None:
            if not self._origins.may_open(websocket.headers):
                await _refuse_page(websocket)
                return
            give(websocket.scope, Injected(context, None, None, root))
            await (await self._endpoint())(websocket.scope, websocket.receive, websocket.send)

        for one in dict.fromkeys((path, f"{path.removesuffix('/')}/")):
            self.add_api_route(one, serve, methods=_METHODS, include_in_schema=False, response_model=None)
            self.add_api_websocket_route(one, connect)
        if graphiql:
            self._serve_assets(path.removesuffix("/"))

    def _serve_assets(self, path: str) -> None:
        assets = Assets(directory=_STATIC)

        async def asset(request: Request, name: str) -> Response:
            try:
                return await assets.get_response(name, request.scope)
            except HTTPException as error:
                return JSONResponse({"errors": [{"message": error.detail, "extensions": {"code": "NOT_FOUND"}}]}, 404)

        self.add_api_route(f"{path}/static/{{name:path}}", asset, include_in_schema=False, response_model=None)

    async def _endpoint(self) -> GraphQLEndpoint[Any]:
        loop = asyncio.get_running_loop()
        found = self._endpoints.get(loop)
        if found is None:
            for other in [one for one in self._endpoints if one.is_closed()]:
                del self._endpoints[other]
            found = await self._keep.client.part(self._kept) if self._keep is not None else self._make(None, None)
            found = self._endpoints.setdefault(loop, found)
        return found

    async def _kept(self, stack: AsyncExitStack) -> GraphQLEndpoint[Any]:
        """The endpoint that keeps its answers."""
        keep = self._keep
        assert keep is not None
        with contextlib.suppress(RedisUnavailable):  # it does without meanwhile
            await keep.client.opened()
        cache = await keep.cache.here()
        answers = ByteCache(keep.client, cache.generations, prefix=keep.prefix, room=cache.room)
        stack.push_async_callback(answers.close)
        endpoint = self._make(KeptAnswers(keep.client, answers), Persisted(keep.client, prefix=keep.prefix))
        stack.push_async_callback(self._close)
        return endpoint

    @asynccontextmanager
    async def _lifespan(self, _app: object) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self._close()

    async def _close(self) -> None:
        """End what the running event loop serves."""
        endpoint = self._endpoints.pop(asyncio.get_running_loop(), None)
        if endpoint is not None:
            await endpoint.close()


class EndpointResponse(Response):
    """What FastAPI sends: the endpoint's own answer, with the headers that dependencies have set."""

    def __init__(self, endpoint: GraphQLEndpoint[Any], given: Injected, *, body: bytes | None = None) -> None:
        """Have `endpoint` answer, in the context of what was `given`; `body` is what dependencies have read already."""
        super().__init__()
        self._endpoint = endpoint
        self._given = given
        self._read = body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the request."""
        give(scope, self._given)
        response = self._given.response
        more = [one for one in response.raw_headers if one[0] != b"content-length"] if response is not None else []

        async def with_headers(message: Any) -> None:
            if more and message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._endpoint(scope, receive if self._read is None else _again(self._read, receive), with_headers)
        if self.background is not None:
            await self.background()


def _again(body: bytes, receive: Receive) -> Receive:
    """What receives `body` once more, and then whatever else comes."""
    parts: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return parts.pop() if parts else await receive()

    return received


async def _refuse_page(websocket: WebSocket) -> None:
    """Answer the handshake of a foreign page: with 403, as Strawberry does."""
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        said = "Pages of this origin may not open a WebSocket here: pass `origins=`."
        error = {"message": said, "extensions": {"code": "CSRF_REFUSED"}}
        await websocket.send_denial_response(JSONResponse({"errors": [error]}, 403))
    else:
        await websocket.close(1008)


def _page(page: GraphiqlPage, request: Request) -> Response:
    """GraphiQL, whose files are below the path of the endpoint."""
    response = page.response(request.scope)
    path: str = request.scope["path"]
    last = path.rstrip("/").rpartition("/")[2]
    text = bytes(response.body).decode()
    below = text.replace('="../static/', '="./static/') if path.endswith("/") else text.replace('="./', f'="./{last}/')
    headers = {name: value for name, value in response.headers.items() if name != "content-length"}
    return Response(below, headers=headers)
