"""One multiplexed RESP3 connection: many callers, one socket, replies in the order of the commands.

Whatever is submitted in one turn of the event loop leaves in one write. Replies are matched by order alone (FIFO), so
a caller that is cancelled abandons only its future: its reply is still read and dropped.

It fails as a whole: when the socket closes, or the oldest reply is overdue, the connection is given up and every batch
under way is handed back to its owner, which knows what may be sent again (`client.Link`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.patterns.script import Command

Reply: TypeAlias = Any
"""A RESP3 value: bytes, int, float, bool, None, list, dict, set; or an exception where a batch reports one."""


class Unavailable(RedisConnectionError):
    """Redis cannot be reached, or did not answer in time; nothing is known to have been done."""


class OutcomeUnknown(Unavailable):
    """The connection was lost after the command left: it may have run, so it was not sent again."""


class Replies(list[Reply]):
    """The replies of a batch, in order; a command that failed has its exception in its place.

    `run_id` names the server process that answered (of the first command, in a cluster).
    """

    __slots__ = ("run_id",)

    def __init__(self, values: Sequence[Reply] = (), run_id: bytes = b"") -> None:
        """Hold `values` as answered by the server process `run_id`."""
        super().__init__(values)
        self.run_id = run_id


class Pending:
    """A batch under way: its replies so far, and the future that gets them all at once."""

    __slots__ = ("commands", "dirty", "due", "future", "replies", "want")

    def __init__(self, commands: Sequence[Command], future: asyncio.Future[Replies], due: float) -> None:
        """Expect a reply for each of `commands` before the loop's clock says `due`."""
        self.commands = commands
        self.future = future
        self.due = due
        self.want = len(commands)
        self.replies = Replies()
        self.dirty = False


_NOTHING = object()


class Wire(asyncio.Protocol):
    """The connection itself; `client.Link` opens it, shakes hands on it and replaces it."""

    def __init__(
        self,
        *,
        on_done: Callable[[Pending], None],
        on_lost: Callable[[Wire, list[Pending], Exception | None], None],
        on_push: Callable[[list[Any]], None] | None = None,
    ) -> None:
        """Report batches with an error reply to `on_done`, the end of the connection to `on_lost` (once)."""
        self._loop = asyncio.get_running_loop()
        self._on_done = on_done
        self._on_lost = on_lost
        self._on_push = on_push
        self._reader = hiredis.Reader(notEnoughData=_NOTHING, replyError=ResponseError)
        self._pending: deque[Pending] = deque()
        self._out: list[bytes] = []
        self._transport: asyncio.Transport | None = None
        self.run_id = b""
        self.queued = 0
        self.closed = False

    # --- sending ---

    def submit(self, pending: Pending) -> None:
        """Queue a batch for the one write at the end of this turn of the loop."""
        if not self._out:
            self._loop.call_soon(self._flush)
        out = self._out
        for command in pending.commands:
            out.append(hiredis.pack_command(command.args))
        self._pending.append(pending)

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self._transport is not None and not self.closed:
            self._transport.write(b"".join(out))

    @property
    def unsent(self) -> int:
        """Bytes handed to the socket that the kernel has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    @property
    def oldest_due(self) -> float | None:
        """When the oldest reply is due on the loop's clock; None while nothing is under way."""
        return self._pending[0].due if self._pending else None

    # --- receiving ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from asyncio's

    def data_received(self, data: bytes) -> None:
        """Match each whole reply to the oldest batch that still waits."""
        reader, pending = self._reader, self._pending
        reader.feed(data)
        gets = reader.gets
        try:
            while (reply := gets()) is not _NOTHING:
                if type(reply) is hiredis.PushNotification:
                    if self._on_push is not None:
                        self._on_push(reply)
                    continue
                head = pending[0]
                replies = head.replies
                replies.append(reply)
                if type(reply) is ResponseError:
                    head.dirty = True
                if len(replies) == head.want:
                    pending.popleft()
                    replies.run_id = self.run_id
                    if head.dirty:
                        self._on_done(head)
                    elif not head.future.done():
                        head.future.set_result(replies)
        except (hiredis.ProtocolError, IndexError) as error:
            self.abort(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand back what is under way."""
        self._close(exc)

    def abort(self, error: Exception | None = None) -> None:
        """Give the connection up at once."""
        if self._transport is not None:
            self._transport.abort()
        self._close(error)

    def _close(self, error: Exception | None) -> None:
        if self.closed:
            return
        self.closed = True
        left, self._pending = list(self._pending), deque()
        self._on_lost(self, left, error)
