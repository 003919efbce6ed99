"""The tracer: decides what is sampled, and makes the spans of operations, Redis batches, SQL statements and jobs.

The decision is made here before anything of OpenTelemetry runs, so that an operation that is not sampled costs next to
nothing. A parent that was sampled is followed (W3C ``traceparent``, in a header or in a WebSocket operation's
``extensions``), but anybody may claim one: beyond `FOLLOWED` a second the ratio decides.

No span has a value that a client sent, or a key: names of commands and scripts, SQL with its placeholders, hashes.
Attributes are those of OpenTelemetry's semantic conventions for GraphQL servers and database clients.
"""

from __future__ import annotations

import asyncio
import random
import re
import time
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol, Self

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from graph.telemetry.redis import RedisSpans
from graph.telemetry.sql import SqlSpans

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from sqlalchemy import Engine

FOLLOWED = 50
"""Parents a second that are followed because they say that they were sampled."""
GOODBYE = 5.0
"""Seconds that the last spans get to be exported."""

_PARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")
_NAME = 64
_FAULTS = frozenset({"INTERNAL_SERVER_ERROR", "UNAVAILABLE", "DEADLINE_EXCEEDED"})
"""Codes of errors that are the server's, not the client's."""
_W3C = TraceContextTextMapPropagator()
_ACTIVE: ContextVar[_Spanned | None] = ContextVar("graph_operation_span", default=None)


class Provider(Protocol):
    """What is used of the SDK's `TracerProvider`."""

    def get_tracer(self, instrumenting_module_name: str, /) -> Tracer:
        """What begins spans."""
        ...

    def force_flush(self, timeout_millis: int = ..., /) -> bool:
        """Export what has ended."""
        ...

    def shutdown(self) -> None:
        """Stop."""
        ...


