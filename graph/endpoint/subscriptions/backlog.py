"""The messages of one operation to its client: sent at once while the line is free, else queued up to a bound.

A result that comes while as many wait as may ends the operation: what waits is dropped, and the client is told
SLOW_CONSUMER with the cursor of the last result it was sent, after which it can resume. Where a result replaces those
before it (`live.live`), they are dropped instead, so that a slow client skips to the newest.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from typing import TYPE_CHECKING

from graph.endpoint.subscriptions.sink import errors_json

if TYPE_CHECKING:
    from starlette.types import Message

    from graph.endpoint.subscriptions.outlet import Outlet


class Backlog(ABC):
    """A `Sink` that sends through an outlet, and its `outlet.Producer`; each transport makes the messages."""

    __slots__ = ("_cursor", "_dry", "_ended", "_limit", "_outlet", "_queue", "_waiting")

    def __init__(self, outlet: Outlet, limit: int) -> None:
        """Send through `outlet`; at most `limit` results wait."""
        self._outlet = outlet
        self._limit = limit
        self._queue: deque[tuple[Message, str | None]] | None = None  # made when needed: most clients are quick
        self._waiting = False
        self._cursor: str | None = None
        self._dry: asyncio.Event | None = None
        self._ended = False  # set with the last message: no result comes after it, nor takes its place

    # --- Sink ---

    @property
    def busy(self) -> bool:
        """Whether messages wait."""
        return bool(self._queue)

    @abstractmethod
    def next(self, payload: str, cursor: str | None = None) -> None:
        """Take a result, and hand it to `result` as a message."""

    def latest(self, payload: str, cursor: str | None = None) -> None:
        """Take a result that replaces those that wait."""
        if self._queue and not self._ended:
            self._queue.clear()
        self.next(payload, cursor)

    async def drained(self) -> None:
        """Wait until no message waits. While the client is gone that may never be."""
        if self._queue:
            self._dry = self._dry or asyncio.Event()
            self._dry.clear()
            await self._dry.wait()

    @abstractmethod
    def error(self, errors: str, extensions: str = "") -> None:
        """End the operation (`Sink.error`)."""

    # --- sending ---

    def result(self, message: Message, cursor: str | None) -> None:
        """Send a result or keep it; a client that has it resumes at `cursor`."""
        if self._queue or not self._outlet.offer(message):
            self._late(message, cursor)
        elif cursor is not None:
            self._cursor = cursor

    def _late(self, message: Message, cursor: str | None) -> None:
        """Keep a result that `Outlet.offer` did not take, or end the operation where too many wait."""
        if self._queue and len(self._queue) >= self._limit:
            self._queue.clear()
            facts = {"cursor": self._cursor} if self._cursor is not None else {}
            self.error(errors_json("SLOW_CONSUMER", "The client reads too slowly; resume after the cursor", **facts))
        else:
            self._keep(message, cursor)

    def say(self, message: Message) -> None:
        """Send a message that is not a result, such as the end, or queue it however many wait."""
        if self._queue or not self._outlet.offer(message):
            self._keep(message, None)

    def drop(self) -> None:
        """Drop the messages that wait."""
        self._queue = None
        self._is_dry()

    def pull(self) -> Message | None:
        """Return the oldest message that waits (`outlet.Producer`)."""
        if not self._queue:
            self._waiting = False
            self._is_dry()
            return None
        message, cursor = self._queue.popleft()
        if cursor is not None:
            self._cursor = cursor
        return message

    def _is_dry(self) -> None:
        if self._dry is not None:
            self._dry.set()

    def _keep(self, message: Message, cursor: str | None) -> None:
        if self._queue is None:
            self._queue = deque()
        self._queue.append((message, cursor))
        if not self._waiting:
            self._waiting = True
            self._outlet.wait(self)
