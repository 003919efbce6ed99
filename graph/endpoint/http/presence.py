"""Cancels a query when its client disconnects.

The result of a query is useless to a client that has left, and the query would run on until its deadline. A mutation is
not cancelled: half a mutation is worse than all or none of it, and the client may have left because it did not need the
answer. Work that several callers share (loading a cached value, making an answer that is kept) runs in its own tasks,
which go on when one caller is cancelled.

It needs the server's help (`exchange.ServerExchange.attend`); under any other server queries run to their end. It costs
two calls for each executed query, and no task.
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
    """A block that ends with `Disconnected` as soon as the client of `scope` disconnects, if it runs a query."""
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
        # A cancellation that also came from elsewhere is passed on.
        if self._gone and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise Disconnected from error
