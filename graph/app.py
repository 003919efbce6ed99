"""The ASGI application: GraphQL, GraphiQL, the console, pages of boards, health, metrics.

`create_app` builds it; its lifespan opens the services, or uses those it was given, and closes only what it opened.
GraphQL requests go straight to the endpoint; everything else runs on FastAPI (`Application.web`, where a product adds
routes of its own).

``/healthz`` answers 200 while the process serves. ``/readyz`` answers 200 while the SQL database answers and 503 while
it does not: without Redis the catalog is still served (from SQL), so an absent Redis is told in the body and does not
take the process out of a balancer.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from graph import __version__, apikeys, leaderboard
from graph.api.auth import SessionAuthenticator
from graph.api.console import console_sections, documents_of
from graph.api.context import Context
from graph.api.cookie import SessionCookie
from graph.api.leaderboard import BoardPage
from graph.api.schema import build_schema
from graph.endpoint import GraphQLEndpoint
from graph.endpoint.admission import Admission, RateLimit
from graph.endpoint.document import Bounds, Persisted, read_manifest
from graph.endpoint.http import Assets, Elsewhere, GraphiqlPage, Origins, StaticPage, wants_graphiql
from graph.endpoint.kept import EXPRESS, KeptAnswers
from graph.endpoint.observe import Observed, OperationMetrics, OperationNames, OwnActivity, exposition, route_path
from graph.endpoint.websocket import SocketLimits
from graph.feature import load_app
from graph.patterns.limiter import Fleet
from graph.patterns.roster import Roster
from graph.services import open_services
from graph.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from starlette.requests import HTTPConnection
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from graph.endpoint.identity import Caller
    from graph.endpoint.observe import AccessLog, Tally
    from graph.services import Services

GRAPHQL = "/graphql"
CONSOLE = "/console"
BOARD = "/board/{slug}"
HEALTH = ("/healthz", "/readyz", "/metrics")
STATIC = Path(__file__).parent / "static"
READY_DEADLINE = 2.0
"""Seconds that ``/readyz`` waits for SQL and for Redis."""


class Application:
    """Sends ``/graphql`` (or ``/graphql/``) to the endpoint and everything else to `web`."""

    def __init__(self, web: FastAPI) -> None:
        """Serve `web` and, once the lifespan has set it, `endpoint`."""
        self.web = web
        self.endpoint: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one WebSocket connection or the lifespan."""
        if scope["type"] == "lifespan":
            await self.web(scope, receive, _without_failure(send))
        elif route_path(scope) != GRAPHQL:
            await self.web(scope, receive, send)
        elif self.endpoint is not None:
            await self.endpoint(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1001})
        else:  # the time to finish what was under way is over
            error = {"message": "The server has stopped.", "extensions": {"code": "UNAVAILABLE"}}
            await JSONResponse({"errors": [error]}, 503, {"Retry-After": "1"})(scope, receive, send)


def _without_failure(send: Send) -> Send:
    """Return `send` for a lifespan that may be cancelled, as after a second Ctrl-C: that is no failure of its end."""

    async def tell(message: Message) -> None:
        ended = message["type"] == "lifespan.shutdown.failed" and isinstance(sys.exception(), asyncio.CancelledError)
        await send({"type": "lifespan.shutdown.complete"} if ended else message)

    return tell


