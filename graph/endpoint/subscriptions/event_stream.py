"""The events of one subscription: opens its source, executes each event and encodes the results.

An event is executed once for everybody, or once a user where the answer may depend on who asks
(`identity.context.viewer_touched`). Each execution has a context of its own and ends at the deadline of an operation,
with an error in the result.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from inspect import isawaitable
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from graphql import ExecutionResult, GraphQLError, create_source_event_stream  # pyright: ignore[reportUnknownVariableType] - its types are partial
from prometheus_client import Counter
from starlette.requests import HTTPConnection
from strawberry.execution import optimized_is_awaitable

from graph.endpoint.errors import Refusal, coded
from graph.endpoint.execution import Answer
from graph.endpoint.identity import PUBLIC, viewer_touched
from graph.endpoint.subscriptions.entry import in_time
from graph.endpoint.subscriptions.once import Execution, Once, Shape

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable

    from graphql.execution import Executor

    from graph.endpoint.execution import Engine, Ready
    from graph.endpoint.identity import Caller

EXECUTED = Counter("graph_stream_executions_total", "Executions of subscription events.")


class Failed(Exception):
    """The source could not be opened: `errors` say why."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        """Carry `errors` to the followers."""
        super().__init__("the source could not be opened")
        self.errors = errors


class Rendered(NamedTuple):
    """One event as text: the same for all under None, else one for each scope."""

    texts: dict[str | None, str]
    cursor: str | None

    def of(self, caller: Caller) -> str | None:
        """The text for `caller`; None when the event was not executed for them."""
        texts = self.texts
        return texts[None] if None in texts else texts.get(caller.scope)


class OpenStream(NamedTuple):
    """An open event stream; `context` is that of the resolver that made it."""

    executor: Executor[Any]
    context: Any
    items: AsyncIterable[Any]


class EventStream:
    """What `ready` subscribes to, rendered for those who ask."""

    def __init__(
        self, engine: Engine[Any], ready: Ready, *, public: bool, once: Once, shape: Shape | None = None
    ) -> None:
        """Execute as the caller of `ready`; where that is not the `public`, each result is one user's.

        With a `shape`, results for everybody are had `once`, together with other streams.
        """
        self._engine = engine
        self._ready = ready
        self._once = once
        self._shape = shape
        self._turn = 0
        self.by_viewer = not public
        """Whether the answers are known to depend on who asks."""

    @contextlib.asynccontextmanager
    async def open(self, look: Callable[[Any], None]) -> AsyncGenerator[OpenStream]:
        """Open the event stream and close it again; raises `Failed`, and whatever the resolver raises.

        `look` is shown the resolver's context before an error leaves: what it read may have been the reason.
        """
        context, runner = self._engine.begin(self._ready, nobody(), None)
        executor = self._engine.build(context, runner, is_awaitable=optimized_is_awaitable)
        if isinstance(executor, list):
            raise Failed(coded(executor, "BAD_USER_INPUT"))
        source = await in_time(self._engine, opened(executor))
        try:
            _raise_if_failed(source)
            yield OpenStream(executor, context.context, source)
        except BaseException:
            look(context.context)
            raise
        finally:
            if (close := getattr(source, "aclose", None)) is not None:
                await close()

    async def first(self, look: Callable[[Any], None], callers: Callable[[], Iterable[Caller]]) -> Rendered:
        """Open a source of its own and render its first event: the state as it stands."""
        async with self.open(look) as source:
            async for item in source.items:
                return await self.render(source.executor, item, callers)
        raise Refusal("UNAVAILABLE", "The state cannot be read right now.")

    async def render(self, executor: Executor[Any], item: Any, callers: Callable[[], Iterable[Caller]]) -> Rendered:
        """Execute one event for all, or for each user among `callers`, and encode the results.

        Where answers differ, `callers` is asked again after the executions: who came meanwhile has a text, too.
        """
        cursor: Any = getattr(item, "cursor", None)
        texts: dict[str | None, str] = {}
        if not self.by_viewer:
            shape, own = self._shape, partial(self._execute, executor, item, self._ready.ticket.caller)
            execution = None if shape is None else self._once.kept(shape, item, self._turn)
            if execution is None:
                execution = await (own() if shape is None else self._once.run(shape, item, own, self._turn))
            self._turn = execution.turn
            if not execution.touched:
                return Rendered({None: execution.text}, cursor)
            self.by_viewer = True
            texts[PUBLIC] = execution.text
        while missing := {caller.scope: caller for caller in callers() if caller.scope not in texts}:
            for scope, caller in missing.items():
                texts[scope] = (await self._execute(executor, item, caller)).text
        return Rendered(texts, cursor)

    async def _execute(self, executor: Executor[Any], item: Any, caller: Caller) -> Execution:
        """One execution in a context of its own."""
        with self._engine.monitor.tracing.event():
            return await self._execute_traced(executor, item, caller)

    async def _execute_traced(self, executor: Executor[Any], item: Any, caller: Caller) -> Execution:
        context = self._engine.context(caller, nobody(), None)
        EXECUTED.inc()
        began = perf_counter()
        result = await execute_event(self._engine, executor, item, context)
        answer = Answer(data=result.data, errors=self._engine.presenter.present(result.errors or ()))
        self._engine.monitor.event(self._ready, answer.errors, perf_counter() - began)
        return Execution(answer.encode().decode(), viewer_touched(context), bool(answer.errors))


async def opened(executor: Executor[Any]) -> Any:
    """The source of a subscription, or a result that says why there is none."""
    source: Any = create_source_event_stream(executor)
    return await source if isawaitable(source) else source


async def execute_event(
    engine: Engine[Any], executor: Executor[Any], item: object, context: object = None
) -> ExecutionResult:
    """Execute one event, in the context of its source unless another is given; late, it has an error alone."""
    deadline = asyncio.timeout(engine.operations.bounds.deadline)
    try:
        async with deadline:
            one: Any = cast("Any", executor).build_per_event_executor(item)
            if context is not None:
                one.context_value = context
            executing: Any = one.execute_operation(False)  # noqa: FBT003 - graphql-core's own signature
            return cast("ExecutionResult", await executing if isawaitable(executing) else executing)
    except TimeoutError:
        if not deadline.expired():
            raise
        late = Refusal("DEADLINE_EXCEEDED", "The event took too long and was given up.")
        return ExecutionResult(None, errors=[late])


def nobody() -> HTTPConnection:
    """The connection of an execution for many: it has none of its own."""
    return HTTPConnection({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})


def _raise_if_failed(source: object) -> None:
    if isinstance(source, ExecutionResult):
        raise Failed(source.errors or [])
