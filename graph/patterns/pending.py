"""Batches under way and what may become of them: replies, errors, parts that are sent again.

A batch whose commands need a second look (another node, a script to be loaded first, a lost connection) is not started
again as a whole: exactly the commands concerned travel on as a part, whose replies are merged into their places.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

import hiredis
from redis.exceptions import ConnectionError as RedisConnectionError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from graph.patterns.script import Argument, Command
    from graph.patterns.wire import Wire

Reply: TypeAlias = Any
"""A RESP3 value: bytes, int, float, bool, None, list, dict, set; or an exception where a batch reports one."""

pack = cast("Callable[[tuple[Argument, ...]], bytes]", cast("Any", hiredis).pack_command)  # its own type is wrong
"""Encode one command."""


class Unavailable(RedisConnectionError):
    """Redis cannot be reached, or did not answer in time; nothing is known to have been done."""


class OutcomeUnknown(Unavailable):
    """The connection was lost after the command left: it may have run, so it was not sent again."""


class Overloaded(Unavailable):
    """More bytes wait for Redis than the client may hold; the command was not sent."""


class Replies(list[Reply]):
    """The replies of a batch, in order; a command that failed has its exception in its place.

    `run_id` names the server process that answered: of the first command where a cluster's nodes shared the batch,
    empty where the batch was answered partly before and partly after a reconnect to another process.
    """

    __slots__ = ("resent", "run_id", "run_ids", "wire")

    def __init__(self, values: Sequence[Reply] = (), run_id: bytes = b"") -> None:
        """Hold `values` as answered by the server process `run_id`."""
        super().__init__(values)
        self.run_id = run_id
        self.run_ids: list[bytes] | None = None
        self.wire: Wire | None = None  # the connection that answered all of it, None where it was several
        self.resent = False  # whether some of it was sent again, and so ran after what followed it in the batch

    def run_id_of(self, place: int) -> bytes:
        """The process that answered the command at `place`; empty where none did."""
        return self.run_ids[place] if self.run_ids is not None else self.run_id


class Pending:
    """A batch under way: its replies so far, and the future, or the larger batch, that gets them all at once."""

    __slots__ = (
        *("commands", "dirty", "due", "future", "maybe_ran", "packed", "parent"),
        *("parts", "places", "replies", "size", "spread", "want"),
    )

    def __init__(
        self,
        commands: Sequence[Command],
        due: float,
        future: asyncio.Future[Replies] | None = None,
        parent: Pending | None = None,
        places: Sequence[int] = (),
    ) -> None:
        """Expect a reply for each of `commands` before the loop's clock says `due`.

        They go to `future`, or to their `places` (-1: dropped) in `parent`.
        """
        self.commands = commands
        self.due = due
        self.future = future
        self.parent = parent
        self.places = places
        self.want = len(commands)
        self.replies = Replies()
        self.dirty = False
        self.packed: list[bytes] = []
        self.size = 0
        self.parts = 0  # parts under way, and one for whoever is still dividing it
        self.maybe_ran = False  # it left once before
        self.spread = False  # divided among a cluster's nodes

    def pack(self) -> int:
        """Encode the commands, once, and give their size in bytes."""
        if not self.size:
            self.packed = [pack(command.args) for command in self.commands]
            self.size = sum(map(len, self.packed))
        return self.size

    @property
    def abandoned(self) -> bool:
        """Whether nobody waits for it any more."""
        top = self
        while top.parent is not None:
            top = top.parent
        return top.future is not None and top.future.done()

    def finish(self) -> None:
        """Give the replies to whoever waits for them."""
        if self.parent is not None:
            self.parent.merge(self)
        elif self.future is not None and not self.future.done():
            self.future.set_result(self.replies)

    def fail(self, error: Exception) -> None:
        """Put `error` in the place of every reply that is missing."""
        if self.maybe_ran and type(error) is Unavailable:
            error = OutcomeUnknown(str(error))
        self.replies.extend([error] * (self.want - len(self.replies)))
        self.finish()

    # --- parts ---

    def part(self, places: Sequence[int], before: Sequence[Command | None] = ()) -> Pending:
        """Make a part of the commands at `places`, each preceded by its entry of `before`, to be sent separately.

        Call `hold` first and `release` after the last part was made.
        """
        commands: list[Command] = []
        back: list[int] = []
        for i, place in enumerate(places):
            if before and (extra := before[i]) is not None:
                commands.append(extra)
                back.append(-1)
            commands.append(self.commands[place])
            back.append(place)
        self.parts += 1
        return Pending(commands, self.due, None, self, back)

    def hold(self) -> None:
        """Keep it open while parts are made of it."""
        self.parts += 1

    def release(self) -> None:
        """Finish it as soon as no part is under way."""
        self.parts -= 1
        if not self.parts:
            ids = self.replies.run_ids
            if ids:
                self.replies.run_id = ids[0] if self.spread or ids.count(ids[0]) == len(ids) else b""
            self.finish()

    def merge(self, part: Pending) -> None:
        """Take the replies of `part`."""
        mine, theirs = self.replies, part.replies
        if mine.run_ids is None:
            mine.run_ids = [mine.run_id] * self.want
        mine.resent = True
        if mine.wire is not theirs.wire:
            mine.wire = None
        for i, place in enumerate(part.places):
            if place >= 0:
                mine[place] = theirs[i]
                mine.run_ids[place] = theirs.run_id_of(i)
        self.release()
