"""Tells in the log when something that is needed goes away, why, and when it is back: a line for each change.

Another failure of the same kind is no change: what is tried every second is told of once, however long it is away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import logging


class Outage:
    """Whether one service is away, as far as those know who tried to reach it."""

    def __init__(self, away: str, back: str = "", log: logging.Logger | None = None) -> None:
        """Begin with the service there; `away` and `back` are what is told in `log`, if there is one."""
        self._away = away
        self._back = back
        self._log = log
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
        if self._log is not None and not told:
            self._log.warning("%s", str(self))

    def ended(self) -> None:
        """Note that it was had."""
        if self.why:
            self.why = self.kind = ""
            if self._log is not None:
                self._log.warning("%s", self._back)