class Telemetry:
    """The tracer of one process."""

    def __init__(
        self,
        provider: Provider,
        *,
        ratio: float = 1.0,
        obey_parents: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make spans by `provider` for a `ratio` of operations, and for those whose parent was sampled."""
        self._provider = provider
        self._tracer = provider.get_tracer("graph")
        self._ratio = ratio
        self._obey = obey_parents
        self._clock = clock
        self._second = 0
        self._followed = 0
        self.redis = RedisSpans(self._tracer, self.current_span)
        """Hears of each batch of Redis commands."""
        self._sql = SqlSpans(self._tracer, self.current_span)

    # --- graph.endpoint.observe.Tracing ---

    def apart(self, parent: bytes, carrier: Callable[[], Mapping[str, str]]) -> _Spanned | None:
        """A span that is in force `_Spanned.below` alone, until it is ended; None where the request is not sampled."""
        wanted = self._sampled(parent.decode("latin-1")) if parent else self._chosen()
        return self._request(carrier()) if wanted else None

    def begin(self, carrier: Mapping[str, str], begun: object = None) -> AbstractContextManager[_Spanned | None]:
        """A span for the length of a block: the one that was `begun`, else one below the one that `carrier` names."""
        if isinstance(begun, _Spanned):
            return begun
        return self._request(carrier) if self._sampled(carrier.get("traceparent") or "") else _UNSAMPLED

    def _request(self, carrier: Mapping[str, str]) -> _Spanned:
        followed = self._obey and carrier.get("traceparent")
        below = _W3C.extract(carrier, context_api.Context()) if followed else context_api.Context()
        return _Spanned(self._tracer, "GraphQL Operation", SpanKind.SERVER, below)

    def event(self) -> AbstractContextManager[_Spanned | None]:
        """A span for one event of a subscription, which is nobody's request."""
        if not self._sampled(""):
            return _UNSAMPLED
        return _Spanned(self._tracer, "GraphQL Operation", SpanKind.INTERNAL, context_api.Context())

    def part(self) -> AbstractContextManager[_Spanned | None]:
        """A span below the one in force, for one operation of several."""
        active = self.current()
        return _UNSAMPLED if active is None else _Spanned(self._tracer, "GraphQL Operation", SpanKind.INTERNAL, None)

    def current(self) -> _Spanned | None:
        """The span in force."""
        active = _ACTIVE.get()
        return active if active is not None and active.span.is_recording() else None

    def end(self) -> None:
        """End the span in force now."""
        active = self.current()
        if active is not None:
            active.end()

    def _sampled(self, parent: str) -> bool:
        if self._obey and _PARENT.fullmatch(parent):
            if not int(parent[53:55], 16) & 1:
                return False
            now = int(self._clock())
            if now != self._second:
                self._second, self._followed = now, 0
            if self._followed < FOLLOWED:
                self._followed += 1
                return True
        return self._chosen()

    def _chosen(self) -> bool:
        return random.random() < self._ratio  # noqa: S311 - not a secret

    # --- what lies below ---

    def current_span(self) -> Span | None:
        """OpenTelemetry's span in force."""
        active = self.current()
        return active.span if active is not None else None

    def listens(self) -> bool:
        """Whether what runs now is below a span."""
        return self.current() is not None

    def watch_sql(self, engine: Engine) -> None:
        """Make a span of each statement that `engine` runs below a span."""
        self._sql.watch(engine)

    # --- jobs ---

    def parent(self) -> str:
        """The ``traceparent`` of the span in force, for a job that it queues; empty where none is."""
        active = self.current()
        return active.response if active is not None else ""

    def job(self, name: str, job: str, attempt: int, parent: str) -> AbstractContextManager[_Spanned | None]:
        """The span of one attempt at a job, below the operation that queued it if that was traced."""
        if not self._sampled(parent):
            return _UNSAMPLED
        below = _W3C.extract({"traceparent": parent}, context_api.Context())
        made = _Spanned(self._tracer, f"process {name}", SpanKind.CONSUMER, below)
        made.note({"messaging.operation.name": "process", "messaging.destination.name": name})
        made.note({"messaging.message.id": job, "graph.job.attempt": attempt})
        return made

    # --- the end ---

    async def close(self) -> None:
        """Export what is left, and stop."""
        await asyncio.to_thread(self._provider.force_flush, int(GOODBYE * 1000))
        await asyncio.to_thread(self._provider.shutdown)


class _Spanned:
    """A span that is in force for the length of a block (`graph.endpoint.observe.OperationSpan`)."""

    __slots__ = ("_context", "_described", "_tokens", "span")

    def __init__(self, tracer: Tracer, name: str, kind: SpanKind, below: Context | None) -> None:
        self.span = tracer.start_span(name, below, kind)
        self._context = below
        self._described = False
        self._tokens: tuple[Any, Any] | None = None

    @property
    def trace_id(self) -> str:
        """The trace that it belongs to, in hexadecimal."""
        return trace.format_trace_id(self.span.get_span_context().trace_id)

    @property
    def response(self) -> str:
        """The span as a ``traceparent`` or ``traceresponse`` names it."""
        return f"00-{self.trace_id}-{trace.format_span_id(self.span.get_span_context().span_id)}-01"

    def note(self, facts: Mapping[str, str | int]) -> None:
        """Add attributes."""
        self._described = True
        self.span.set_attributes(facts)

    def describe(self, kind: str, name: str | None, document: str, source: str, cost: int) -> None:
        """Say what operation it is of."""
        self.span.update_name(kind)
        facts = {"graphql.operation.type": kind, "graph.document.sha256": document, "graph.operation.source": source}
        self.note({**facts, "graph.operation.cost": cost})
        if name is not None:
            self.span.set_attribute("graphql.operation.name", name[:_NAME])

    def describe_batch(self, size: int) -> None:
        """Say that it is of a request with several operations."""
        self.note({"graph.batch.size": size})

    def fail(self, code: str) -> None:
        """Note an error of the answer."""
        self.note({"error.type": code})
        if code in _FAULTS:
            self.span.set_status(StatusCode.ERROR, code)

    def end(self) -> None:
        """End it, unless there was nothing to tell."""
        if self._described:
            self.span.end()

    @contextmanager
    def below(self) -> Generator[None]:
        """A block in which the span is in force, and which does not end it."""
        self._begin()
        try:
            yield
        finally:
            self._leave()

    def _begin(self) -> None:
        inner = trace.set_span_in_context(self.span, self._context)
        self._tokens = _ACTIVE.set(self), context_api.attach(inner)

    def _leave(self) -> None:
        assert self._tokens is not None
        active, attached = self._tokens
        _ACTIVE.reset(active)
        context_api.detach(attached)

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: object) -> None:
        self._leave()
        if self.span.is_recording():
            if isinstance(error, Exception):
                self.fail("INTERNAL_SERVER_ERROR")
            self.end()


_UNSAMPLED: AbstractContextManager[None] = nullcontext()
