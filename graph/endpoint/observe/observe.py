"""Metrics and the access log of everything that is served.

`Observed` wraps an ASGI application: each request is counted and timed, and each is a line of the access log: compact
on a terminal, a JSON object elsewhere. What runs inside adds facts to its line with `annotate` (the operation's name,
how the answer was made). Lines are gathered and written every 50 ms, so that a request costs a few microseconds; what
is still unwritten when the process is killed is lost. A token or a variable never gets into a line: only the path
without its query string is written.

Metrics: ``graph_http_requests_total{route, method, status}``, ``graph_http_request_seconds{route}`` (until the last
byte of the answer was handed over), ``graph_http_requests_in_progress`` and ``graph_websocket_connections``.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter, time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import orjson
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("graph_http_requests_total", "Requests answered.", ["route", "method", "status"])
SECONDS = Histogram(
    "graph_http_request_seconds",
    "Time until the last byte of the answer was handed over.",
    ["route"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
IN_PROGRESS = Gauge("graph_http_requests_in_progress", "Requests under way.", multiprocess_mode="livesum")
SOCKETS = Gauge("graph_websocket_connections", "Open WebSocket connections.", multiprocess_mode="livesum")

FACTS = "graph.facts"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
FLUSH_INTERVAL = 0.05
"""Seconds within which a line is written."""
ABORTED = 499
"""Logged and counted (nginx's habit) for a client that went away before its answer began."""


def annotate(scope: Scope, **facts: str | float | None) -> None:
    """Add `facts` to the access-log line of the request behind `scope`, where it is observed."""
    if (found := scope.get(FACTS)) is not None:
        found.update(facts)


def route_path(scope: Scope) -> str:
    """The path of a request as the server's own routes spell it: no prefix, no slash at the end."""
    path: str = scope["path"].removeprefix(scope.get("root_path", ""))
    return path.rstrip("/") or "/"


class Line(NamedTuple):
    """One request as the access log tells it. `at` is Unix time, `seconds` how long it took."""

    at: float
    method: str
    path: str
    status: int
    seconds: float
    address: str
    facts: dict[str, Any]


class AccessLog:
    """Gathers lines and hands them to `write` as bytes; `style` and `color` as in ``graph.log``."""

    def __init__(
        self, write: Callable[[bytes], object], *, style: Literal["text", "json"], color: bool = False
    ) -> None:
        self._write = write
        self._format = json_line if style == "json" else (color_line if color else text_line)
        self._lines: list[Line] = []

    def add(self, line: Line) -> None:
        """Take `line`; it is written within `FLUSH_INTERVAL`."""
        if not self._lines:
            asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self.flush)
        self._lines.append(line)

    def flush(self) -> None:
        """Write what has gathered."""
        lines, self._lines = self._lines, []
        if lines:
            self._write(b"".join(map(self._format, lines)))


@lru_cache(maxsize=8)
def _utc(second: int) -> str:
    """A second of Unix time in RFC 3339, without its end; lines of one second share it."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


@lru_cache(maxsize=8)
def _clock(second: int) -> str:
    """A second of Unix time on the clock here."""
    return f"{datetime.fromtimestamp(second).astimezone():%H:%M:%S}"


def json_line(line: Line) -> bytes:
    """One JSON object and a newline."""
    second = int(line.at)
    at = f"{_utc(second)}.{int((line.at - second) * 1000):03}Z"
    return orjson.dumps(
        {
            "time": at,
            "level": "info",
            "logger": "access",
            "method": line.method,
            "path": line.path,
            "status": line.status,
            "ms": round(line.seconds * 1000, 2),
            "address": line.address,
            **line.facts,
        },
        default=str,
        option=orjson.OPT_APPEND_NEWLINE,
    )


def text_line(line: Line) -> bytes:
    """``20:15:03  200    3.2 ms  POST /graphql  Catalog cache=hit``."""
    return _text(line, "{}".format, "{}".format)


def color_line(line: Line) -> bytes:
    """The same with the time dimmed and the status coloured."""
    tint = {2: "32", 3: "36", 4: "33", 5: "31"}.get(line.status // 100, "0")
    return _text(line, "\x1b[2m{}\x1b[0m".format, f"\x1b[{tint}m{{}}\x1b[0m".format)


def _text(line: Line, dim: Callable[[str], str], tint: Callable[[str], str]) -> bytes:
    took = f"{line.seconds * 1000:8.1f} ms" if line.seconds < 10 else f"{line.seconds:8.1f} s "  # noqa: PLR2004 - 10 s
    facts = dict(line.facts)
    name = _printable(str(facts.pop("operation", None) or ""))
    rest = _printable(" ".join(f"{key}={value}" for key, value in facts.items() if value is not None))
    words = [
        dim(_clock(int(line.at))),
        tint(str(line.status)),
        took,
        f"{line.method} {_printable(line.path)}",
        name,
        dim(rest),
    ]
    return ("  ".join(words if rest else words[:-1]).rstrip() + "\n").encode(errors="backslashreplace")


def _printable(text: str) -> str:
    """A client chose this text: whatever could forge a line or move a terminal's cursor is shown, not obeyed."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


class Tally:
    """Counts what is answered below the application, many at once and a moment later: `Observed.tally` makes it."""

    def __init__(self, method: str, path: str, route: str, log: AccessLog | None) -> None:
        self._log = log
        self._method = method
        self._path = path
        self._route = route
        self._seconds = SECONDS.labels(route)
        self._took: list[float] = []
        self._aborted = 0  # of those
        self._under_way = self._told = 0
        self._due = False

    def begin(self) -> None:
        """A request is under way."""
        self._under_way += 1
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_later(FLUSH_INTERVAL, self._flush)

    def end(self, status: int, began: float, address: str, operation: str | None) -> None:
        """It was answered 200, given up by its client (499), or handed on to the application (0), which counts it.

        `began` is of `time.perf_counter`.
        """
        self._under_way -= 1
        if not status:
            return
        took = perf_counter() - began
        self._took.append(took)
        if status == ABORTED:
            self._aborted += 1
        if self._log is not None:
            facts = {"operation": operation} | ({"cache": "hit"} if status != ABORTED else {})
            self._log.add(Line(time() - took, self._method, self._path, status, took, address, facts))

    def _flush(self) -> None:
        took, self._took = self._took, []
        aborted, self._aborted = self._aborted, 0
        REQUESTS.labels(self._route, self._method, "200").inc(len(took) - aborted)
        if aborted:
            REQUESTS.labels(self._route, self._method, str(ABORTED)).inc(aborted)
        for seconds in took:
            self._seconds.observe(seconds)
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

    def tally(self, method: str, path: str) -> Tally:
        """What counts and logs the answers to `method` and `path` that never come through here."""
        log = None if path.startswith(self._quiet) else self._log
        return Tally(method, path, self._routes.get(path, "other"), log)

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


def exposition() -> tuple[bytes, str]:
    """Every metric in Prometheus' text format, of all server processes together, and its content type."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST
