"""An answer in pieces: what `@defer` and `@stream` stand at follows what comes first.

The operation is found, bounded, admitted and charged as a whole before anything runs, and its deadline is that of any
operation. graphql-core executes it, for the compiler leaves such operations to it. Extensions see all of it:
``on_operation`` around the whole, ``on_execute`` around what comes first, ``on_stream_result`` around each piece. A
piece is made when the client has taken those before it.

A client that leaves ends it. What a mutation changes is in what comes first, and that goes on to its end.

Failure: whatever breaks after the first piece, the deadline included, fails what is still pending, masked like any
other error, and ends the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import perf_counter
from typing import TYPE_CHECKING, Any

from graphql import OperationType

from graph.endpoint.errors import Refusal
from graph.endpoint.execution import Answer, encode
from graph.endpoint.subscriptions.entry import Begun, Entrant, failed
from graph.endpoint.subscriptions.patches import PiecesFormat, errors_of, members, writer

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from graph.endpoint.execution import Engine, HooksRunner, InPieces, Ready, Ticketed


class Pieces(Entrant):
    """One operation: it gives an ordinary answer where nothing is pending, else it waits for its sink."""

    def __init__(
        self,
        engine: Engine[Any],
        ready: Ready,
        connection: HTTPConnection,
        response: Response | None,
        form: PiecesFormat = PiecesFormat.SPECIFIED,
    ) -> None:
        """Run `ready` for whoever sent it over `connection`; resolvers set headers on `response`."""
        self._engine = engine
        self._ready = ready
        self._connection = connection
        self._response = response
        self._write = writer(form)
        self._changing = ready.operation.kind is OperationType.MUTATION
        self._errors: list[dict[str, Any]] = []
        self._pending: dict[str, None] = {}
        self._begun: Begun = None
        self._unsent: str | None = None  # the first piece, until there is a sink for it
        super().__init__("pieces")

    def _may_be_cancelled(self) -> bool:
        return not self._changing  # a mutation goes on until it has changed what it is to change

    async def _run(self) -> None:
        engine, began = self._engine, perf_counter()
        deadline = asyncio.timeout(engine.operations.bounds.deadline)
        broken: Exception | None = None
        try:
            async with deadline:
                answer = await self._operate()
        except TimeoutError as error:
            late = Refusal("DEADLINE_EXCEEDED", "The operation took too long and was cancelled.")
            broken = late if deadline.expired() else error
        except Exception as error:  # noqa: BLE001 - whatever a hook raises is told the client
            broken = error
        else:
            if answer is not None:
                answer.response = self._response
                engine.monitor.executed(self._ready, answer, perf_counter() - began)
                self._admitted.set_result(answer)
                return
        if broken is not None and not self._admitted.done():
            answer = await failed(engine, self._ready, self._begun, broken)
            engine.monitor.executed(self._ready, answer, perf_counter() - began)
            self._admitted.set_result(answer)
            return
        if broken is not None:
            if self._unsent is not None and not self._left:
                (await self._sink).next(self._unsent)
            self._fail(broken)
        engine.monitor.executed(self._ready, Answer(errors=self._errors), perf_counter() - began)
        if self._sink.done() and not self._left:
            self._left = True
            self._sink.result().complete()

    async def _operate(self) -> Answer | None:
        """Execute it; the answer where it has come whole, None once the last piece is sent."""
        engine = self._engine
        self._begun = context, runner = engine.begin(self._ready, self._connection, self._response)
        started: InPieces | None = None
        async with runner.operation():
            if await engine.enter(context, runner):
                await engine.turns.mine()
                async with runner.executing():
                    started = await engine.execute_in_pieces(context, runner)
                if started is not None:
                    await self._deliver(context, runner, started)
            if started is None:
                await engine.show(context, runner)
        return None if started is not None else await engine.refusal(context, runner)

    async def _deliver(self, context: Ticketed, runner: HooksRunner, started: InPieces) -> None:
        self._changing = False
        try:
            if self._left:
                return
            first: Any = started.results.initial_result
            first.extensions = await runner.get_extensions_results(context) or None
            text = await self._render(context, runner, first)
            self._unsent = text
            self._admitted.set_result(None)
            sink = await asyncio.shield(self._sink)  # it comes, though the deadline may pass before
            sink.next(text)
            self._unsent = None
            async with contextlib.aclosing(started.results.subsequent_results) as rest:
                await sink.drained()
                async for piece in rest:
                    sink.next(await self._render(context, runner, piece))
                    await sink.drained()
        finally:
            await started.executor.cancel_incremental_work()

    async def _render(self, context: Ticketed, runner: HooksRunner, piece: Any) -> str:
        """Have extensions see, and change, one piece; its JSON."""
        self._engine.note(context, errors_of(piece))
        await runner.show(piece)
        shown = self._engine.presenter.present(errors_of(piece), context.raised)
        return self._text(members(piece, shown))

    def _text(self, piece: dict[str, Any]) -> str:
        self._pending |= {one["id"]: None for one in piece.get("pending", ())}
        for one in piece.get("completed", ()):
            self._pending.pop(one["id"], None)
        for part in (piece, *piece.get("incremental", ()), *piece.get("completed", ())):
            self._errors += part.get("errors", ())
        return encode(self._write(piece)).decode()

    def _fail(self, error: Exception) -> None:
        """Tell the client that what is pending does not come."""
        errors = self._engine.presenter.raised(error)
        if self._pending and self._sink.done() and not self._left:
            failed = [{"id": one, "errors": errors} for one in self._pending]
            self._sink.result().next(self._text({"completed": failed, "hasNext": False}))
