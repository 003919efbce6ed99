"""What a board may be called, what a score may be, and which season it is: pure rules.

A value that breaks a rule raises `Invalid` with the field's name (as the API spells it) and a sentence for people.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from graph.errors import Invalid
from graph.leaderboard.records import SeasonSchedule, Span

if TYPE_CHECKING:
    from graph.leaderboard.records import BoardRecord, NewBoard

MAX_NAME = 200
MAX_KEY = 100
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)


def is_slug(value: str) -> bool:
    """Whether a board may have this slug."""
    return _SLUG.fullmatch(value) is not None


def checked(new: NewBoard) -> NewBoard:
    """`new`, if it can be a board; raises Invalid."""
    if not is_slug(new.slug):
        raise Invalid("slug", "A slug is 1 to 64 lower-case letters, digits and inner hyphens.")
    if not new.name.strip() or len(new.name) > MAX_NAME or not new.name.isprintable():
        raise Invalid("name", f"A name is 1 to {MAX_NAME} printable characters.")
    return new


def checked_score(score: float) -> float:
    """`score` with one zero, if it is a finite number; raises Invalid."""
    if not math.isfinite(score):
        raise Invalid("score", "A score is a finite number.")
    return score + 0.0


def checked_key(key: str | None) -> str | None:
    """`key`, if it can name a submission; raises Invalid."""
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isprintable()):
        raise Invalid("key", f"A key is 1 to {MAX_KEY} printable characters.")
    return key


# --- seasons ---


def season_at(board: BoardRecord, moment: datetime) -> Span:
    """The season of `board` that `moment` falls into: number 1 is the one in which the board was made."""
    if board.schedule is SeasonSchedule.NEVER:
        return Span(1, board.created_at, None)
    return season_number(board, max(1, _period(board, moment) - _period(board, board.created_at) + 1))


def season_number(board: BoardRecord, number: int) -> Span:
    """The season of `board` with this number."""
    if board.schedule is SeasonSchedule.NEVER:
        return Span(number, board.created_at, None)
    first = _period(board, board.created_at)
    return Span(number, _start(board, first + number - 1), _start(board, first + number))


def _period(board: BoardRecord, moment: datetime) -> int:
    """Days, weeks or months from a fixed beginning to `moment`, in UTC."""
    moment = moment.astimezone(UTC)
    if board.schedule is SeasonSchedule.MONTHLY:
        return moment.year * 12 + moment.month - 1
    days = moment.date().toordinal() - 1  # 1 January of the year 1 was a Monday
    return days // 7 if board.schedule is SeasonSchedule.WEEKLY else days


def _start(board: BoardRecord, period: int) -> datetime:
    if board.schedule is SeasonSchedule.MONTHLY:
        return datetime(period // 12, period % 12 + 1, 1, tzinfo=UTC)
    days = period * 7 if board.schedule is SeasonSchedule.WEEKLY else period
    return datetime.fromordinal(days + 1).replace(tzinfo=UTC)
