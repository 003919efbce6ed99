"""Tells in the log when something that is needed goes away, why, and when it is back: a line for each change.

Another failure of the same kind is no change: what is tried every second is told of once, however long it is away.
What comes and goes many times a minute is told `LINES` times in `WINDOW` seconds at most. The lines after those are
counted, and the last of them, which says how things are, is written as soon as there may be another one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque

LINES = 6
"""Lines about one thing in `WINDOW`."""
WINDOW = 60.0
"""Seconds."""


class Sparingly:
    """Lines about one thing, of which the last is always written, and the others unless they are too many.

    It belongs to one event loop.
    """

    def __init__(self, log: logging.Logger, level: int = logging.WARNING) -> None:
        """Write to `log`."""
        self._log = log
        self._level = level
        self._written: deque[float] = deque(maxlen=LINES)  # when, by the loop's clock
        self._line = ""
        self._untold = 0
        self._next: asyncio.TimerHandle | None = None

    def say(self, line: str) -> None:
        """Write a line, now or when there may be one, unless another comes first."""
        self._line = line
        self._untold += 1
        if self._next is not None:
            return
        loop = asyncio.get_running_loop()
        if len(self._written) == LINES and (due := self._written[0] + WINDOW) > loop.time():
            self._next = loop.call_at(due, self._write)
        else:
            self._write()

    def close(self) -> None:
        """Write what has not been written; nothing more will be said."""
        if self._next is not None:
            self._next.cancel()
            self._write()

    def _write(self) -> None:
        more = f" (the last of {self._untold:,} such changes)" if self._untold > 1 else ""
        self._next, self._untold = None, 0
        self._written.append(asyncio.get_running_loop().time())
        self._log.log(self._level, "%s%s", self._line, more)


class Outage:
    """Whether one service is away, as far as those know who tried to reach it."""

    def __init__(
        self, away: str, back: str = "", log: logging.Logger | None = None, level: int = logging.WARNING
    ) -> None:
        """Begin with the service there; `away` and `back` are what is told in `log`, if there is one."""
        self._away = away
        self._back = back
        self._lines = Sparingly(log, level) if log is not None else None
        self.why: str = ""
        self.kind: str = ""
        """Why it is away, and what kind of reason that is; `why` is empty while it is there."""

    def __str__(self) -> str:
        """That it is away, and why."""
        return f"{self._away}: {self.why}" if self.why else self._away

    def began(self, why: str, kind: str = "") -> None:
        """Note that it could not be had, for a reason of this `kind`."""
        told = self.why and kind == self.kind
        self.why, self.kind = why, kind
        if self._lines is not None and not told:
            self._lines.say(str(self))

    def ended(self) -> None:
        """Note that it was had."""
        if self.why:
            self.why = self.kind = ""
            if self._lines is not None:
                self._lines.say(self._back)

    def close(self) -> None:
        """Tell now what has not been told; nobody will note anything more."""
        if self._lines is not None:
            self._lines.close()
