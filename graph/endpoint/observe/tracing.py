"""What the endpoint needs of a tracer: one span an operation that it wants.

The endpoint knows no tracing library; `graph.telemetry` is this product's tracer.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager


def carried(extensions: Mapping[str, object] | None) -> dict[str, str]:
    """What the `extensions` of an operation say of its trace, as the headers of these names do (W3C Trace Context)."""
    given = extensions or {}
    found = {name: given.get(name) for name in ("traceparent", "tracestate")}
    return {name: value for name, value in found.items() if isinstance(value, str)}


class OperationSpan(Protocol):
    """The span of one operation, in force until its block ends."""

    @property
    def trace_id(self) -> str:
        """The trace that it belongs to, in hexadecimal."""
        ...

    @property
    def response(self) -> str:
        """What ``traceresponse`` says to the client (W3C Trace Context, level 2)."""
        ...

    def describe(self, kind: str, name: str | None, document: str, source: str, cost: int) -> None:
        """Say what it is of: a ``query``, ``mutation`` or ``subscription``, and the SHA-256 of its `document`.

        Its `source` says where the answer came from; `cost` is what the operation was estimated to cost.
        """
        ...

    def describe_batch(self, size: int) -> None:
        """Say that it is of a request with several operations, each of which is a part."""
        ...

    def fail(self, code: str) -> None:
        """Note an error of the answer, by its code."""
        ...

    def below(self) -> AbstractContextManager[None]:
        """A block in which the span is in force, and which does not end it."""
        ...

    def end(self) -> None:
        """End it, unless it was neither described nor failed: then it was of no operation."""
        ...


class Tracing(Protocol):
    """Decides which operations are traced, and begins their spans."""

    def apart(self, parent: bytes, carrier: Callable[[], Mapping[str, str]]) -> OperationSpan | None:
        """A span that no block is for: whoever gets it ends it, or has `begin` go on with it.

        `parent` is the ``traceparent`` of its request, or empty; `carrier` is asked for more only if there is a span.
        """
        ...

    def begin(
        self, carrier: Mapping[str, str], begun: OperationSpan | None = None
    ) -> AbstractContextManager[OperationSpan | None]:
        """A span for the length of a block, below the one that `carrier` names; None where it is not sampled.

        The span is the one that was `begun`, if there is one.
        """
        ...

    def event(self) -> AbstractContextManager[OperationSpan | None]:
        """A span for one event of a subscription, which is nobody's request."""
        ...

    def part(self) -> AbstractContextManager[OperationSpan | None]:
        """A span below the one in force, for one operation of several; None where none is."""
        ...

    def current(self) -> OperationSpan | None:
        """The span in force."""
        ...

    def end(self) -> None:
        """End the span in force now, not when its block ends."""
        ...


class NoTracing:
    """Traces nothing."""

    def apart(self, parent: bytes, carrier: Callable[[], Mapping[str, str]]) -> None:
        """None."""

    def begin(self, carrier: Mapping[str, str], begun: OperationSpan | None = None) -> AbstractContextManager[None]:
        """Nothing."""
        del carrier, begun
        return nullcontext()

    def event(self) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()

    def part(self) -> AbstractContextManager[None]:
        """Nothing."""
        return nullcontext()

    def current(self) -> None:
        """None."""

    def end(self) -> None:
        """Nothing."""
