"""What the endpoint needs of a tracer: which requests it wants, and one span an operation.

The endpoint knows no tracing library; `graph.telemetry` is this product's tracer.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping
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

    def describe(self, kind: str, name: str | None, facts: Mapping[str, str | int]) -> None:
        """Say what operation it is of: a ``query``, ``mutation`` or ``subscription``; and more `facts` about it."""
        ...

    def describe_batch(self, size: int) -> None:
        """Say that it is of a request with several operations, each of which is a part."""
        ...

    def fail(self, code: str) -> None:
        """Note an error of the answer, by its code."""
        ...


class Tracing(Protocol):
    """Decides which operations are traced, and begins their spans."""

    def wants(self, parent: bytes) -> bool:
        """Whether to trace a request that could be answered at once; `parent` is its ``traceparent``, or empty.

        The next `begin` of a request without a parent, or the one of that parent, then has a span.
        """
        ...

    def begin(self, carrier: Mapping[str, str]) -> AbstractContextManager[OperationSpan | None]:
        """A span for the length of a block, below the one that `carrier` names; None where it is not sampled.

        A span that was neither described nor failed is given up: the request was for no operation.
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

    def wants(self, parent: bytes) -> bool:
        """Never."""
        del parent
        return False

    def begin(self, carrier: Mapping[str, str]) -> AbstractContextManager[None]:
        """Nothing."""
        del carrier
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
