"""What an operator learns of operations: metrics by name (`graph.endpoint.observe`), and a line for a slow one.

The line has the operation's name, the SHA-256 of its document, how long it took, what it cost and the shape of its
variables: names and types from the schema, how long a list is, never a value nor a key that the schema does not know.
Clients can make operations slow, so `BURST` lines are written at once and then one every `INTERVAL` seconds; the next
line says how many were left out, and ``graph_operations_slow_total`` counts all.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, cast

import orjson
from graphql import GraphQLInputObjectType, GraphQLList, GraphQLNonNull, type_from_ast  # pyright: ignore[reportUnknownVariableType] - its types are partial

from graph.endpoint.errors import REFUSALS
from graph.endpoint.observe import NoTracing, OperationMetrics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from graphql import GraphQLSchema, OperationDefinitionNode

    from graph.endpoint.document import Operation, Persisted, Prepared
    from graph.endpoint.execution.answer import Answer
    from graph.endpoint.execution.ready import Ready
    from graph.endpoint.observe import OperationSpan, Source, Tracing

BURST = 10
INTERVAL = 6.0
_DEEPEST = 4
_LONGEST = 500
_NAME = 64

logger = logging.getLogger("graph.slow")


class Monitor:
    """Counts, times and, where they are slow, logs the operations of one endpoint."""

    def __init__(
        self,
        persisted: Persisted,
        schema: GraphQLSchema | None = None,
        *,
        metrics: OperationMetrics | None = None,
        slow: float = 0.0,
        tracing: Tracing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Count by `metrics`, trace by `tracing`; log what takes at least `slow` seconds, nothing if that is 0.

        Names of documents that `persisted` trusts are always told apart. Types of variables are those of `schema`.
        """
        self.metrics = metrics or OperationMetrics()
        self.tracing = tracing or NoTracing()
        self._persisted = persisted
        self._schema = schema
        self._slow = slow or float("inf")
        self._clock = clock
        self._until = 0.0
        self._left_out = 0

    def executed(self, ready: Ready, answer: Answer, seconds: float) -> None:
        """Count an operation that was executed, or refused when it was about to be."""
        if answer.executed or (answer.status or 0) >= 500:  # noqa: PLR2004 - it ran, if not to its end
            self._note(ready, "executed", seconds, answer.errors, ready.cost)
        else:
            self._describe(ready, "executed", _codes(answer.errors))
            self.metrics.refused(self.metrics.names.label(ready.operation.name), _codes(answer.errors))

    def event(self, ready: Ready, errors: Sequence[Mapping[str, Any]], seconds: float) -> None:
        """Count one event of a subscription, executed once for all who have the result."""
        self._note(ready, "event", seconds, errors, None)

    def kept(self, prepared: Prepared, operation: Operation, seconds: float, cost: int) -> None:
        """Count an answer that was made before."""
        self.metrics.kept(operation.name, (seconds,), (cost,))
        if (span := self.tracing.current()) is not None:
            describe(span, prepared, operation, "kept", cost)

    def stands(self, ready: Ready) -> None:
        """A subscription was admitted: its span ends here, and each event has one of its own."""
        self._describe(ready, "executed", ())
        self.tracing.end()

    def batch(self, size: int) -> None:
        """A request has several operations."""
        if (span := self.tracing.current()) is not None:
            span.describe_batch(size)

    def failed(self) -> None:
        """A bug ended a request."""
        if (span := self.tracing.current()) is not None:
            span.fail("INTERNAL_SERVER_ERROR")

    def refused(self, code: str) -> None:
        """Count a request that does not run."""
        REFUSALS.labels(code).inc()
        if (span := self.tracing.current()) is not None:
            span.fail(code)

    def _note(
        self, ready: Ready, source: Source, seconds: float, errors: Sequence[Mapping[str, Any]], cost: int | None
    ) -> None:
        operation = ready.operation
        caller, names = ready.ticket.caller.identity, self.metrics.names
        label = names.admit(operation.name, caller, trusted=self._persisted.is_trusted(ready.prepared.text))
        codes = _codes(errors)
        span = self._describe(ready, source, codes)
        trace = None if span is None else span.trace_id
        self.metrics.answered(label, source, seconds, cost=cost, codes=codes, trace=trace)
        if seconds >= self._slow:
            self.metrics.slow(label)
            if self._may_write():
                self._write(ready, source, seconds)

    def _describe(self, ready: Ready, source: Source, codes: Sequence[str]) -> OperationSpan | None:
        span = self.tracing.current()
        if span is not None:
            describe(span, ready.prepared, ready.operation, source, ready.cost)
            for code in codes:
                span.fail(code)
        return span

    def _may_write(self) -> bool:
        """Whether a line is due: each takes `INTERVAL` seconds of the time there is, of which `BURST` may be saved."""
        now = self._clock()
        until = max(self._until, now - BURST * INTERVAL) + INTERVAL
        if until > now:
            self._left_out += 1
            return False
        self._until = until
        return True

    def _write(self, ready: Ready, source: Source, seconds: float) -> None:
        name, digest = (ready.operation.name or "")[:_NAME], ready.prepared.digest
        variables = self._shape(ready)
        facts = {
            "operation": name,
            "document": digest,
            "source": source,
            "seconds": round(seconds, 3),
            "cost": ready.cost,
            "variables": variables,
            "left_out": self._left_out,
        }
        left, self._left_out = self._left_out, 0
        more = f"; {left} more before it were not logged" if left else ""
        logger.info(
            "slow operation %s: %.3f s, cost %d, document %s, variables %s%s",
            *(name or "without a name", seconds, ready.cost, digest[:16], variables, more),
            extra={"facts": facts},
        )

    def _shape(self, ready: Ready) -> str:
        if self._schema is None:
            return "{}"
        given = ready.request.variables or {}
        text = orjson.dumps(shape(self._schema, ready.operation.node, given)).decode()
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def describe(span: OperationSpan, prepared: Prepared, operation: Operation, source: Source, cost: int) -> None:
    """Say in `span` what operation it is of, and where its answer came from."""
    span.describe(operation.kind.value, operation.name, prepared.digest, source, cost)


def _codes(errors: Sequence[Mapping[str, Any]]) -> list[str]:
    return [str(one.get("extensions", {}).get("code")) for one in errors]


def shape(schema: GraphQLSchema, operation: OperationDefinitionNode, given: Mapping[str, Any]) -> dict[str, Any]:
    """The types of the variables that `operation` declares and `given` has, without a value of them."""
    found: dict[str, Any] = {}
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        if name in given:
            kind = type_from_ast(schema, definition.type)
            found[name[:_NAME]] = "?" if kind is None else _form(kind, given[name], _DEEPEST)
    return found


def _form(kind: Any, value: object, depth: int) -> object:
    if isinstance(kind, GraphQLNonNull):
        return _form(cast("Any", kind).of_type, value, depth)
    if value is None:
        return "null"
    if isinstance(kind, GraphQLList):
        items = cast("list[Any]", value) if isinstance(value, list) else [value]
        inner: Any = cast("Any", kind).of_type
        return {f"list of {len(items)}": _form(inner, items[0], depth) if items else str(inner)}
    if isinstance(kind, GraphQLInputObjectType) and isinstance(value, dict) and depth:
        given = cast("dict[str, Any]", value)
        return {name: _form(one.type, given[name], depth - 1) for name, one in kind.fields.items() if name in given}
    return cast("Any", kind).name
