"""The spans of SQL statements: their text with its placeholders, never a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span, Tracer
    from sqlalchemy import Engine

_LONGEST = 2000
"""Characters of a statement that are told."""
_SPAN = "graph_span"


class SqlSpans:
    """Makes a span of each statement that is run below a span."""

    def __init__(self, tracer: Tracer, current: Callable[[], Span | None]) -> None:
        """Make spans by `tracer` while there is one in force."""
        self._tracer = tracer
        self._current = current

    def watch(self, engine: Engine) -> None:
        """Hear of every statement of `engine`."""
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)
        event.listen(engine, "handle_error", self._fail)

    def _begin(self, connection: Any, _cursor: Any, statement: str, *rest: Any) -> None:
        parameters, context, executemany = rest
        if context is None or self._current() is None:
            return
        name = statement.lstrip().partition(" ")[0].partition("\n")[0].upper()
        facts: dict[str, str | int] = {
            "db.system.name": connection.dialect.name,
            "db.operation.name": name,
            "db.query.text": statement[:_LONGEST],
        }
        if executemany:
            facts["db.operation.batch.size"] = len(parameters)
        setattr(context, _SPAN, self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=facts))

    @staticmethod
    def _end(*told: Any) -> None:
        context = told[4]
        span: Span | None = getattr(context, _SPAN, None)
        if span is not None:
            span.end()

    @staticmethod
    def _fail(failure: Any) -> None:
        span: Span | None = getattr(failure.execution_context, _SPAN, None)
        if span is not None:
            span.set_attribute("error.type", type(failure.original_exception).__name__)
            span.set_status(StatusCode.ERROR)
            span.end()
