"""One span an operation, in the trace of whoever asked, what lies below it, and nothing of what a client sent."""

from __future__ import annotations

import asyncio
import importlib
import json
import threading
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import pytest
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from redis.exceptions import ResponseError
from sqlalchemy import bindparam, event, select
from sqlmodel import col
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from graph.app import create_app
from graph.catalog.models import Product
from graph.endpoint.websocket import SUBPROTOCOL
from graph.jobs import Definition, Worker
from graph.patterns.client import RedisUnavailable, command, open_client
from graph.services import open_services
from graph.settings import RateLimitSettings, RedisSettings, ServerSettings, Settings
from graph.telemetry import telemetry
from graph.telemetry.spans import FOLLOWED, Telemetry
from harness.waiting import HANG, until, within
from tests.support.apps.answers import AnswersApp
from tests.support.apps.lifespan import Lifespan
from tests.support.apps.one_schema import schema_made_once
from tests.support.apps.recognised import recognising
from tests.support.apps.serving import serving
from tests.support.clients.raw_http import Connection, post
from tests.support.engines.migrated import migrated
from tests.support.models.truth import Truth

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterator
    from pathlib import Path

    from graph.patterns.client import Client
    from graph.services import Services
    from harness.valkey import ValkeyServer

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED, UNSAMPLED = f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-00"
THING = 'query Thing { thing(key: "a") { version } }'
PRODUCTS = "query Products($q: String) { products(first: 5, filter: {search: $q}) { nodes { sku } } }"


ReadableSpan: TypeAlias = Any
"""A span of the SDK, which is not installed where types are checked."""


class Spans:
    """What was exported."""

    def __init__(self, **options: Any) -> None:
        memory: Any = importlib.import_module("opentelemetry.sdk.trace.export.in_memory_span_exporter")
        exporting: Any = importlib.import_module("opentelemetry.sdk.trace.export")
        sdk: Any = importlib.import_module("opentelemetry.sdk.trace")
        self._exporter = memory.InMemorySpanExporter()
        provider = sdk.TracerProvider()
        provider.add_span_processor(exporting.SimpleSpanProcessor(self._exporter))
        self.telemetry = Telemetry(provider, **options)

    @property
    def all(self) -> list[ReadableSpan]:
        """Every span, in the order in which they ended."""
        return list(self._exporter.get_finished_spans())

    @property
    def operations(self) -> list[ReadableSpan]:
        """Those of operations."""
        return [one for one in self.all if one.name in {"query", "mutation", "subscription", "GraphQL Operation"}]

    def clear(self) -> None:
        """Forget them."""
        self._exporter.clear()


def parent_of(span: ReadableSpan) -> str | None:
    """The id of the span above."""
    return None if span.parent is None else format_span_id(span.parent.span_id)


def facts_of(span: ReadableSpan) -> dict[str, Any]:
    """The attributes of a span."""
    return dict(span.attributes or {})


def id_of(span: ReadableSpan) -> str:
    """The id of a span."""
    assert span.context is not None
    return format_span_id(span.context.span_id)


def trace_of(span: ReadableSpan) -> str:
    """The id of a span's trace."""
    assert span.context is not None
    return format_trace_id(span.context.trace_id)


class Traced:
    """The product's application, and its spans."""

    def __init__(self, app: Any, services: Services, web: httpx.AsyncClient, spans: Spans) -> None:
        self.app = app
        self.services = services
        self.web = web
        self.spans = spans

    async def ask(self, query: str, parent: str = SAMPLED, **variables: Any) -> httpx.Response:
        """POST one operation."""
        body = {"query": query, "variables": variables}
        return await self.web.post("/graphql", json=body, headers={"traceparent": parent} if parent else {})


@asynccontextmanager
async def traced(url: str, folder: Path, **options: Any) -> AsyncGenerator[Traced]:
    """Run the application with spans kept in memory."""
    spans = Spans(**options)
    settings = Settings(
        server=ServerSettings(data_dir=folder),
        redis=RedisSettings(url=url),
        rate_limit=RateLimitSettings(anonymous=1_000_000, authenticated=1_000_000),
    )
    migrated(folder / "graph.db")
    async with open_services(settings, spans.telemetry) as services:
        with schema_made_once():
            async with (
                Lifespan(create_app(settings, services)) as manager,
                httpx.AsyncClient(transport=httpx.ASGITransport(manager.app), base_url="http://test") as web,
            ):
                yield Traced(manager.app, services, web, spans)