def create_app(
    settings: Settings | None = None,
    services: Services | None = None,
    *,
    log: AccessLog | None = None,
    on_started: Callable[[], None] = lambda: None,
    metrics_beside: Path | None = None,
) -> ASGIApp:
    """Build the application.

    Args:
        settings: Read from the environment when they are left out, so that a process manager can call this alone.
        services: Open ones to use; without them the lifespan opens and closes its own.
        log: Where the access log goes; None keeps none.
        on_started: Called once everything is open, before the first request.
        metrics_beside: Folder of the metrics of processes beside this one, which ``/metrics`` adds to its own.
    """
    settings = settings or Settings.from_environment()

    @asynccontextmanager
    async def lifespan(web: FastAPI) -> AsyncGenerator[dict[str, Any]]:
        async with AsyncExitStack() as stack:
            opened = services or await stack.enter_async_context(open_services(settings))
            web.state.services = opened
            metrics = OperationMetrics(OperationNames(settings.endpoint.metrics_operations))
            tally = observed.tally(GRAPHQL, metrics)
            fleet = Fleet(opened.client, prefix=opened.prefix, window=settings.rate_limit.window_seconds)
            await stack.enter_async_context(fleet)
            own = OwnActivity("server", __version__)
            await stack.enter_async_context(Roster(opened.client, own, prefix=opened.prefix))
            endpoint = await stack.enter_async_context(
                build_endpoint(opened, settings, metrics=metrics, tally=tally, fleet=fleet)
            )
            application.endpoint = endpoint
            on_started()
            yield {EXPRESS: endpoint.express}
            application.endpoint = None

    web = FastAPI(title="graph", openapi_url=None, lifespan=lifespan)
    application = Application(web)
    elsewhere = Elsewhere(GRAPHQL, Origins(cors_origins(settings)))
    elsewhere.attach(web)
    _add_routes(web, elsewhere, metrics_beside)
    app = load_app(settings.server.app)
    if settings.endpoint.console and (sections := console_sections(app)):
        told = {"sections": " ".join(sections)}
        _add_page(web, CONSOLE, StaticPage(STATIC / "console" / "index.html", told=told))
    if leaderboard.FEATURE in app.features:
        _add_board(web, BoardPage(STATIC / "board"))
    observed = Observed(application, routes=(GRAPHQL, CONSOLE, *HEALTH), quiet=(*HEALTH, "/static/"), log=log)
    return observed


def build_endpoint(
    services: Services,
    settings: Settings,
    *,
    metrics: OperationMetrics | None = None,
    tally: Tally | None = None,
    fleet: Fleet | None = None,
) -> GraphQLEndpoint[Context]:
    """The GraphQL endpoint on open services.

    `metrics` count operations; `tally` hears of each answer given before the application; `fleet` knows the other
    processes.
    """
    origins = cors_origins(settings)
    cookie = SessionCookie(
        secure=settings.accounts.secure_cookie or settings.server.tls_certificate is not None,
        origins=origins,
        max_age=settings.accounts.lifetime,
    )
    api_keys = services.find(apikeys.FEATURE)
    authenticator = SessionAuthenticator(
        services.client, services.sessions, services.revocations, cookie, restore=api_keys and api_keys.restore
    )
    limits = settings.rate_limit
    admission = Admission(
        services.limiter,
        budget=authenticator.budget,
        limit=authenticator.limit,
        authenticated=limits.authenticated,
        anonymous=limits.anonymous,
        window=limits.window_seconds,
        mode=limits.mode,
        processes=settings.server.workers,
        fleet=fleet,
        prefix=settings.redis.prefix,
    )
    page = GraphiqlPage(STATIC / "graphiql")
    debug = settings.server.debug

    def context(caller: Caller, connection: HTTPConnection, response: Response | None) -> Context:
        return Context(services, caller, connection, response, cookie=cookie)

    return GraphQLEndpoint(
        build_schema(services.app, extensions=[lambda: RateLimit(admission)]),
        authenticator=authenticator,
        admission=admission,
        context=context,
        bounds=bounds(settings),
        prepared_bytes=settings.endpoint.prepared_bytes,
        persisted=persisted(services, settings),
        kept=KeptAnswers(
            services.client,
            services.answers,
            enabled=settings.cache.responses,
            debug=debug,
            tally=tally,
            forwarded=bool(settings.server.trusted_proxies),
            mutations=True,
        ),
        sockets=socket_limits(settings),
        page=(lambda request: page.response(request.scope) if wants_graphiql(request.scope) else None)
        if settings.endpoint.graphiql
        else lambda _: None,
        origins=origins,
        debug=debug,
        metrics=metrics,
        slow=settings.endpoint.slow_seconds,
        tracing=services.telemetry,
    )


