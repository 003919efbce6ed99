"""A subscription that one client has for itself, run as Strawberry runs it.

It has the caller, the connection and the context variables of whoever asked, one context for as long as it lives, and
all hooks of the schema's extensions: ``on_operation`` around the whole of it, ``on_execute`` around the opening of its
source, ``on_stream_result`` around each result, whose ``extensions`` are those of the extensions.

Failure: an event that takes longer than an operation may is a result with an error, and the subscription goes on. A
source that breaks ends it with the error, masked like any other.
"""

from __future__ import annotations

import contextlib
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from graphql import ExecutionResult, GraphQLError
from strawberry.execution import optimized_is_awaitable
from strawberry.types import ExecutionResult as StreamResult

from graph.endpoint.errors import as_graphql, coded
from graph.endpoint.execution import Answer, encode
from graph.endpoint.subscriptions.entry import Begun, Entrant, failed, in_time
from graph.endpoint.subscriptions.event_stream import execute_event, opened
from graph.endpoint.subscriptions.metrics import FOLLOWERS, GROUPS, SENT
from graph.endpoint.subscriptions.sink import ending

if TYPE_CHECKING:
    from collections.abc import AsyncIterable

    from graphql.execution import Executor
    from starlette.requests import HTTPConnection

    from graph.endpoint.declare import Live
    from graph.endpoint.execution import Engine, HooksRunner, Ready, Ticketed
    from graph.endpoint.subscriptions.sink import Sink


class Own(Entrant):
    """One subscription: it waits to be admitted, then for its sink, and runs until it is left or its source ends."""

    def __init__(self, engine: Engine[Any], ready: Ready, connection: HTTPConnection, promise: Live) -> None:
        """Run `ready` for whoever sent it over `connection`."""
        self._engine = engine
        self._ready = ready
        self._connection = connection
        self._promise = promise
        super().__init__("own-subscription")

    async def _run(self) -> None:
        GROUPS.inc()
        FOLLOWERS.inc()
        engine = self._engine
        begun: Begun = None
        try:
            begun = context, runner = engine.begin(self._ready, self._connection, None)
            async with runner.operation():
                admitted = await in_time(engine, engine.enter(context, runner))
                if admitted:
                    self._admitted.set_result(None)
                    await self._stream(context, runner, await self._sink)
                else:
                    await engine.show(context, runner)
            if not admitted:
                self._admitted.set_result(await engine.refusal(context, runner))
        except Exception as error:  # noqa: BLE001 - whatever a hook raises is told the client
            if not self._admitted.done():
                self._admitted.set_result(await failed(engine, self._ready, begun, error))
            else:
                self._end(encode(engine.presenter.raised(error)).decode())
        finally:
            GROUPS.dec()
            FOLLOWERS.dec()

    async def _stream(self, context: Ticketed, runner: HooksRunner, sink: Sink) -> None:
        try:
            async with runner.executing():
                executor = self._engine.build(context, runner, is_awaitable=optimized_is_awaitable)
                if isinstance(executor, list):
                    source: Any = ExecutionResult(None, coded(executor, "BAD_USER_INPUT"))
                else:
                    source = await in_time(self._engine, opened(executor))
            if isinstance(source, ExecutionResult):
                await self._fail(context, runner, source.errors or [])
                return
            async with contextlib.AsyncExitStack() as stack:
                if (close := getattr(source, "aclose", None)) is not None:
                    stack.push_async_callback(close)
                async for item in cast("AsyncIterable[Any]", source):
                    began = perf_counter()
                    with self._engine.monitor.tracing.event():
                        result = await execute_event(self._engine, cast("Executor[Any]", executor), item)
                        answer = await self._render(context, runner, result)
                        self._engine.monitor.event(self._ready, answer.errors, perf_counter() - began)
                    give = sink.latest if self._promise.latest else sink.next
                    give(answer.encode().decode(), getattr(item, "cursor", None))
                    SENT.inc()
                    if self._left:
                        return
        except Exception as error:  # noqa: BLE001 - what broke is the last result, which extensions see as well
            await self._fail(context, runner, [as_graphql(error)])
            return
        self._end()

    async def _fail(self, context: Ticketed, runner: HooksRunner, errors: list[GraphQLError]) -> None:
        """End it with `errors`, once extensions have seen them."""
        answer = await self._render(context, runner, ExecutionResult(None, errors))
        self._end(*ending(answer))

    async def _render(self, context: Ticketed, runner: HooksRunner, result: ExecutionResult) -> Answer:
        """Have extensions see, and change, one result."""
        self._engine.note(context, result.errors)
        shown = StreamResult(data=result.data, errors=result.errors)
        shown.extensions = await runner.get_extensions_results(context) or None
        context.result = shown
        await runner.show(shown)
        errors = self._engine.presenter.present(shown.errors or (), context.raised)
        return Answer(data=shown.data, errors=errors, extensions=shown.extensions)

    def _end(self, errors: str = "", extensions: str = "") -> None:
        """Tell the client that the subscription has ended, unless it has left."""
        if self._left or not self._sink.done():
            return
        self._left = True
        if errors:
            self._sink.result().error(errors, extensions)
        else:
            self._sink.result().complete()