@pytest.fixture
async def traces(client: Client, valkey: ValkeyServer, tmp_path: Path) -> AsyncIterator[Traced]:
    """The application, which traces only what its callers trace."""
    async with traced(valkey.url, tmp_path, ratio=0.0) as opened:
        yield opened


async def test_an_operation_is_a_span_in_its_callers_trace(traces: Traced) -> None:
    """It continues the trace of its ``traceparent``, tells its own span, and has Redis and SQL below it."""
    answer = await traces.ask(PRODUCTS, q="needle42")
    assert "errors" not in answer.json()
    (operation,) = traces.spans.operations
    assert (operation.name, operation.kind) == ("query", SpanKind.SERVER)
    assert (trace_of(operation), parent_of(operation)) == (TRACE, PARENT)
    assert answer.headers["traceresponse"] == f"00-{TRACE}-{id_of(operation)}-01"
    facts = facts_of(operation)
    assert facts["graphql.operation.type"] == "query"
    assert facts["graphql.operation.name"] == "Products"
    assert facts["graph.operation.source"] == "executed"
    below = [one for one in traces.spans.all if one is not operation]
    systems = {facts_of(one)["db.system.name"] for one in below}
    assert systems == {"redis", "sqlite"}
    assert {trace_of(one) for one in below} == {TRACE}
    assert {parent_of(one) for one in below} == {id_of(operation)}
    assert {one.kind for one in below} == {SpanKind.CLIENT}


async def test_no_span_has_what_a_client_sent(traces: Traced) -> None:
    """Neither variables, nor keys, nor the values of statements."""
    await traces.ask(PRODUCTS, q="needle42")
    await traces.ask('mutation { login(input: {email: "needle42@example.org", password: "needle42"}) { __typename } }')
    assert len(traces.spans.operations) == 2
    told = " ".join(one.to_json() for one in traces.spans.all)
    assert "needle42" not in told
    assert f"{traces.services.prefix}:" not in told


async def test_what_is_not_sampled_leaves_nothing(traces: Traced) -> None:
    """No parent, one that was not sampled, and what is no ``traceparent``; the answer tells of no trace either."""
    for parent in ("", UNSAMPLED, f"00-{'0' * 32}-{PARENT}-01", "00-xyz-01", "01" * 500):
        answer = await traces.ask(PRODUCTS, parent)
        assert "traceresponse" not in answer.headers
    assert traces.spans.all == []


async def test_what_is_not_sampled_is_read_as_without_traces(traces: Traced) -> None:
    """Past SQLAlchemy's execution, which costs a tenth of a page: what is sampled takes it, to be heard of."""
    database, telemetry = traces.services.database, traces.spans.telemetry
    statement = select(col(Product.id)).where(col(Product.sku) == bindparam("sku"))
    await database.rows(statement, {"sku": "none"})  # the pool has a connection
    heard: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *told: heard.append(told[2]))
    for parent, times in ((UNSAMPLED, 0), ("", 0), (SAMPLED, 1)):
        heard.clear()
        with telemetry.begin({"traceparent": parent}):
            await database.rows(statement, {"sku": "none"})
        assert sum("sku =" in one for one in heard) == times  # not what the application does by itself


async def test_refusals_and_bugs_are_told_by_their_codes(traces: Traced) -> None:
    """What the client did wrong is an attribute; only what the server did wrong is an error of the span."""
    await traces.ask("{ nothing }")
    await traces.ask("query Late { products(first: 1000) { nodes { sku } } }")
    for span, code in zip(traces.spans.operations, ("GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"), strict=True):
        assert facts_of(span)["error.type"] == code
        assert span.status.status_code is StatusCode.UNSET


async def test_a_page_is_no_operation(traces: Traced) -> None:
    """GraphiQL, and a preflight, leave no span."""
    await traces.web.get("/graphql", headers={"accept": "text/html", "traceparent": SAMPLED})
    await traces.web.options("/graphql", headers={"traceparent": SAMPLED})
    assert traces.spans.all == []