def cors_origins(settings: Settings) -> list[str]:
    """The origins whose pages may use the endpoint."""
    return [origin.strip() for origin in settings.endpoint.cors_origins.split(",") if origin.strip()]


def bounds(settings: Settings) -> Bounds:
    """What one request may take."""
    most = settings.bounds
    return Bounds(
        body=most.body,
        files=most.files,
        file=most.file,
        form=most.form,
        tokens=most.tokens,
        depth=most.depth,
        aliases=most.aliases,
        directives=most.directives,
        complexity=most.complexity,
        batch=most.batch,
        page=most.page,
        deadline=most.seconds,
        introspection=settings.endpoint.introspection,
    )


def socket_limits(settings: Settings) -> SocketLimits:
    """What one connection with subscriptions may take."""
    most = settings.bounds
    return SocketLimits(message_size=most.body, operations=most.operations, queue=most.backlog)


def persisted(services: Services, settings: Settings) -> Persisted:
    """The documents that clients may name by their hash; where no other runs, those of this server's pages, too."""
    manifest, only = settings.endpoint.trusted_manifest, settings.endpoint.trusted_documents == "only"
    trusted = read_manifest(manifest) if manifest is not None else {}
    if only:
        for page in ("console", "board") if settings.endpoint.console else ("board",):
            trusted |= {text: text for text in documents_of(STATIC / page)}
    return Persisted(
        services.client,
        trusted=trusted,
        only=only,
        prefix=settings.redis.prefix,
    )


def _add_routes(web: FastAPI, elsewhere: Elsewhere, metrics_beside: Path | None) -> None:
    web.mount("/static", Assets(directory=STATIC), name="static")

    async def front(request: Request) -> Response:
        return elsewhere.redirect(request)

    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def readyz() -> JSONResponse:
        services: Services | None = getattr(web.state, "services", None)
        if services is None:
            return JSONResponse({"status": "starting"}, 503)
        sql, redis = await asyncio.gather(_check(services.database.ping()), _check(services.client.execute("PING")))
        redis = "refuses" if services.client.refusal else redis
        status = "unavailable" if sql else "degraded" if redis else "ok"
        return JSONResponse({"status": status, "sql": sql or "ok", "redis": redis or "ok"}, 503 if sql else 200)

    def metrics(request: Request) -> Response:  # FastAPI runs it in a thread: many series take a while to print
        body, content_type = exposition(request.headers.get("accept", ""), beside=metrics_beside)
        return Response(body, media_type=content_type)

    for path, handler in (("/", front), ("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        web.add_api_route(path, handler, methods=["GET", "HEAD"], response_model=None)


def _add_page(web: FastAPI, path: str, page: StaticPage) -> None:
    """Serve `page` at `path`, with and without a slash behind it."""

    async def shown(request: Request) -> Response:
        return page.response(request.scope)

    for spelling in (path, f"{path}/"):
        web.add_api_route(spelling, shown, methods=["GET", "HEAD"], response_model=None)


def _add_board(web: FastAPI, page: BoardPage) -> None:
    """Serve the page of each board."""

    async def shown(request: Request, slug: str) -> Response:
        services: Services | None = getattr(web.state, "services", None)
        return await page.response(request.scope, slug, services and services.leaderboards)

    for spelling in (BOARD, f"{BOARD}/"):
        web.add_api_route(spelling, shown, methods=["GET", "HEAD"], response_model=None)


async def _check(probe: Awaitable[Any]) -> str | None:
    """What is wrong, in a word that tells a stranger nothing of the inside; None when all is well."""
    try:
        await asyncio.wait_for(probe, READY_DEADLINE)
    except TimeoutError:
        return "slow"
    except Exception:  # noqa: BLE001 - whatever it is, it is not well
        return "away"
    return None
