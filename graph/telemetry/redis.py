"""The spans of batches of Redis commands: names of commands and scripts, never a key or a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.trace import SpanKind, StatusCode

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from opentelemetry.trace import Span, Tracer

    from graph.patterns.client import Command, Replies

_TOLD = 20
"""Commands of a batch that are named."""


class RedisSpans:
    """Makes a span of each batch that is sent below a span."""

    def __init__(self, tracer: Tracer, current: Callable[[], Span | None]) -> None:
        """Make spans by `tracer` while there is one in force."""
        self._tracer = tracer
        self._current = current

    def __call__(self, commands: Sequence[Command], future: asyncio.Future[Replies]) -> None:
        """`commands` were sent, and `future` gets the replies."""
        if self._current() is None or not commands:
            return
        names = [_name(one) for one in commands[:_TOLD]]
        name = names[0] if len(commands) == 1 else "PIPELINE"
        facts: dict[str, str | int] = {"db.system.name": "redis", "db.operation.name": name}
        if len(commands) > 1:
            facts["db.operation.batch.size"] = len(commands)
            facts["db.query.summary"] = " ".join(names)
        elif (script := commands[0].script) is not None:
            facts["db.stored_procedure.name"] = script.name
        span = self._tracer.start_span(name, kind=SpanKind.CLIENT, attributes=facts)
        future.add_done_callback(lambda done: _end(span, done))


def _name(one: Command) -> str:
    if one.script is not None:
        return one.script.name
    word = one.args[0]
    return word.decode() if isinstance(word, bytes) else str(word)


def _end(span: Span, done: asyncio.Future[Replies]) -> None:
    if done.cancelled():
        span.set_attribute("error.type", "cancelled")
    else:
        failed = next((one for one in done.result() if isinstance(one, Exception)), None)
        if failed is not None:
            span.set_attribute("error.type", type(failed).__name__)
            span.set_status(StatusCode.ERROR)
    span.end()
