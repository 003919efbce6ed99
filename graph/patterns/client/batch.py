"""Batches in progress and their outcome: replies, errors, parts that are sent again.

When some commands of a batch must be sent again (to another node, after loading a script, after a lost connection), the
batch is not repeated as a whole: only those commands form a part, whose replies are merged into their places.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from graph.patterns.client.commands import Argument, Command

Reply: TypeAlias = Any
"""A RESP3 value: bytes, int, float, bool, None, list, dict, set; or an exception where a batch reports one."""

pack = cast("Callable[[tuple[Argument, ...]], bytes]", cast("Any", hiredis).pack_command)  # its own type is wrong
"""Encode one command."""


class RedisUnavailable(RedisConnectionError):
    """Redis cannot be reached, or did not answer in time; the command is not known to have run."""

    def __repr__(self) -> str:
        """The reason, too: redis-py shows the kind of its errors alone."""
        return f"{type(self).__name__}({str(self)!r})"


class OutcomeUnknown(RedisUnavailable):
    """The connection was lost after the command left: it may have run, so it was not sent again."""


class RedisOverloaded(RedisUnavailable):
    """More bytes wait for Redis than the client may hold; the command was not sent."""


class ServerConnection(Protocol):
    """What answers a batch: one connection to one server process."""

    @property
    def run_id(self) -> bytes:
        """The id of the server process."""
        ...

    @property
    def confirms_early(self) -> bool:
        """Whether its WAITAOF answers before the fsync."""
        ...

    def submit(self, batch: Batch, /) -> None:
        """Send `batch`, or fail it."""
        ...


class Replies(list[Reply]):
    """The replies of a batch, in order; a command that failed has its exception in its place.

    `run_id` names the server process that answered: of the first command where a cluster's nodes shared the batch,
    empty where the batch was answered partly before and partly after a reconnect to another process. Behind Sentinels
    it tells also during which reign of that process as primary; a server that hides its run id has one a connection.
    """

    # Class defaults, here and in Batch: setting them for each batch would slow the hot path.
    run_id: bytes = b""
    wire: ServerConnection | None = None  # the connection that answered all of it
    wires: list[ServerConnection | None] | None = None  # or of each reply, if it was divided or sent again

    @property
    def process(self) -> bytes:
        """The run id of that process as its own INFO tells it, to a script for example; empty where it does not."""
        return self.run_id.partition(b"@")[0]

    def wire_of(self, place: int) -> ServerConnection | None:
        """The connection that answered the command at `place`; None where none did."""
        return self.wires[place] if self.wires is not None else self.wire

    def run_id_of(self, place: int) -> bytes:
        """The server process that answered the command at `place`; empty where none did."""
        if self.wires is None:
            return self.run_id
        wire = self.wires[place]
        return wire.run_id if wire is not None else b""


class Receiver(Protocol):
    """The receiver of a batch's replies: a future, or an object used in place of one."""

    def done(self) -> bool:
        """Whether nobody waits any more."""
        ...

    def set_result(self, result: Replies, /) -> None:
        """Take the replies as soon as they have arrived. It must not raise: it is called between other replies."""
        ...


logger = logging.getLogger(__name__)


def settle(batches: Iterable[Batch], how: Callable[[Batch], object], why: Exception) -> None:
    """Call `how` with each of `batches`; if it raises, that batch is logged and ended with `why`, the others go on."""
    for batch in batches:
        try:
            how(batch)
        except Exception:  # the batches behind it must have their end as well
            logger.exception("a batch could not be settled")
            batch.end(why)


_TAKEN = object()  # stands for a reply that another part will bring


