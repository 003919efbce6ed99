"""One multiplexed RESP3 connection: many callers, one socket, replies in the order of the commands.

Whatever is submitted in one turn of the event loop leaves in one write at its end. Replies are matched by order alone
(FIFO), so a caller that is cancelled abandons only its future: its reply is still read and dropped. While the socket
takes no more bytes, batches wait here, and only what was handed to the socket counts as sent.

Under load a turn is as long as all that is ready takes, and what a task submits in one is sent in the next. A task that
does one thing after the other, with nothing beside it to share a write with, may say so (`hurry`): what it submits
leaves at once, if few do that in a turn (`_EARLY`).

It fails as a whole: when the socket closes, or the oldest reply is overdue, the connection is given up and every batch
under way is handed back to its owner, which knows what may be sent again (`link.Link`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextvars import ContextVar
from itertools import chain
from typing import TYPE_CHECKING, Any, cast

import hiredis
from redis.exceptions import ResponseError

from graph.patterns.client.batch import Batch, OutcomeUnknown, RedisOverloaded, RedisUnavailable, settle
from graph.patterns.client.traffic import TRAFFIC

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.patterns.client.connection.sentinels import View

QUEUE_BOUND = 32 << 20
"""Bytes of packed commands that may wait for room on a socket; while so many wait, batches are refused."""

logger = logging.getLogger(__name__)

_CHUNK = 256 << 10  # bytes handed to the transport at a time, so that what waits behind it is known to be unsent
_EARLY = 8  # writes of their own, of some microseconds each, that such tasks have in a turn of the loop
_GRACE = 0.05  # seconds in which an overdue reply that already lies in the socket is read before the verdict
_NOTHING = object()


_alone: ContextVar[int | None] = ContextVar("redis_alone", default=None)
"""The id of the task that does one thing after the other; those that it starts inherit this, and are not it.

