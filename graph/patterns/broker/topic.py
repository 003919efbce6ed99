"""The values of the broker: topics, positions, events, and the rule for what a page of history means to a reader.

`judge` is the whole rule for detecting a gap. It is a pure function, so that every case can be tested.
"""

from __future__ import annotations

import enum
import json
import secrets
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from graph.patterns.client import Script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.patterns.client import Command, Reply

T = TypeVar("T")

_READ = Script(__name__, "read", idempotent=True)
_MICROSECONDS = 1_000_000
_STATE_OUTLIVES_HISTORY = 2  # times: the state that reveals a lost history must outlive the history
_MAX_CURSOR = 150  # characters
_MAX_DIGITS = 16  # a Lua number holds 15 digits, and microseconds since 1970 take 16

EXPIRING_KEYS = {"topic:{*}:history": "the events", "topic:{*}:state": "the number of the last event"}
"""Keys with a TTL, below the prefix, and what they hold."""

CHANNELS = {"topic:{*}:channel": "the events, as they are published"}
"""Channels below the prefix, and what they tell."""


class Delivery(enum.Enum):
    """The promise to a topic's subscribers."""

    EVERY = "every"
    """Every event, once and in order; where that is impossible, a gap is reported. A subscriber that cannot keep up
    loses its subscription (`SlowConsumer`), but never loses an event silently."""
    LATEST = "latest"
    """Each event replaces the ones before it: a subscriber always gets the newest, and may miss those in between."""


@dataclass(frozen=True)
class Topic:
    """A named sequence of events. The name may carry an id (``job:123``); the part before the colon is its family.

    The history keeps at most `max_length` events, none older than `max_age` seconds: a subscriber that was away
    longer sees a gap.
    The events of a `sourced` topic come from a durable log that numbers them (`Broker.append`), so that a Redis server
    which lost some gets them again under the same numbers. Who has followed it since it was empty takes the first log
    that it hears of for the only one: that another one was there and is gone is told to all others.
    """

    name: str
    kind: Delivery = Delivery.EVERY
    max_length: int = 10_000
    max_age: float = 3600.0
    sourced: bool = False

    def __post_init__(self) -> None:
        """Reject values that would break the keys or keep no history."""
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
        """How many events the history keeps."""
        return self.max_length if self.kind is Delivery.EVERY else 1

    @property
    def max_age_us(self) -> int:
        """The age of the oldest event kept, microseconds."""
        return int(self.max_age * _MICROSECONDS)

    @property
    def state_ms(self) -> int:
        """How long the state lives without events or readers, milliseconds."""
        return int(self.max_age * 1000 * _STATE_OUTLIVES_HISTORY)


class TopicKeys(NamedTuple):
    """The Redis keys of a topic. They share one hash tag, so they are in one slot of a cluster."""

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
    """A place in a topic's history: just after event number `offset`, which was published at `time` (microseconds).

    Two positions can be compared only within one epoch: `nonce` names the history, `run` the server process that
    keeps it (empty for a sourced topic, whose numbers outlive any server).
    """

    nonce: str
    run: str
    time: int
    offset: int

    @property
    def id(self) -> str:
        """The id of the stream entry."""
        return f"{self.time}-{self.offset}"

    def __str__(self) -> str:
        """The position as a cursor."""
        return f"{self.nonce}.{self.run}.{self.time}-{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Read a cursor; anything else raises `BadCursor`."""
        nonce, _, rest = text.partition(".")
        run, _, entry = rest.partition(".")
        time, _, offset = entry.partition("-")
        numbers = time.isdigit() and offset.isdigit() and len(time) <= _MAX_DIGITS and len(offset) <= _MAX_DIGITS
        named = (nonce + run).isalnum() or text == str(_NOWHERE)
        if not numbers or not text.isascii() or len(text) > _MAX_CURSOR or not named:
            raise BadCursor("not a cursor")
        return cls(nonce, run, int(time), int(offset))

    def same_epoch(self, before: Position) -> bool:
        """Whether the offsets of both can be compared. A log that has told nothing yet has no name."""
        unnamed = not (before.nonce or before.run or before.offset)
        return self.run == before.run and (self.nonce == before.nonce or unnamed)


_NOWHERE = Position("", "", 0, 0)
"""Where a sourced topic stands of which the server has nothing."""


class Event:
    """One event as a subscriber gets it, shared by all of them.

    `gap` says that the reader has lost events before this one for good and should read the state again. A gap may
    be known before any further event arrives: then `raw` is empty and `data` None.
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

    def once(self, make: Callable[[Event], T]) -> T:
        """What `make` makes of the event, the same object for all subscribers who name the same `make`."""
        made: dict[Any, Any] = self.__dict__.setdefault("_made", {})
        if make not in made:
            made[make] = make(self)
        return cast("T", made[make])

    def __repr__(self) -> str:
        return f"Event({self.position}, {len(self.raw)} bytes, gap={self.gap})"


def encode(data: Any) -> bytes:
    """Encode an event: bytes stay as they are, a JSON value is written in its shortest form."""
    return data if isinstance(data, bytes) else json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode()


def decode(payload: bytes) -> Event:
    """Decode a message that the publish scripts sent to the channel."""
    head, _, raw = payload.partition(b"\n")
    return Event(Position.parse(head.decode()), raw)


class HistoryPage(NamedTuple):
    """The reply to `read_command`: events of the history after a position, and where the history ends."""

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
    """Read at most `count` events after `after` (with `LATEST` only the newest one); None reads only the end."""
    if after is None:
        count = 0
    elif topic.kind is Delivery.LATEST and count:
        count = -1
    nonce, entry = (after.nonce, after.id) if after else ("", "0-0")
    new = "" if topic.sourced else secrets.token_hex(4)
    return _READ((keys.history, keys.state), (nonce, entry, count, topic.state_ms, new))


def judge(topic: Topic, before: Position, page: HistoryPage) -> tuple[list[Event], Position]:
    """Give the events of `page` that follow a reader's position `before`, with gaps marked, and its new position.

    Pages are read in order, each from the position that the previous one gave. Within an epoch the offsets tell exactly
    what is missing. A new epoch always counts as a gap, even where nothing is missing, because an event that a server
    acknowledged and then lost leaves no trace.
    """
    end = page.end
    if topic.sourced and not end.nonce:
        return [], before  # the server has lost everything and gets it again from the log
    known = end.same_epoch(before)
    gap, offset, time = not known, before.offset if known else 0, before.time
    every = topic.kind is Delivery.EVERY
    events: list[Event] = []
    for event in page.events:
        here = event.position
        time = here.time
        if known and here.offset <= offset:
            continue  # a sourced event that came again under the same number
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
