"""What subscribers of a topic may be given, whatever becomes of its events: the model that schedules are held to."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graph.patterns.broker import Delivery

if TYPE_CHECKING:
    from graph.patterns.broker import Event, Position, Topic


@dataclass
class Told:
    """The events of `topic`: the numbers 0, 1, 2 in the order of publication, whatever the server loses."""

    topic: Topic
    certain: dict[int, Position | None] = field(default_factory=dict[int, "Position | None"])
    """Those that are published for sure, and where; None for one of a durable log, which may come again elsewhere."""
    count: int = 0

    def begin(self) -> int:
        """The number of the next event, which may fail to be published."""
        self.count += 1
        return self.count - 1


@dataclass
class Sequel:
    """What one subscriber is given after event `last` and `position`; those before event `excused` may be missing."""

    told: Told
    position: Position
    last: int
    excused: int
    faults: list[str] = field(default_factory=list[str])

    def take(self, event: Event) -> None:
        """Note `event`, and what is wrong with it."""
        every = self.told.topic.kind is Delivery.EVERY
        here, before, self.position = event.position, self.position, event.position
        if not event.gap:
            if not here.same_epoch(before):
                self.faults.append(f"another epoch without a gap: {here} after {before}")
            elif here.offset <= before.offset or (every and here.offset > before.offset + 1):
                self.faults.append(f"not the next one: {here} after {before}")
        if event.data is None:
            self.excused = max(self.excused, self.told.count)
            return
        number: int = event.data
        if not (before.nonce or before.run or before.offset):  # it has had nothing of the log that was replaced
            self.excused = max(self.excused, number)
        if number <= self.last:
            self.faults.append(f"twice or early: {number} after {self.last}")
        missed = [n for n in range(max(self.last + 1, self.excused), number) if self._owed(n, here, every=every)]
        if missed and not event.gap:
            self.faults.append(f"missing without a gap: {missed} between {self.last} and {number}")
        self.last = number

    def _owed(self, number: int, here: Position, *, every: bool) -> bool:
        if number not in self.told.certain:
            return False
        place = self.told.certain[number]
        return every or (place is not None and not here.same_epoch(place))
