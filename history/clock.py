"""A clock of its own for a process, which can be set while it runs: Debian's libfaketime, loaded before all else.

Debian's Redis 7.0 does not start so, because its memory allocator asks for the time first; Valkey does. Only the time
of day is another one; what measures durations (the monotonic clock) stays as it is, as where a clock is set by hand.
"""

from __future__ import annotations

import time
from pathlib import Path

LIBRARY = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))), None)
"""None where Debian's package libfaketime is not installed."""
_NOTICED = 1  # seconds after which a process looks at its file again


class Clock:
    """The clock of the processes that are started with its `variables`."""

    def __init__(self, file: Path) -> None:
        """Begin with the right time."""
        assert LIBRARY is not None, "libfaketime is not installed"
        self._file = file
        file.write_text("+0")
        self.variables = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_CACHE_DURATION": str(_NOTICED),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_XRESET": "1",
        }

    def set(self, seconds: float) -> None:
        """Be so far ahead of the right time, or behind it, and wait until the processes have noticed."""
        made = self._file.with_suffix(".new")
        made.write_text(f"{seconds:+.0f}")
        made.replace(self._file)
        time.sleep(_NOTICED + 0.5)