class Batch:
    """A batch in progress: its replies so far, and the future, or the larger batch, that gets them all at once."""

    parent: Batch | None = None
    places: Sequence[int] = ()
    dirty = False  # has an error among its replies
    size = 0
    packed: Sequence[bytes] = ()
    parts = 0  # parts in progress, plus one while it is still being divided
    maybe_ran = False  # it left once before
    hops = 0  # times that it was sent on
    many = False  # divided among a cluster's nodes

    def __init__(
        self,
        commands: Sequence[Command],
        due: float,
        future: Receiver | None = None,
    ) -> None:
        """Expect a reply for each of `commands` before the loop's clock says `due`, for `future`."""
        self.commands = commands
        self.due = due
        self.future = future
        self.want = len(commands)
        self.replies = Replies()

    def pack(self) -> int:
        """Encode the commands, once, and give their size in bytes."""
        if not self.size:
            self.packed = [command.packed or pack(command.args) for command in self.commands]
            self.size = sum(map(len, self.packed))
        return self.size

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        top = self.parent or self
        return top.future is not None and top.future.done()

    def finish(self) -> None:
        """Give the replies to the receiver."""
        if self.parent is not None:
            self.parent.merge(self)
        elif self.future is not None and not self.future.done():
            self.future.set_result(self.replies)

    def end(self, error: Exception) -> None:
        """Answer the receiver of the whole batch now, with `error` where there is no reply; never raises.

        For a batch in an unknown state, because something raised while it was being settled.
        """
        top = self.parent or self
        replies = [error if reply is _TAKEN else reply for reply in top.replies]
        top.replies[:] = replies + [error] * (top.want - len(replies))
        with contextlib.suppress(Exception):
            if top.future is not None and not top.future.done():
                top.future.set_result(top.replies)

    def fail(self, error: Exception) -> None:
        """Put `error` in the place of every reply that is missing."""
        if self.maybe_ran and type(error) is not OutcomeUnknown:
            error = OutcomeUnknown(str(error))
        self.replies.extend([error] * (self.want - len(self.replies)))
        self.finish()

    def lost(self, wire: ServerConnection, why: str) -> Batch | None:
        """Give up the replies that `wire` still owes; returns the part that may be sent again, if there is one.

        Call `hold` first.
        """
        answered = len(self.replies)
        wires: list[ServerConnection | None] = [wire] * answered
        self.replies.wires = wires + [None] * (self.want - answered)
        self.replies.extend(OutcomeUnknown(why) for _ in range(self.want - answered))
        again = [place for place in range(answered, self.want) if self.commands[place].retry]
        if not again or self.abandoned:
            return None
        part = self.part(again)
        part.maybe_ran = True
        return part

    # --- parts ---

    def part(self, places: Sequence[int], before: Sequence[Command | None] = ()) -> Batch:
        """Make a part of the commands at `places`, each preceded by its entry of `before`, to be sent separately.

        Call `hold` first and `release` after the last part was made. A part of a part belongs to the whole batch.
        """
        commands: list[Command] = []
        back: list[int] = []
        for i, place in enumerate(places):
            if before and (extra := before[i]) is not None:
                commands.append(extra)
                back.append(-1)
            commands.append(self.commands[place])
            back.append(place if self.parent is None else self.places[place])
        part = Batch(commands, self.due)
        part.parent, part.places = self.parent or self, back  # places in the whole batch, -1: dropped
        part.hops = self.hops + 1
        if self.parent is not None:
            for place in places:
                self.replies[place] = _TAKEN
            self.parent.parts += 1
        else:
            self.parts += 1
        return part

    def spread(self, groups: Iterable[Sequence[int]]) -> list[Batch]:
        """Divide the whole batch into parts for several nodes."""
        self.replies.extend([None] * self.want)
        nobody: list[ServerConnection | None] = [None]
        self.replies.wires = nobody * self.want
        parts = [self.part(places) for places in groups]
        self.many = True
        return parts

    def hold(self) -> None:
        """Keep the batch open while it is divided into parts."""
        self.parts += 1

    def release(self) -> None:
        """Finish the batch as soon as no part is in progress."""
        self.parts -= 1
        if not self.parts:
            replies = self.replies
            if replies.wires:
                ids = {replies.run_id_of(place) for place in range(1 if self.many else self.want)}
                replies.run_id = ids.pop() if len(ids) == 1 else b""
            self.finish()

    def merge(self, part: Batch) -> None:
        """Take the replies of `part`."""
        mine, theirs = self.replies, part.replies
        if mine.wires is None:
            mine.wires = [mine.wire] * self.want
        for i, place in enumerate(part.places):
            if place >= 0 and theirs[i] is not _TAKEN:
                mine[place] = theirs[i]
                mine.wires[place] = theirs.wire_of(i)
        self.release()