async def test_each_operation_of_a_batch_is_a_span(traces: Traced) -> None:
    """Below one for the request."""
    body = [{"query": "query One { __typename }"}, {"query": "query Two { __typename }"}]
    await traces.web.post("/graphql", json=body, headers={"traceparent": SAMPLED})
    names = {facts_of(one).get("graphql.operation.name"): one for one in traces.spans.operations}
    assert set(names) == {"One", "Two", None}
    assert parent_of(names[None]) == PARENT
    assert {parent_of(names[name]) for name in ("One", "Two")} == {id_of(names[None])}


@asynccontextmanager
async def on_socket(traces: Traced) -> AsyncGenerator[ClientConnection]:
    """A socket that was acknowledged."""
    async with (
        serving(traces.app) as port,
        connect(f"ws://127.0.0.1:{port}/graphql", subprotocols=[Subprotocol(SUBPROTOCOL)]) as socket,
    ):
        await socket.send('{"type": "connection_init"}')
        await socket.recv()
        yield socket


async def test_a_socket_carries_traces_in_extensions(traces: Traced) -> None:
    """An operation over WebSocket continues the trace that its ``extensions`` name; any other has none."""
    asked = [{"query": f"query Socket{n} {{ __typename }}"} for n in range(3)]
    carried: list[Any] = [{"traceparent": SAMPLED}, {"traceparent": {"a": 1}}, None]
    async with on_socket(traces) as socket:
        for payload, extensions in zip(asked, carried, strict=True):
            message = {"id": "1", "type": "subscribe", "payload": {**payload, "extensions": extensions}}
            await socket.send(json.dumps(message))
            async with within("the answer"):
                while json.loads(await socket.recv())["type"] != "complete":
                    pass
        await until(lambda: traces.spans.operations)
    (span,) = traces.spans.operations
    assert (trace_of(span), parent_of(span)) == (TRACE, PARENT)
    assert facts_of(span)["graphql.operation.name"] == "Socket0"


