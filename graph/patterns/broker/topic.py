"""The values of the broker: topics, positions in their histories, events; and what a page of history means to a reader.

`judge` is the whole rule by which a gap is seen; it is a pure function, so that every case of it can be tested.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from graph.patterns.client import Script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.patterns.client import Command, Reply

_READ = Script(__name__, "read", idempotent=True)
_MICROSECONDS = 1_000_000
_STATE_OUTLIVES_HISTORY = 2  # times: what tells that a history is gone must be there longer than the history
_MAX_CURSOR = 150  # characters
_MAX_DIGITS = 16  # a Lua number holds 15 digits, and microseconds since 1970 take 16


class Delivery(enum.Enum):
    """What a subscriber of a topic is promised."""

    EVERY = "every"
    """Every event, once and in order; where that cannot be, a gap is reported. A subscriber that is slower than the
    events come loses its subscription (`SlowConsumer`), never an event in silence."""
    LATEST = "latest"
    """Each event replaces the ones before it: a subscriber always gets the newest, and may miss those in between."""


@dataclass(frozen=True)
class Topic:
    """A named sequence of events; the name may carry an id (``job:123``), its part before the colon is its family.

    The history keeps at most `max_length` events, none older than `max_age` seconds: who was away longer sees a gap.
    The events of a `sourced` topic come from a durable log that numbers them (`Broker.append`), so that a Redis server
    which lost some gets them again under the same numbers.
    """

    name: str
    kind: Delivery = Delivery.EVERY
    max_length: int = 10_000
    max_age: float = 3600.0
    sourced: bool = False

    def __post_init__(self) -> None:
        """Refuse what would break the keys or keep no history."""
        if not self.name or "{" in self.name or "}" in self.name:
            raise ValueError(f"a topic's name is not empty and has no braces: {self.name!r}")
        if self.max_length < 1 or self.max_age <= 0:
            raise ValueError(f"a topic keeps at least one event for some time: {self}")

    @property
    def family(self) -> str:
        """What the topic is counted under in the metrics."""
        return self.name.partition(":")[0]

    @property
    def length(self) -> int:
        """How many events are worth keeping."""
        return self.max_length if self.kind is Delivery.EVERY else 1

    @property
    def max_age_us(self) -> int:
        """The age of the oldest event kept, microseconds."""
        return int(self.max_age * _MICROSECONDS)

    @property
    def state_ms(self) -> int:
        """The lifetime of the state without events or readers, milliseconds."""
        return int(self.max_age * 1000 * _STATE_OUTLIVES_HISTORY)


class TopicKeys(NamedTuple):
    """Where a topic lives; one hash tag, so one slot of a cluster."""

    history: str
    state: str
    channel: str

    @classmethod
    def of(cls, prefix: str, topic: Topic) -> TopicKeys:
        """Name the keys of `topic` under `prefix`, with the channel of database 0."""
        base = f"{prefix}:topic:{{{topic.name}}}"
        return cls(f"{base}:history", f"{base}:state", f"{base}:channel")


class BadCursor(ValueError):
    """The text is not a cursor that this broker gave out."""


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a topic's history: behind the event number `offset`, which was published at `time` (microseconds).

    Two positions can be compared only within one epoch: `nonce` names the history, `run` the server process that
    keeps it (empty for a sourced topic, whose numbers outlive any server).
    """

    nonce: str
    run: str
    time: int
    offset: int

    @property
    def id(self) -> str:
        """The stream entry's own id."""
        return f"{self.time}-{self.offset}"

    def __str__(self) -> str:
        """Write the cursor."""
        return f"{self.nonce}.{self.run}.{self.time}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read a cursor; anything else raises `BadCursor`."""
        nonce, _, rest = text.partition(".")
        run, _, entry = rest.partition(".")
        time, _, offset = entry.partition("-")
        numbers = time.isdigit() and offset.isdigit() and len(time) <= _MAX_DIGITS and len(offset) <= _MAX_DIGITS
        if not numbers or not text.isascii() or len(text) > _MAX_CURSOR or not (nonce + run).isalnum():
            raise BadCursor("not a cursor")
        return cls(nonce, run, int(time), int(offset))

    def same_epoch(self, before: Position) -> bool:
        """Whether the offsets of both can be compared. A history that was still empty had no nonce yet."""
        return self.run == before.run and (self.nonce == before.nonce or (not before.nonce and not before.offset))


