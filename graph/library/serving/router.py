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
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException

from graph.endpoint import PROTOCOLS, Admission, Bounds, GraphQLEndpoint, KeptAnswers, Persisted, SocketLimits
from graph.endpoint.http import Assets, GraphiqlPage, Origins, wants_graphiql
from graph.endpoint.overrides import INSTEAD, refuse_overrides
from graph.library.limits import Unlimited
from graph.library.rates import limit_of
from graph.library.serving.contexts import Injected, context_for, give, injected_in
from graph.library.serving.described import by_get, by_post
from graph.library.serving.keeping import check_keeping
from graph.library.serving.realm import realm_name
from graph.library.serving.response import EndpointResponse
from graph.library.serving.sign_in import authenticator
from graph.patterns.cache import ByteCache, Generations
from graph.patterns.client import RedisUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
    from contextlib import AsyncExitStack

    from fastapi import FastAPI
    from strawberry import Schema
    from strawberry.extensions import SchemaExtension

    from graph.endpoint.websocket import OnConnect
    from graph.library.redis import Redis
    from graph.patterns.cache import Cache

_STATIC = Path(__file__).parents[2] / "static"
_OTHERS = ["HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"]  # the endpoint itself refuses what it does not take
_SOCKETS = SocketLimits()
_RATES = "600/minute", "120/minute"
_NOTHING = "{_:graph_nothing}"
"""A path that adds nothing to a prefix. An app that includes it without one would not take the empty path."""


class NothingConvertor(Convertor[str]):
    """What is at `_NOTHING`."""

    regex = ""

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor("graph_nothing", NothingConvertor())


def _nothing() -> None:
    """What there is without a getter."""


class FastGraphQL(APIRouter):
    """A schema as a router."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Raise `TypeError` for a method of Strawberry's router that nobody would call."""
        super().__init_subclass__(**options)
        refuse_overrides(cls, FastGraphQL)

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
        unseen: Collection[type[SchemaExtension]] = (),
        realm: str = "",
        rates: tuple[str, str] | None = None,
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
            unseen: With `keep`, extensions of the schema that need not see an operation that a kept answer answers.
            realm: With `keep`, a name: routers with another do not give its answers. Needed by two whose `sign_in` or
                `context_getter` differ in nothing but an object that they use.
            rates: With `keep`, the operations that a user and an address may make, 600 and 120 a minute unless given:
                they are charged in the same trip.
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
            BadPolicy: With `keep`, the schema declares that something may be kept which cannot be.
            TypeError: `rates` without `keep`; `keep` with an async `sign_in`, a root value, or an extension that is not
                `unseen` and would miss operations; a schema that the endpoint cannot honour; or an argument of
                Strawberry's router that has another name here.
            ValueError: One of `rates` is not a rate, one of `subscription_protocols` not served here.
        """
        for name in router:
            if name in INSTEAD:
                raise TypeError(f"FastGraphQL has no argument `{name}`: {INSTEAD[name]}")
        own = router.pop("lifespan", None)
        self._own_lifespan = APIRouter(lifespan=own).lifespan_context if own is not None else None
        super().__init__(lifespan=self._lifespan, **router)
        self._endpoints: dict[asyncio.AbstractEventLoop, GraphQLEndpoint[Any]] = {}
        self._keep = keep
        self._origins = Origins(origins)
        page = GraphiqlPage(_STATIC / "graphiql")
        if rates is not None and keep is None:
            raise TypeError("`rates` are charged with `keep=redis`; without it give the schema a RateLimit")
        signed, anonymous = map(limit_of, rates or _RATES)
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
                    anonymous_window=anonymous.window,
                    prefix=f"{keep.prefix}:{signed.name}:{anonymous.name}",  # a budget of its own for each pair
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

        self._make = make
        self._unseen = unseen
        self._realm = realm_name(schema, realm, sign_in, context_getter)
        if keep is None:  # tells what it cannot honour at once
            make(None, None)
        else:
            check_keeping(schema, who, rooted=root_value_getter is not None)
            self._keeping(keep)
        asked = by_get(queries=bounds is None or bounds.queries_by_get, page=graphiql)
        self._serve_at(path, context_getter or _nothing, root_value_getter or _nothing, asked)
        if graphiql:
            self._serve_assets(path.removesuffix("/"))

    def _serve_at(
        self, path: str, context_getter: Callable[..., Any], root_getter: Callable[..., Any], asked: dict[str, Any]
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
            given = Injected(context, response, background, root, [])
            return EndpointResponse(await self._endpoint(), given, body=getattr(request, "_body", None))

        async def connect(websocket: WebSocket, context: Any = depends, root: Any = root_depends) -> None:
            if not self._origins.may_open(websocket.headers):
                await _refuse_page(websocket)
                return
            give(websocket.scope, Injected(context, None, None, root))
            await (await self._endpoint())(websocket.scope, websocket.receive, websocket.send)

        unseen: dict[str, Any] = {"include_in_schema": False}
        bare = path.removesuffix("/")
        for one in dict.fromkeys((path, bare if bare or not path else _NOTHING, f"{bare}/")):
            for methods, described in ((["POST"], by_post()), (["GET"], asked), (_OTHERS, unseen)):
                # FastAPI makes two validators of each response that is told: not of those that no document shows.
                told: dict[str, Any] = described if one == path else {**described, **unseen, "responses": {}}
                told = {**told, "responses": {**told.get("responses", {}), **self.responses}}
                self.add_api_route(one, serve, methods=methods, response_model=None, **told)
            self.add_api_websocket_route(one, connect, name="websocket_endpoint")

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
        endpoint, answers = self._keeping(keep, cache)
        stack.push_async_callback(answers.close)
        stack.push_async_callback(self._close)
        return endpoint

    def _keeping(self, keep: Redis, cache: Cache | None = None) -> tuple[GraphQLEndpoint[Any], ByteCache]:
        generations, room = (Generations(keep.client), None) if cache is None else (cache.generations, cache.room)
        answers = ByteCache(keep.client, generations, prefix=keep.prefix, room=room)
        kept = KeptAnswers(keep.client, answers, unseen=self._unseen, realm=self._realm)
        return self._make(kept, Persisted(keep.client, prefix=keep.prefix)), answers

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncGenerator[Any]:
        async with contextlib.AsyncExitStack() as stack:
            state = await stack.enter_async_context(self._own_lifespan(app)) if self._own_lifespan is not None else None
            stack.push_async_callback(self._close)
            yield state

    async def _close(self) -> None:
        """End what the running event loop serves."""
        endpoint = self._endpoints.pop(asyncio.get_running_loop(), None)
        if endpoint is not None:
            await endpoint.close()


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
