"""What a ranking takes and gives: rows, entries, pages, places, and its policies.

Plain values; nothing here talks to Redis. `Place.decode` raises ValueError for text that `Place.encode` did not make.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

NO_BUILD = "0" * 16
"""The build of a page from which entries need not be left out later, whatever changes."""
_TIME_END = 1 << 53  # microseconds, and versions, that a double holds exactly: until the year 2255
_TIME = struct.Struct(">Q")
_PLACE = struct.Struct(">dQQ8s")


class Operator(Enum):
    """How a submitted score meets the one held: keep the better, keep the later, add up."""

    BEST = "best"
    LATEST = "latest"
    SUM = "sum"


class Order(Enum):
    """Which scores are the better ones: the high ones, or the low ones (lap times, strokes in golf)."""

    DESCENDING = "descending"
    ASCENDING = "ascending"

    def merit(self, score: float) -> float:
        """A number that is higher the better `score` is; of a merit, the score. There is one zero."""
        return score + 0.0 if self is Order.DESCENDING else 0.0 - score


class Ties(Enum):
    """Ranks of equal scores: 1234 by time of achievement, 1224, or 1223."""

    EARLIEST_FIRST = "earliest"
    COMPETITION = "competition"
    DENSE = "dense"


class RankingMissing(LookupError):
    """There is no whole index to answer from: it was never built, or keys of it are gone."""


class RankingStale(RankingMissing):
    """The index may lack the newest rows: the server process that holds it is not the one it was completed on."""


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """A player's score as its truth has it; None: it was removed.

    `version` grows with every change of the row and is below 2**53. `metadata` is any text that goes with the score.
    """

    player: str
    score: float | None
    achieved_at: float
    version: int
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A player's place. `achieved_at` is when the score was reached, seconds since 1970.

    `metadata` is what went with the score, if it was asked for. `percentile` is the share of all players, in percent,
    who are not ahead: 100 for the best. Whoever joins changes it for everybody, so it does not make another entry.
    """

    rank: int
    player: str
    score: float
    achieved_at: float
    metadata: str | None = None
    percentile: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Start:
    """Where the first of consecutive entries stands: its position (from 0), its rank, how many are ahead, of how many.

    Who is ahead has a better score, or under `Ties.EARLIEST_FIRST` an equal one that was reached sooner.
    """

    position: int
    rank: int
    ahead: int
    size: int


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """An entry and its neighbours at one instant, best first."""

    entry: Entry
    above: list[Entry]
    below: list[Entry]


@dataclass(frozen=True, slots=True)
class Submitted:
    """What became of a score: the one held now, its place, the ones before, and the `size` of the ranking.

    None: there is, or was, none.

    A row that came later than the player's removal at a newer version is not taken in and has no rank.
    """

    changed: bool
    rank: int | None
    score: float
    achieved_at: float
    version: int
    former_rank: int | None
    former_score: float | None
    size: int

    def moved(self, ties: Ties) -> tuple[int, int | None] | None:
        """The first and the last rank, of before or after it, of the entries that it changed; None: down to the end.

        None in place of both: it is not known what it changed.
        """
        if self.rank is None:
            return None
        if self.former_rank is None or ties is Ties.DENSE:  # a dense rank that comes or goes moves everybody below
            return min(self.rank, self.former_rank or self.rank), None
        # Who comes down to a rank of several leaves the others a rank that is one better.
        last = max(self.rank, self.former_rank) + (ties is Ties.COMPETITION)
        return min(self.rank, self.former_rank), last


@dataclass(frozen=True, slots=True)
class RankingState:
    """How large an index is and how far it has come: it was seen to hold all rows up to version `through`."""

    size: int
    seq: int
    through: int
    build: str
    stale: bool


@dataclass(frozen=True, slots=True)
class Place:
    """A place between two entries, which stays where it is whatever the entries do.

    `build` and `seq` say as of when the paging began.
    """

    score: float
    achieved: int
    player: str
    build: str
    seq: int

    @property
    def member(self) -> bytes:
        """The sorted-set member, which orders it among equal scores."""
        return _TIME.pack(self.achieved)[1:] + self.player.encode()

    def encode(self) -> str:
        """Write the place as opaque text."""
        packed = _PLACE.pack(self.score, self.achieved, self.seq, bytes.fromhex(self.build)) + self.player.encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Place:
        """Read what `encode` made; raises ValueError for anything else."""
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            score, achieved, seq, build = _PLACE.unpack_from(packed)
            player = packed[_PLACE.size :].decode()
        except (binascii.Error, struct.error, ValueError) as error:
            raise ValueError("not a position in a ranking") from error
        if not player or max(achieved, seq) >= _TIME_END:
            raise ValueError("not a position in a ranking")
        return cls(finite(score), achieved, player, build.hex(), seq)


@dataclass(frozen=True, slots=True)
class RankingPage:
    """Entries in order, with the size of the whole ranking at the same instant."""

    entries: list[Entry]
    size: int
    has_previous: bool
    has_next: bool
    build: str
    seq: int
    last: Entry | None = None

    @property
    def end(self) -> Place | None:
        """The place to go on from; None for a page beyond the last entry. A page may be empty and yet have an end."""
        return None if self.last is None else self.place(self.last)

    def place(self, entry: Entry) -> Place:
        """The place just after `entry`, to go on from."""
        return Place(entry.score, micros(entry.achieved_at), entry.player, self.build, self.seq)


def finite(score: float) -> float:
    """`score` as a float, with one zero; raises ValueError for NaN and infinity."""
    value = float(score)
    if not math.isfinite(value):
        raise ValueError("a score is a finite number")
    return value + 0.0


def micros(moment: float) -> int:
    """Seconds since 1970 as whole microseconds; raises ValueError outside 1970 to 2255."""
    value = round(moment * 1e6)
    if not 0 < value < _TIME_END:
        raise ValueError("a moment lies after 1970 and before 2255")
    return value


def seconds(value: int) -> float:
    """Microseconds as seconds; `micros` gives the same microseconds back."""
    return value / 1e6


def percentile(ahead: int, size: int) -> float:
    """The share of `size` players, in percent, who are not ahead."""
    return 100.0 * (size - ahead) / size if size else 0.0


def ranked(order: Order, ties: Ties, raw: Sequence[bytes], start: Start, metadata: Sequence[bytes] = ()) -> list[Entry]:
    """Entries from consecutive members and inverse merits, and their metadata, if there are any."""
    merit = order.merit
    rows = [
        (
            raw[i][7:].decode(),
            merit(0.0 - float(raw[i + 1])),
            seconds(int.from_bytes(raw[i][:7], "big")),
            (metadata[i // 2].decode() or None) if metadata else None,
        )
        for i in range(0, len(raw), 2)
    ]
    return ranks(ties, rows, start)


def ranks(ties: Ties, rows: Iterable[tuple[str, float, float, str | None]], start: Start) -> list[Entry]:
    """Entries from consecutive (player, score, time, metadata)."""
    entries: list[Entry] = []
    rank, ahead, size = start.rank, start.ahead, start.size
    held = None
    for at, (player, score, achieved_at, metadata) in enumerate(rows, start.position + 1):
        if ties is Ties.EARLIEST_FIRST:
            rank, ahead = at, at - 1
        elif entries and score != held:
            rank, ahead = rank + 1 if ties is Ties.DENSE else at, at - 1
        held = score
        entries.append(Entry(rank, player, score, achieved_at, metadata, percentile(ahead, size)))
    return entries