Its id, because a task that its own context leads to is a cycle, which only the collector of garbage could end.
"""


def hurry() -> None:
    """Let what the current task asks of Redis leave at once, as long as few do: nothing beside it shares a write."""
    _alone.set(id(asyncio.current_task()))


class Wire(asyncio.Protocol):
    """The connection itself; `dialer.Dialer` opens it and shakes hands on it, its owner replaces it."""

    def __init__(self, *, bound: int = QUEUE_BOUND) -> None:
        """Let at most `bound` bytes wait for room on the socket."""
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(notEnoughData=_NOTHING, replyError=ResponseError)
        self._pending: deque[Batch] = deque()  # sent, in the order of their replies
        self._unsent: deque[Batch] = deque()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = 0.0  # when the timer fires: uvloop's handles do not tell
        self._suspect = False
        self._scheduled = False
        self._early = 0  # writes in this turn of the loop before the one at its end
        self._paused = False
        self._retired = False
        self._bound = bound
        self._on_done: Callable[[Batch], None] = Batch.finish
        self._on_lost: Callable[[Wire, list[Batch], list[Batch], Exception | None], None] = _refuse_all
        self._on_push: Callable[[list[Any]], None] | None = None
        self.run_id = b""
        self.mode = b""
        self.confirms_early = False
        self.address: tuple[str, int] = ("", 0)
        self.view: View | None = None  # what the Sentinels said when it was dialled
        self.queued = 0
        self.closed = False

    def adopt(
        self,
        *,
        on_done: Callable[[Batch], None] = Batch.finish,
        on_lost: Callable[[Wire, list[Batch], list[Batch], Exception | None], None],
        on_push: Callable[[list[Any]], None] | None = None,
    ) -> None:
        """Report to a new owner.

        `on_done` gets the batches that have an error among their replies, `on_lost` (once) what was sent and not
        answered and what was never sent, `on_push` the unrequested messages.
        """
        self._on_done, self._on_lost, self._on_push = on_done, on_lost, on_push

    # --- sending ---

    def submit(self, pending: Batch) -> None:
        """Send a batch, at the latest at the end of this turn of the loop; refuse it when too many bytes wait."""
        if self.closed:
            pending.fail(RedisUnavailable("the connection to Redis is closed"))
            return
        if self.queued >= self._bound:
            TRAFFIC.overloaded += 1
            pending.fail(RedisOverloaded(f"{self.queued} bytes already wait for Redis"))
            return
        size = pending.pack()
        self.queued += size
        TRAFFIC.queued += size
        self._unsent.append(pending)
        if not self._paused:
            if not self._scheduled:
                self._scheduled = True
                self._loop.call_soon(self._end_turn)
            if (alone := _alone.get()) is not None and self._early < _EARLY and id(asyncio.current_task()) == alone:
                self._early += 1
                self._flush()
        if self._timer is None or pending.due < self._alarm:
            self._arm(pending.due)

    def push(self, data: bytes) -> None:
        """Write a command that is answered by push messages alone (SUBSCRIBE and its like)."""
        if self._transport is not None and not self.closed:
            self._flush()
            self._transport.write(data)

    def _end_turn(self) -> None:
        self._scheduled = False
        self._early = 0
        self._flush()

    def _flush(self) -> None:
        unsent, transport = self._unsent, self._transport
        # One that is closing has failed, and tells so in a later turn of the loop: what it is given would not leave.
        while unsent and not (self._paused or self.closed or transport is None or transport.is_closing()):
            chunks: list[bytes] = []
            size = 0
            while unsent and size < _CHUNK:
                batch = unsent.popleft()
                chunks += batch.packed
                size += batch.size
                TRAFFIC.batches += 1
                TRAFFIC.commands += batch.want
                self._pending.append(batch)
            self.queued -= size
            TRAFFIC.queued -= size
            transport.write(b"".join(chunks))

    def pause_writing(self) -> None:
        """Keep what follows: the socket takes no more for now."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on where `pause_writing` stopped."""
        self._paused = False
        self._flush()

    # --- receiving ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from asyncio's
        self._transport.set_write_buffer_limits(high=_CHUNK)

    def data_received(self, data: bytes) -> None:
        """Match each whole reply to the oldest batch that still waits."""
        reader, pending = self._reader, self._pending
        reader.feed(data)
        gets: Callable[[], object] = reader.gets
        try:
            while (reply := gets()) is not _NOTHING:
                kind = reply.__class__
                if kind is hiredis.PushNotification:
                    self._push(cast("list[Any]", reply))
                    continue
                if not pending:  # unasked: the server says why it hangs up, "max number of clients reached" for one
                    self.abort(reply if isinstance(reply, Exception) else hiredis.ProtocolError("an unasked reply"))
                    break
                head = pending[0]
                replies = head.replies
                replies.append(reply)
                if kind is ResponseError:
                    head.dirty = True
                if len(replies) == head.want:
                    pending.popleft()
                    replies.run_id = self.run_id
                    replies.wire = self
                    try:
                        if head.dirty:
                            self._on_done(head)
                        else:
                            head.finish()
                    except Exception as error:  # the batches behind it are answered all the same
                        logger.exception("a batch could not be settled")
                        head.end(RedisUnavailable(f"the reply could not be handled: {error!r}"))
        except hiredis.ProtocolError as error:
            self.abort(error)
        if self._retired:
            self.retire()

    def _push(self, message: list[Any]) -> None:
        try:
            if self._on_push is not None:
                self._on_push(message)
        except Exception:  # the messages behind it are delivered all the same
            logger.exception("a message could not be handled")

    # --- the end ---

    def _arm(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._alarm = when
        self._timer = self._loop.call_at(when, self._check)

    def _check(self) -> None:
        """Give the connection up when a reply is overdue; one timer serves all batches."""
        self._timer = None
        due = min((batch.due for batch in chain(self._pending, self._unsent)), default=None)
        now = self._loop.time()
        if due is None or self.closed:
            return
        if due > now:
            self._suspect = False
            self._arm(due)
        elif self._suspect:
            self.abort(TimeoutError("no reply in time"))
        else:  # the loop itself may have been blocked: first read what is in the socket
            self._suspect = True
            self._arm(now + _GRACE)

    def retire(self) -> None:
        """Close once everything in progress is answered; nothing more may be submitted."""
        self._retired = True
        if not self._pending and not self._unsent:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand back the batches in progress."""
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
        if self._timer is not None:
            self._timer.cancel()
        TRAFFIC.queued -= self.queued
        self.queued = 0
        sent, self._pending = list(self._pending), deque()
        unsent, self._unsent = list(self._unsent), deque()
        try:
            self._on_lost(self, sent, unsent, error)
        except Exception as failure:  # nobody waits for ever because of it
            logger.exception("the loss of a connection could not be handled")
            for batch in chain(sent, unsent):
                batch.end(OutcomeUnknown(f"the connection to Redis was lost: {failure!r}"))


def _refuse_all(_wire: Wire, sent: list[Batch], unsent: list[Batch], error: Exception | None) -> None:
    """Refuse everything on a connection that has no owner yet."""
    why = RedisUnavailable(f"the connection to Redis was lost: {error or 'closed by the server'}")
    settle(chain(sent, unsent), lambda batch: batch.fail(why), why)