async def test_a_subscription_is_a_span_until_it_stands(client: Client, valkey: ValkeyServer, tmp_path: Path) -> None:
    """It ends when its client is admitted, not hours later; each event has a span of its own, in no client's trace."""
    async with traced(valkey.url, tmp_path, ratio=1.0) as traces, on_socket(traces) as socket:
        query = "query Followed @live { products(first: 1) { nodes { sku } } }"
        payload = {"query": query, "extensions": {"traceparent": SAMPLED}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        async with within("the first result"):
            assert json.loads(await socket.recv())["type"] == "next"
        await until(lambda: {trace_of(one) == TRACE for one in traces.spans.operations} == {True, False})
    (admission,) = (one for one in traces.spans.operations if trace_of(one) == TRACE)
    assert parent_of(admission) == PARENT
    assert {parent_of(one) for one in traces.spans.operations if one is not admission} == {None}


async def test_anybody_may_claim_to_be_sampled_but_not_always(traces: Traced) -> None:
    """Beyond so many a second the ratio decides, which is the operator's."""
    now = [7.0]
    tracer = Spans(ratio=0.0, clock=lambda: now[0]).telemetry
    begun = [tracer.begin({"traceparent": SAMPLED}) for _ in range(FOLLOWED + 30)]
    assert sum(one.__class__.__name__ != "nullcontext" for one in begun) == FOLLOWED
    now[0] += 1
    assert tracer.begin({"traceparent": SAMPLED}).__class__.__name__ != "nullcontext"
    deaf = Spans(ratio=0.0, obey_parents=False).telemetry
    assert deaf.begin({"traceparent": SAMPLED}).__class__.__name__ == "nullcontext"


async def test_a_job_is_below_the_operation_that_queued_it(traces: Traced) -> None:
    """Its attempt is a span of the same trace, with its own commands below; one that nobody traced leaves none."""
    services, spans = traces.services, traces.spans
    ran: list[str] = []

    async def work(_progress: Any, name: str) -> None:
        await services.client.execute("GET", "absent")
        ran.append(name)

    with spans.telemetry.begin({"traceparent": SAMPLED}) as span:
        assert span is not None
        span.describe("mutation", "Queue", "", "executed", 1)
        await services.jobs.enqueue("traced", {"name": "one"})
    await services.jobs.enqueue("traced", {"name": "two"})
    worker = Worker(services.jobs, [Definition("traced", work)], around=spans.telemetry.job)
    async with running(worker):
        await until(lambda: len(ran) == 2)
    (operation,) = spans.operations
    (queued,) = [one for one in spans.all if one.name == "jobs.enqueue"]
    assert parent_of(queued) == id_of(operation)
    assert queued.status.is_ok
    (attempt,) = [one for one in spans.all if one.name == "process traced"]
    assert (trace_of(attempt), parent_of(attempt), attempt.kind) == (TRACE, id_of(operation), SpanKind.CONSUMER)
    (command,) = [one for one in spans.all if one.name == "GET"]
    assert parent_of(command) == id_of(attempt)


async def test_a_write_that_waits_for_the_disk_and_fails_is_a_failed_span(traces: Traced) -> None:
    """An error of the server, and one of a client that was closed, end its span with what went wrong."""
    services, spans = traces.services, traces.spans
    await services.client.execute("SET", "text", "no list")
    with spans.telemetry.begin({"traceparent": SAMPLED}) as span:
        assert span is not None
        span.describe("mutation", "Fail", "", "executed", 1)
        with pytest.raises(ResponseError):
            await services.client.durable(command("LPUSH", "text", "one"))
    async with open_client(services.client.url, observe=spans.telemetry.redis) as client:
        await client.durable(command("SET", "text", "none"))
    with spans.telemetry.begin({"traceparent": SAMPLED}) as span:
        assert span is not None
        span.describe("mutation", "Late", "", "executed", 1)
        with pytest.raises(RedisUnavailable):
            await client.durable(command("RPUSH", "text", "one"))
    failures = {"LPUSH": "RedisRefused", "RPUSH": "RedisUnavailable"}
    await until(lambda: failures.keys() <= {one.name for one in spans.all})
    for name, error in failures.items():
        (failed,) = [one for one in spans.all if one.name == name]
        assert failed.attributes is not None
        assert failed.attributes["error.type"] == error


@asynccontextmanager
async def running(worker: Worker) -> AsyncGenerator[None]:
    """Run `worker` for the length of the block."""
    stop = asyncio.Event()
    task = asyncio.create_task(worker.run(stop))
    try:
        yield
    finally:
        stop.set()
        async with within("the worker's end"):
            await task


async def test_how_long_it_takes_has_the_trace_as_an_exemplar(traces: Traced) -> None:
    """In OpenMetrics' format, which Prometheus asks for."""
    await traces.ask("query Exemplary { __typename }")
    page = (await traces.web.get("/metrics", headers={"accept": "application/openmetrics-text"})).text
    lines = [line for line in page.splitlines() if "Exemplary" in line and "trace_id" in line]
    assert lines
    assert TRACE in lines[0]
    plain = await traces.web.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert TRACE not in plain.text


# --- the fast lane ---


@pytest.fixture
async def kept(valkey: ValkeyServer) -> AsyncIterator[tuple[Spans, AnswersApp, Client]]:
    """An application whose answers are kept, and which traces only what its callers trace."""
    truth = Truth()
    truth.versions["a"] = 1
    spans = Spans(ratio=0.0)
    async with open_client(valkey.url, observe=spans.telemetry.redis) as client:
        app = AnswersApp(client, truth, express=True, tracing=spans.telemetry)
        app.endpoint.engine.operations.prepare(THING)
        yield spans, app, client
        await app.close()


async def test_the_fast_lane_stays(kept: tuple[Spans, AnswersApp, Client], expressed: list[bool]) -> None:
    """What is traced does not leave it, and its answer differs in ``traceresponse`` alone; Redis is below its span."""
    spans, app, _ = kept
    body = json.dumps({"query": THING}).encode()
    other = b"traceparent: 00-%032d-%016d-00\r\n"
    sampled = post(body, extra=b"TraceParent: %b\r\n" % SAMPLED.encode())
    async with (
        recognising(app) as port,
        Connection(port) as connection,
    ):
        await connection.ask(post(body), 4)
        fast = len(expressed)
        assert fast
        for n in range(1, 11):
            connection.writer.write(post(body, extra=other % (n, n)))
            assert b"traceresponse" not in (await connection.read()).headers
        assert len(expressed) == fast + 10
        assert spans.all == []
        connection.writer.write(sampled)
        traced = await connection.read()
        connection.writer.write(post(body))
        again = await connection.read()
        assert len(expressed) == fast + 12
    (span,) = spans.operations
    assert traced.headers[b"traceresponse"] == f"00-{TRACE}-{id_of(span)}-01".encode()
    assert b"traceresponse" not in again.headers
    assert traced.body == again.body
    assert (span.name, parent_of(span), trace_of(span)) == ("query", PARENT, TRACE)
    facts = facts_of(span)
    assert facts["graph.operation.source"] == "kept"
    assert facts["graphql.operation.name"] == "Thing"
    (redis,) = [one for one in spans.all if one is not span]
    assert parent_of(redis) == id_of(span)
    assert facts_of(redis)["db.system.name"] == "redis"


async def test_what_the_fast_lane_hands_on_keeps_its_span(
    kept: tuple[Spans, AnswersApp, Client], expressed: list[bool]
) -> None:
    """The answer is gone from Redis: it is made anew, below the span that was begun before anything was parsed."""
    spans, app, client = kept
    body = json.dumps({"query": THING}).encode()
    state = f"tracestate: shop=1\r\nTraceParent: {SAMPLED}\r\n".encode()
    async with (
        recognising(app) as port,
        Connection(port) as connection,
    ):
        await connection.ask(post(body), 4)
        await client.execute("FLUSHDB")
        fast = len(expressed)
        connection.writer.write(post(body, extra=state))
        traced = await connection.read()
        assert len(expressed) == fast
    (span,) = spans.operations
    assert traced.headers[b"traceresponse"] == f"00-{TRACE}-{id_of(span)}-01".encode()
    assert (parent_of(span), trace_of(span)) == (PARENT, TRACE)
    assert span.context.trace_state.get("shop") == "1"
    assert facts_of(span)["graph.operation.source"] == "executed"
    below = [one for one in spans.all if one is not span]
    assert len(below) > 1
    assert {parent_of(one) for one in below} == {id_of(span)}


async def test_a_part_of_what_is_fast_is_traced(client: Client, expressed: list[bool]) -> None:
    """With a ratio of a half about half of the requests have a span, and none leaves the fast lane."""
    truth = Truth()
    truth.versions["a"] = 1
    spans = Spans(ratio=0.5)
    app = AnswersApp(client, truth, express=True, tracing=spans.telemetry)
    app.endpoint.engine.operations.prepare('query Thing { thing(key: "a") { version } }')
    body = json.dumps({"query": 'query Thing { thing(key: "a") { version } }'}).encode()
    async with (
        recognising(app) as port,
        Connection(port) as connection,
    ):
        await connection.ask(post(body), 4)
        spans.clear()
        fast = len(expressed)
        await connection.ask(post(body), 400)
    assert len(expressed) - fast == 400
    assert 100 < len(spans.operations) < 300  # a binomial of 400 and 1/2 leaves this once in 10^23
    await app.close()


# --- configuration ---


class Collector(HTTPServer):
    """Takes what is exported over HTTP."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        super().__init__(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server_port}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        got = self.got

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                got.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
                pass

        return Handler


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on a port of its own."""
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(HANG)


async def test_spans_go_to_the_collector_of_the_environment(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Configured as OpenTelemetry's own variables say; closing sends what is left."""
    assert telemetry() is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert telemetry() is None
    monkeypatch.delenv("OTEL_SDK_DISABLED")
    made = telemetry()
    assert made is not None
    with made.begin({}) as span:
        assert span is not None
        span.describe("query", "Exported", "", "executed", 1)
    await made.close()
    ((path, body),) = collector.got
    assert path == "/v1/traces"
    assert b"Exported" in body
    assert b"service.name" in body
