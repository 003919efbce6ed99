"""The values that the leaderboards service takes and returns: boards, seasons, submissions and outcomes."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from graph.patterns.ranking import Entry, Operator, Order, Ties

if TYPE_CHECKING:
    from datetime import datetime

    from graph.patterns.ranking import ScoreRow


class SeasonSchedule(enum.Enum):
    """When a season ends and the next begins, in UTC.

    Never, at midnight, on Mondays, on the first of the month, or by the board's own cron line (`cron`).
    """

    NEVER = "NEVER"
    DAILY = "DAILY"
    WEEKLY = "WEEKLY"
    MONTHLY = "MONTHLY"
    CRON = "CRON"


class SeasonState(enum.Enum):
    """The state of a season: see `graph.leaderboard.models.Season`."""

    OPEN = "OPEN"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
    ARCHIVED = "ARCHIVED"
    DELETED = "DELETED"

    @property
    def frozen(self) -> bool:
        """Whether the season is read from the archive."""
        return self in (SeasonState.CLOSED, SeasonState.ARCHIVED)


@dataclass(frozen=True, slots=True)
class BoardRecord:
    """A leaderboard. Only the point from which its seasons are counted can change: see `graph.leaderboard.models`."""

    id: int
    slug: str
    name: str
    operator: Operator
    ties: Ties
    schedule: SeasonSchedule
    created_at: datetime
    order: Order = Order.DESCENDING
    cron: str | None = None
    anchored_at: datetime | None = None
    anchor_number: int = 1


@dataclass(frozen=True, slots=True)
class NewBoard:
    """A leaderboard to create."""

    slug: str
    name: str
    operator: Operator = Operator.BEST
    ties: Ties = Ties.EARLIEST_FIRST
    schedule: SeasonSchedule = SeasonSchedule.NEVER
    order: Order = Order.DESCENDING
    cron: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """A season's number, start and end; `ends_at` is the first moment of the next one."""

    number: int
    starts_at: datetime
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class SeasonRecord:
    """A season as stored; times are microseconds since 1970."""

    id: int
    board_id: int
    number: int
    starts_at: int
    ends_at: int | None
    state: SeasonState
    size: int | None


@dataclass(frozen=True, slots=True)
class Submission:
    """A score that was sent; `player` is a user id. With a `key`, sending it again changes nothing.

    `metadata` is JSON text, and is kept with the score.
    """

    board: BoardRecord
    player: int
    score: float
    key: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The result of a submission in SQL: the current row, and whether the score is new or better than before."""

    submission: Submission
    season: SeasonRecord
    row: ScoreRow
    changed: bool
    improved: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to a submission. `rank` is None only while the index is not available."""

    score: float
    improved: bool
    rank: int | None
    previous_rank: int | None
    season: int


@dataclass(frozen=True, slots=True)
class Remembered:
    """The first answer to a key; it has no ranks until it is `settled`."""

    outcome: Outcome
    settled: bool


@dataclass(frozen=True, slots=True)
class Settlement:
    """The complete answer to a key, to be stored."""

    board: int
    player: int
    key: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Placed:
    """An entry, and the cursor with which the next page starts after it. `player` is a user id."""

    entry: Entry
    cursor: str

    @property
    def player(self) -> int:
        """The player's user id."""
        return player_of(self.entry)


@dataclass(frozen=True, slots=True)
class TopPage:
    """A page of a board. `end` is the cursor of the next page, even if this one is empty."""

    entries: list[Placed]
    total: int
    has_previous: bool
    has_next: bool
    end: str | None


@dataclass(frozen=True, slots=True)
class OwnScore:
    """A score of one player: the board's slug, the season's number, when it was reached (microseconds)."""

    board: str
    season: int
    score: float
    achieved_at: int
    metadata: str | None = None


def player_key(number: int) -> str:
    """Return a user id in a form that sorts numerically as text: by length first."""
    digits = str(number)
    return f"{chr(96 + len(digits))}{digits}"


def player_number(key: str) -> int:
    """Return the user id in a `player_key`."""
    return int(key[1:])


def player_of(entry: Entry) -> int:
    """Return the user id of the player of an entry."""
    return player_number(entry.player)
