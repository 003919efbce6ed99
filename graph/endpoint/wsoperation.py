"""One operation on a WebSocket: splices its id around ready results, and queues while the socket is busy."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

import orjson

from graph.endpoint.sink import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.types import Message

    from graph.endpoint.outlet import Outlet


class Operation:
    """A `Sink` whose results are ``next`` messages of the graphql-transport-ws protocol."""

    __slots__ = (
        "_close", "_cursor", "_ended", "_head", "_id", "_limit", "_operations", "_outlet", "_queue", "_queued", "_task",
    )  # fmt: skip

    def __init__(self, key: str, outlet: Outlet, operations: dict[str, Operation], limit: int) -> None:
        """Answer as operation `key` of the socket behind `outlet`; leave `operations` at the end.

        At most `limit` results wait for a slow client.
        """
        self._id = orjson.dumps(key).decode()
        self._head = f'{{"id":{self._id},"type":"next","payload":'
        self._outlet = outlet
        self._operations = operations
        self._limit = limit
        self._queue: deque[tuple[str, str | None]] | None = None
        self._queued = False
        self._cursor: str | None = None
        self._close: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = False

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
        """End without a word to the client; give the task that may have to be waited for."""
        self._ended = True
        self._queue = None
        close, self._close = self._close, None
        if close is not None:
            close()
        if self._task is not None:
            self._task.cancel()
        return self._task

    def _finish(self, message: str) -> None:
        """Say `message` last, after the results that wait, and free the id."""
        if self._ended:
            return
        self._ended = True
        key = orjson.loads(self._id)
        if self._operations.get(key) is self:
            del self._operations[key]
        self._push(message, None)
        close, self._close = self._close, None
        if close is not None:
            close()

    # --- Sink ---

    def next(self, payload: str, *, latest: bool = False, cursor: str | None = None) -> None:
        """Send a result now, or queue it while the socket is busy."""
        if self._ended:
            return
        text = f"{self._head}{payload}}}"
        if not self._queue and self._outlet.offer({"type": "websocket.send", "text": text}):
            self._cursor = cursor
            return
        queue = self._queue
        if queue and latest:
            queue.clear()
        elif queue and len(queue) >= self._limit:
            queue.clear()
            facts = {"cursor": self._cursor} if self._cursor is not None else {}
            self.error(refusal("SLOW_CONSUMER", "The client reads too slowly; resume after the cursor", **facts))
            return
        self._push(text, cursor)

    def error(self, errors: str) -> None:
        """End with an ``error`` message."""
        self._finish(f'{{"id":{self._id},"type":"error","payload":{errors}}}')

    def complete(self) -> None:
        """End with a ``complete`` message."""
        self._finish(f'{{"id":{self._id},"type":"complete"}}')

    # --- Source ---

    def _push(self, text: str, cursor: str | None) -> None:
        if not self._queue and self._outlet.offer({"type": "websocket.send", "text": text}):
            return
        if self._queue is None:
            self._queue = deque()
        self._queue.append((text, cursor))
        if not self._queued:
            self._queued = True
            self._outlet.wait(self)

    def pull(self) -> Message | None:
        """Give the oldest message that waits."""
        if not self._queue:
            self._queued = False
            return None
        text, cursor = self._queue.popleft()
        if cursor is not None:
            self._cursor = cursor
        return {"type": "websocket.send", "text": text}