class Event:
    """One event as a subscriber gets it, shared by all of them.

    `gap` says that events before this one are lost to the reader for good: it should read the state again. A gap may
    be known before any further event: then `raw` is empty and `data` None.
    """

    __slots__ = ("__dict__", "gap", "position", "raw")

    def __init__(self, position: Position, raw: bytes, *, gap: bool = False) -> None:
        """Hold the event `raw` (JSON) at `position`."""
        self.position = position
        self.raw = raw
        self.gap = gap

    @property
    def cursor(self) -> str:
        """Where to go on after this event: ``subscribe(topic, after=cursor)``."""
        return str(self.position)

    @property
    def at(self) -> float:
        """When it was published, Unix seconds by the server's clock."""
        return self.position.time / _MICROSECONDS

    @cached_property
    def data(self) -> Any:
        """The event's JSON value, decoded once for all subscribers; None for a bare gap."""
        return json.loads(self.raw) if self.raw else None

    def __repr__(self) -> str:
        """Show position and size."""
        return f"Event({self.position}, {len(self.raw)} bytes, gap={self.gap})"


def encode(data: Any) -> bytes:
    """An event's bytes: as they are, or a JSON value in its shortest form."""
    return data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def decode(payload: bytes) -> Event:
    """Read what the publish scripts send to the channel."""
    head, _, raw = payload.partition(b"\n")
    return Event(Position.parse(head.decode()), raw)


class HistoryPage(NamedTuple):
    """What `read_command` answers: events of the history after a position, and where the history ends."""

    end: Position
    events: Sequence[Event]

    @classmethod
    def of(cls, topic: Topic, reply: Reply) -> HistoryPage:
        """Read the reply of read.lua."""
        nonce, run, last, entries = reply
        nonce, run = nonce.decode(), "" if topic.sourced else run.decode()

        def position(entry_id: bytes) -> Position:
            time, _, offset = entry_id.partition(b"-")
            return Position(nonce, run, int(time), int(offset))

        return cls(position(last), [Event(position(entry), fields[1]) for entry, fields in entries])


def read_command(topic: Topic, keys: TopicKeys, after: Position | None, count: int) -> Command:
    """Read at most `count` events after `after` (the newest alone, where the latest wins); None reads only the end."""
    if after is None:
        count = 0
    elif topic.kind is Delivery.LATEST and count:
        count = -1
    nonce, entry = (after.nonce, after.id) if after else ("", "0-0")
    return _READ((keys.history, keys.state), (nonce, entry, count, topic.state_ms))


def judge(topic: Topic, before: Position, page: HistoryPage) -> tuple[list[Event], Position]:
    """Tell a reader at `before` what `page` has for it: the events that follow, with gaps marked, and its new position.

    Pages are read in order, each from the position that the one before gave. Within an epoch offsets tell exactly what
    is missing. Another epoch always is a gap, even where nothing is missing: what a server acknowledged and lost
    leaves no trace.
    """
    end = page.end
    if topic.sourced and not end.nonce:
        return [], before  # the server has lost it all and gets it again from the log
    known = end.same_epoch(before)
    gap, offset, time = not known, before.offset if known else 0, before.time
    every = topic.kind is Delivery.EVERY
    events: list[Event] = []
    for event in page.events:
        here = event.position
        time = here.time
        if known and here.offset <= offset:
            continue  # a sourced event that came again under its number
        if every and known and here.offset != offset + 1:
            gap = True
        event.gap, gap, known, offset = gap, False, True, here.offset
        events.append(event)
    if not page.events:
        if known and end.offset <= offset:
            return [], before
        gap = gap or every
        time, offset = end.time, end.offset
    position = Position(end.nonce, end.run, time, offset)
    if gap:
        events.append(Event(position, b"", gap=True))
    return events, position
