"""One operation on a WebSocket: splices its id around ready results."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import orjson

from graph.endpoint.subscriptions import Backlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from graph.endpoint.subscriptions import Outlet


class SocketOperation(Backlog):
    """A `Sink` whose results are ``next`` messages of the graphql-transport-ws protocol."""

    __slots__ = ("_close", "_head", "_id", "_operations", "_task")

    def __init__(self, key: str, outlet: Outlet, operations: dict[str, SocketOperation], limit: int) -> None:
        """Answer as operation `key` of the socket behind `outlet`; leave `operations` at the end.

        At most `limit` results wait for a slow client.
        """
        super().__init__(outlet, limit)
        self._id = orjson.dumps(key).decode()
        self._head = f'{{"id":{self._id},"type":"next","payload":'
        self._operations = operations
        self._close: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None

    # --- life ---

    def start(self, run: Coroutine[Any, Any, None]) -> None:
        """Run the operation in a task of its own, until it is answered or its subscription stands."""
        self._task = asyncio.create_task(run)

    def standing(self, close: Callable[[], None] | None) -> None:
        """Keep what ends the subscription; an operation that has ended meanwhile ends it now."""
        self._task = None
        if close is not None and self._ended:
            close()
        else:
            self._close = close

    def stop(self) -> asyncio.Task[None] | None:
        """End without a message to the client; return the task that may have to be awaited."""
        self._ended = True
        self.drop()
        close, self._close = self._close, None
        if close is not None:
            close()
        if self._task is not None:
            self._task.cancel()
        return self._task

    def _finish(self, message: str) -> None:
        """Send `message` after the results that wait, and free the id."""
        if self._ended:
            return
        self._ended = True
        key = orjson.loads(self._id)
        if self._operations.get(key) is self:
            del self._operations[key]
        self.say({"type": "websocket.send", "text": message})
        close, self._close = self._close, None
        if close is not None:
            close()

    # --- Sink ---

    def next(self, payload: str, cursor: str | None = None) -> None:
        """Send a result now, or queue it while the socket is busy."""
        if self._ended:
            return
        message = {"type": "websocket.send", "text": f"{self._head}{payload}}}"}
        # What `result` does, without a call of its own: an event goes to thousands of sockets in one loop.
        if self._queue or not self._outlet.offer(message):
            self._late(message, cursor)
        elif cursor is not None:
            self._cursor = cursor

    def error(self, errors: str, extensions: str = "") -> None:  # noqa: ARG002 - the protocol has no place for them
        """End with an ``error`` message."""
        self._finish(f'{{"id":{self._id},"type":"error","payload":{errors}}}')

    def complete(self) -> None:
        """End with a ``complete`` message."""
        self._finish(f'{{"id":{self._id},"type":"complete"}}')
