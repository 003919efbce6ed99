"""Seasons that end by a cron line: five fields (minute, hour, day of the month, month, day of the week), in UTC.

The minute is a single number, so that a season lasts at least an hour. The fields may contain what Debian's cron
accepts, and ``L`` and ``#`` for the last and the n-th weekday (the library cronsim parses them). A line that cannot be
parsed, or that never comes due, raises ValueError.
"""

from __future__ import annotations

import bisect
from datetime import UTC, datetime
from functools import lru_cache

from cronsim import CronSim, CronSimError

MAX_LINE = 100
_FIELDS = 5


def check(line: str) -> None:
    """Raise ValueError, with a readable sentence, unless `line` can define seasons."""
    if len(line) > MAX_LINE or len(line.split()) != _FIELDS or not line.isascii():
        raise ValueError("A cron line has five fields: minute, hour, day of the month, month, day of the week.")
    try:
        due = CronSim(line, datetime(2001, 1, 1, tzinfo=UTC))
        minutes = len(due.minutes)
        next(due)
    except CronSimError as error:
        raise ValueError(f"This cron line cannot be read: {error}.") from error
    except StopIteration:
        raise ValueError("This cron line never comes due.") from None
    if minutes != 1:
        raise ValueError("The minute of a cron line is one number: a season lasts an hour at least.")


class Boundaries:
    """The times after `start` at which a line comes due; computed once, and only as far as needed."""

    def __init__(self, line: str, start: datetime) -> None:
        """Count from `start`, which is in UTC."""
        self._due = CronSim(line, start)
        self._found: list[datetime] = []
        self._start = start
        self._over = False

    def _next(self) -> bool:
        try:
            while (moment := next(self._due)) <= self._start:
                pass
        except (StopIteration, OverflowError):
            self._over = True
            return False
        self._found.append(moment)
        return True

    def passed(self, moment: datetime) -> int:
        """Return how many boundaries have passed by `moment`."""
        while not self._over and (not self._found or self._found[-1] <= moment):
            self._next()
        return bisect.bisect_right(self._found, moment)

    def boundary(self, number: int) -> datetime | None:
        """Return the boundary with this number, from 1; None beyond the end of the calendar."""
        while not self._over and len(self._found) < number:
            self._next()
        return self._found[number - 1] if number <= len(self._found) else None


@lru_cache(maxsize=256)
def boundaries(line: str, start: datetime) -> Boundaries:
    """Return the boundaries of a board's seasons after the time from which they are counted."""
    return Boundaries(line, start.astimezone(UTC))
