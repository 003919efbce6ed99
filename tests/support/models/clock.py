"""A clock that tests drive."""

from __future__ import annotations

from datetime import UTC, datetime


class Clock:
    """A clock that stands still until it is told otherwise, yet never gives one time twice unless `step` is 0."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 2, 10, tzinfo=UTC).timestamp()  # a Monday
        self.step = 1e-6

    def __call__(self) -> float:
        self.now += self.step
        return self.now

    def set(self, *moment: int) -> None:
        """Go to a moment in UTC."""
        year, month, day, *time = moment
        hour, minute, second = [*time, 0, 0, 0][:3]
        self.now = datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
