"""The rules for boards, scores and keys, and the arithmetic of seasons; all without side effects.

A value that breaks a rule raises `Invalid` with the field's name (as the API spells it) and a readable sentence.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from graph.errors import Invalid
from graph.leaderboard import cron
from graph.leaderboard.cron import boundaries
from graph.leaderboard.records import SeasonSchedule, Span

if TYPE_CHECKING:
    from graph.leaderboard.cron import Boundaries
    from graph.leaderboard.records import BoardRecord, NewBoard

MAX_NAME = 200
MAX_KEY = 100
MAX_METADATA = 1024
_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?", re.ASCII)


def is_slug(value: str) -> bool:
    """Whether a board may have this slug."""
    return _SLUG.fullmatch(value) is not None


def checked(new: NewBoard) -> NewBoard:
    """Return `new` if it is a valid board; raises Invalid."""
    if not is_slug(new.slug):
        raise Invalid("slug", "A slug is 1 to 64 lower-case letters, digits and inner hyphens.")
    if not new.name.strip() or len(new.name) > MAX_NAME or not new.name.isprintable():
        raise Invalid("name", f"A name is 1 to {MAX_NAME} printable characters.")
    if (new.schedule is SeasonSchedule.CRON) != (new.cron is not None):
        raise Invalid("cron", "The schedule CRON, and no other, comes with a cron line.")
    if new.cron is not None:
        try:
            cron.check(new.cron)
        except ValueError as error:
            raise Invalid("cron", str(error)) from error
    return new


def checked_metadata(value: object) -> str | None:
    """Return the metadata of a score as JSON text; raises Invalid. JSON's null counts as none."""
    if value is None:
        return None
    try:
        text = orjson.dumps(value)
    except (TypeError, ValueError) as error:  # too deep, a number that JSON does not have, a lone surrogate
        raise Invalid("metadata", "This is not JSON that can be stored.") from error
    if len(text) > MAX_METADATA:
        raise Invalid("metadata", f"Metadata has at most {MAX_METADATA} bytes as JSON, not {len(text)}.")
    return text.decode()


def checked_score(score: float) -> float:
    """Return `score` if it is finite, with -0 as 0; raises Invalid."""
    if not math.isfinite(score):
        raise Invalid("score", "A score is a finite number.")
    return score + 0.0


def checked_key(key: str | None) -> str | None:
    """Return `key` if it is a valid key of a submission; raises Invalid."""
    if key is not None and not (0 < len(key) <= MAX_KEY and key.isprintable()):
        raise Invalid("key", f"A key is 1 to {MAX_KEY} printable characters.")
    return key


# --- seasons ---


def season_at(board: BoardRecord, moment: datetime) -> Span:
    """Return the season of `board` that `moment` is in; season 1 is the one in which the board was created."""
    anchor, first = board.anchored_at or board.created_at, board.anchor_number
    if board.schedule is SeasonSchedule.NEVER:
        return season_number(board, first)
    if board.schedule is SeasonSchedule.CRON:
        return season_number(board, first + _boundaries(board).passed(moment))
    return season_number(board, first + max(0, _period(board, moment) - _period(board, anchor)))


def season_number(board: BoardRecord, number: int) -> Span:
    """Return the season of `board` with this number, which must not be less than `anchor_number`."""
    anchor, later = board.anchored_at or board.created_at, number - board.anchor_number
    if board.schedule is SeasonSchedule.NEVER:
        return Span(number, anchor, None)
    if board.schedule is SeasonSchedule.CRON:
        began = anchor if later < 1 else _boundaries(board).boundary(later) or anchor
        return Span(number, began, _boundaries(board).boundary(later + 1))
    period = _period(board, anchor) + later
    began = board.anchored_at if later == 0 else None
    return Span(number, began or _start(board, period), _start(board, period + 1))


def _boundaries(board: BoardRecord) -> Boundaries:
    assert board.cron is not None
    return boundaries(board.cron, board.anchored_at or board.created_at)


def _period(board: BoardRecord, moment: datetime) -> int:
    """Return the number of days, weeks or months from a fixed date to `moment`, in UTC."""
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
