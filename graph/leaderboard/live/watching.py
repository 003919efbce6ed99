"""Finds the watchers of a board in this process that a move concerns, at a cost proportional to their number.

Watchers are sorted by the ranks they see, so those in a moved range are found by bisection; an idle watcher costs a
waiting task and no work.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from prometheus_client import Counter

if TYPE_CHECKING:
    from graph.patterns.broker import Event
    from graph.patterns.ranking import Submitted, Ties

MERGE = 0.1
"""Least seconds between two wakings of a watcher, and between two announcements of a process about a board."""

_SPANS = 32  # ranges in one message; more are merged into one
_NAMES = 256
_END = 1 << 53

_WOKEN = Counter("graph_leaderboard_watchers_woken_total", "How often a watcher was woken.")
_serial = itertools.count()

WatchedPlace: TypeAlias = "tuple[int, int, Watch]"


@dataclass(slots=True)
class Moves:
    """What moved: ranges of ranks (inclusive), the players, and the number of submissions."""

    spans: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    players: set[str] = field(default_factory=set[str])
    count: int = 0
    everything: bool = False

    def add(self, ties: Ties, player: str, submitted: Submitted | None) -> None:
        """Add one submission; None if it is not known what it moved."""
        self.count += 1
        moved = None if submitted is None else submitted.moved(ties)
        if moved is None or len(self.players) >= _NAMES:
            self.everything = True
            return
        self.players.add(player)
        first, last = moved
        self.spans.append((first, last or _END))
        if len(self.spans) > _SPANS:
            self.spans = [(min(low for low, _ in self.spans), max(high for _, high in self.spans))]

    def message(self) -> dict[str, Any]:
        """Return the message to publish."""
        return {"n": self.count, "all": self.everything, "spans": self.spans, "players": sorted(self.players)}

    @classmethod
    def of(cls, event: Event) -> Moves:
        """Read a message; after a gap everything may have moved."""
        data: Any = event.data
        if data is None:
            return cls(everything=True)
        spans = [(low, high) for low, high in data["spans"]]
        return cls(spans, set(data["players"]), data["n"], data["all"] or event.gap)


class Watch:
    """A watcher, who sees a range of a board's ranks and may be a player on it.

    After reading, the watcher calls `stands` with the range it sees, then waits for `changed`; moves between the read
    and that call count.
    """

    def __init__(self, watchers: Watchers, player: str | None) -> None:
        """Join `watchers`; `Watchers.join` does it."""
        self.player = player
        self.place: WatchedPlace | None = None
        self.low, self.high = 1, 0
        self._watchers = watchers
        self._since: list[Moves] = []
        self._wake = asyncio.Event()
        self._woken_at = 0.0

    def stands(self, low: int, high: int) -> None:
        """See the ranks from `low` to `high` (none if `high` is less), as read after the last `changed`."""
        self.low, self.high = low, high
        self._watchers.settle(self)
        since, self._since = self._since, []
        for moves in since:
            self.take(moves)

    def take(self, moves: Moves) -> None:
        """Wake up if `moves` change what is seen; while the range is unknown, decide once it is known."""
        if self.place is None:
            self._since.append(moves)
        elif not self._wake.is_set() and self._sees(moves):
            _WOKEN.inc()
            self._wake.set()

    def _sees(self, moves: Moves) -> bool:
        if moves.everything or self.player in moves.players:
            return True
        return self.low <= self.high and any(a <= self.high and self.low <= b for a, b in moves.spans)

    async def changed(self) -> None:
        """Wait until what is seen may have changed, but at least `MERGE` seconds since the last time."""
        await self._wake.wait()
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._woken_at + MERGE - loop.time())
        self._woken_at = loop.time()
        self._watchers.unsettle(self)
        self._wake.clear()


class Watchers:
    """All watchers of one board."""

    def __init__(self) -> None:
        """Start without watchers."""
        self.all: dict[Watch, None] = {}
        self._unsettled: dict[Watch, None] = {}
        self._players: defaultdict[str, dict[Watch, None]] = defaultdict(dict)
        self._order: list[WatchedPlace] = []
        self._reach = 0

    def join(self, player: str | None) -> Watch:
        """Add a watcher whose range is not known yet."""
        watch = Watch(self, player)
        self.all[watch] = self._unsettled[watch] = None
        if player is not None:
            self._players[player][watch] = None
        return watch

    def leave(self, watch: Watch) -> None:
        """Remove a watcher."""
        self.unsettle(watch)
        del self.all[watch], self._unsettled[watch]
        if watch.player is not None:
            del self._players[watch.player][watch]
            if not self._players[watch.player]:
                del self._players[watch.player]

    def settle(self, watch: Watch) -> None:
        """Sort in a watcher by its range."""
        self.unsettle(watch)
        del self._unsettled[watch]
        watch.place = (watch.low, next(_serial), watch)
        bisect.insort(self._order, watch.place)
        self._reach = max(self._reach, watch.high - watch.low)

    def unsettle(self, watch: Watch) -> None:
        """Take out a watcher's range; it is not known any more."""
        if watch.place is not None:
            del self._order[bisect.bisect_left(self._order, watch.place)]
            watch.place = None
            self._unsettled[watch] = None

    def take(self, moves: Moves) -> None:
        """Pass `moves` to the watchers that they may concern."""
        if moves.everything:
            for watch in tuple(self.all):
                watch.take(moves)
            return
        concerned = dict(self._unsettled)
        for player in moves.players:
            concerned |= self._players.get(player, {})
        for low, high in moves.spans:
            first = bisect.bisect_left(self._order, low - self._reach, key=_low)
            last = bisect.bisect_right(self._order, high, key=_low)
            concerned |= {place[2]: None for place in self._order[first:last]}
        for watch in concerned:
            watch.take(moves)


def _low(place: WatchedPlace) -> int:
    return place[0]
