"""Counts, times and logs every request of an ASGI application.

`Observed` wraps the application; `Tally` does the same for what is answered below it, many requests at once and a
moment later.
"""

from __future__ import annotations

import asyncio
from time import perf_counter, time
from typing import TYPE_CHECKING, Any

from graph.endpoint.observe.access_log import FACTS, FLUSH_INTERVAL, Line
from graph.endpoint.observe.metrics import IN_PROGRESS, REQUESTS, SECONDS, SOCKETS, observe_all

if TYPE_CHECKING:
    from collections.abc import Collection

    from prometheus_client import Counter
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from graph.endpoint.observe.access_log import AccessLog
    from graph.endpoint.observe.operations import OperationMetrics

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
ABORTED = 499
"""The status that is logged and counted, as nginx does, for a client that went away before its answer began."""


def route_path(scope: Scope) -> str:
    """The path of a request as the server's own routes spell it: no prefix, no slash at the end."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path.rstrip("/") or "/"


class Tally:
    """Counts what is answered below the application, many at once and a moment later: `Observed.tally` makes it."""

    def __init__(
        self, path: str, route: str, log: AccessLog | None, operations: OperationMetrics | None = None
    ) -> None:
        self._log = log
        self._path = path
        self._route = route
        self._seconds = SECONDS.labels(route)
        self._took: dict[str | None, tuple[list[float], list[int]]] = {}  # seconds and costs, by operation
        self._others: list[float] = []  # seconds of requests whose operation is counted elsewhere
        self._answered: dict[tuple[str, int], int] = {}  # by method and status
        self._operations = operations
        self._under_way = self._told = 0
        self._due = False

    def begin(self) -> None:
        """Count a request that has begun."""
        self._under_way += 1
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self._flush)

    def end(self, method: str, status: int, began: float, address: str, *, operation: str | None, cost: int) -> None:
        """It was answered, given up by its client (499), or handed on to the application (0), which counts it.

        `began` is of `time.perf_counter`.
        """
        if not status:
            self._under_way -= 1
            return
        if status == ABORTED:
            self.executed(method, status, began, address, {"operation": operation})
            return
        self._under_way -= 1
        took = perf_counter() - began
        try:
            seconds, costs = self._took[operation]
        except KeyError:
            seconds, costs = self._took[operation] = [], []
        seconds.append(took)
        costs.append(cost)
        self._note(method, status, took, address, {"operation": operation, "cache": "hit"})

    def executed(self, method: str, status: int, began: float, address: str, facts: dict[str, Any]) -> None:
        """Its operation was executed, which counts that; `facts` are for its line."""
        self._under_way -= 1
        took = perf_counter() - began
        self._others.append(took)
        self._note(method, status, took, address, facts)

    def _note(self, method: str, status: int, took: float, address: str, facts: dict[str, Any]) -> None:
        self._answered[method, status] = self._answered.get((method, status), 0) + 1
        if self._log is not None:
            self._log.add(Line(time() - took, method, self._path, status, took, address, facts))

    def _flush(self) -> None:
        took, self._took = self._took, {}
        others, self._others = self._others, []
        answered, self._answered = self._answered, {}
        for (method, status), count in answered.items():
            REQUESTS.labels(self._route, method, str(status)).inc(count)
        observe_all(self._seconds, others)
        for operation, (seconds, costs) in took.items():
            observe_all(self._seconds, seconds)
            if self._operations is not None:
                self._operations.kept(operation, seconds, costs)
        IN_PROGRESS.inc(self._under_way - self._told)
        self._told = self._under_way
        self._due = self._under_way > 0
        if self._due:
            asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self._flush)


class Observed:
    """Count, time and log every request of `app`.

    `routes` are the paths worth a label of their own; whatever else is asked for is the route ``other``, so that a
    stranger cannot make new time series. Paths that begin with one of `quiet` are counted but not logged. Without
    `log` nothing is logged.
    """

    def __init__(
        self, app: ASGIApp, *, routes: Collection[str], quiet: Collection[str] = (), log: AccessLog | None = None
    ) -> None:
        self._app = app
        self._log = log
        self._routes = {path: path for path in routes}
        self._quiet = tuple(quiet)
        self._seconds = {route: SECONDS.labels(route) for route in (*routes, "other")}
        self._requests: dict[tuple[str, str, int], Counter] = {}

    def tally(self, path: str, operations: OperationMetrics | None = None) -> Tally:
        """A `Tally` for answers to requests for `path` that bypass this application; `operations` count them, too."""
        log = None if path.startswith(self._quiet) else self._log
        return Tally(path, self._routes.get(path, "other"), log, operations)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, one WebSocket connection or the lifespan."""
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)
            if self._log is not None:
                self._log.flush()

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        status = ABORTED

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        facts: dict[str, Any] = {}
        scope[FACTS] = facts
        IN_PROGRESS.inc()
        try:
            await self._app(scope, receive, watch)
        except Exception:
            status = 500
            raise
        finally:
            IN_PROGRESS.dec()
            status = facts.pop("status", status)
            self._done(scope, scope["method"], status, perf_counter() - started, facts)

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        status = 403  # what the server answers when the handshake is refused

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "websocket.accept":
                status = 101
            elif message["type"] == "websocket.http.response.start":
                status = message["status"]
            await send(message)

        facts: dict[str, Any] = {}
        scope[FACTS] = facts
        SOCKETS.inc()
        try:
            await self._app(scope, receive, watch)
        finally:
            SOCKETS.dec()
            self._done(scope, "WS", status, perf_counter() - started, facts)

    def _done(self, scope: Scope, method: str, status: int, seconds: float, facts: dict[str, Any]) -> None:
        asked: str = scope["path"]
        route = self._routes.get(path := route_path(scope), "other")
        label = method if method in METHODS or method == "WS" else "other"
        counter = self._requests.get((route, label, status))
        if counter is None:
            counter = self._requests[route, label, status] = REQUESTS.labels(route, label, str(status))
        counter.inc()
        if method != "WS":
            self._seconds[route].observe(seconds)
        if self._log is not None and not path.startswith(self._quiet):
            client = scope.get("client")
            self._log.add(Line(time() - seconds, method, asked, status, seconds, client[0] if client else "", facts))
