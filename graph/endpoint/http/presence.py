"""Work for a client that is still there: when it hangs up, what only it waits for is cancelled.

A query is worth nothing to a client that has gone, and would run on until its deadline. A mutation is not ended: half
of one is worse than either whole, and the client may have hung up because it did not care for the answer. What several
callers share (the load of a cached value, the making of an answer that is kept) runs in tasks of its own, which the
cancellation of one caller leaves alone.

It needs the server's help (`exchange.ServerExchange.attend`); under any other server queries run to their end. It costs
an executed query two calls, and no task.
"""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import TYPE_CHECKING

from graphql import OperationType

from graph.endpoint.http.exchange import EXCHANGE
from graph.endpoint.http.request import Disconnected

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from types import TracebackType

    from starlette.types import Scope

    from graph.endpoint.http.exchange import ServerExchange


_NOT_NEEDED = nullcontext()


def presence(scope: Scope, kind: OperationType = OperationType.QUERY) -> AbstractContextManager[object]:
    """A block that ends with `Disconnected` as soon as the client of `scope` has gone, if it runs a query."""
    exchange: ServerExchange | None = scope.get(EXCHANGE)
    return _Presence(exchange) if exchange is not None and kind is OperationType.QUERY else _NOT_NEEDED


class _Presence:
    __slots__ = ("_cancelling", "_exchange", "_gone", "_task")

    def __init__(self, exchange: ServerExchange) -> None:
        self._exchange = exchange
        self._gone = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        if not self._exchange.attend(self._leave):
            self._exchange.attend(None)
            raise Disconnected

    def _leave(self) -> None:
        self._gone = True
        self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exchange.attend(None)
        # A cancellation that came from elsewhere, too, goes on.
        if self._gone and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise Disconnected from error
