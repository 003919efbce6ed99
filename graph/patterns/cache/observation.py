"""What something was made of: the tags of every cached value read while it was made, as they were then.

Whatever is computed from cached values (a whole answer) is right as long as the generations behind them stay, so it can
be cached under all their tags, and needs no list of them. A value that does not come through the cache has its tags
declared (`Observation.note`) *before* it is read.
"""

from __future__ import annotations

import contextlib
import math
from contextvars import ContextVar
from typing import TYPE_CHECKING

from graph.patterns.cache.generations import held

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from graph.patterns.cache.generations import Mark


class Observation:
    """Gathers marks; `certain` turns False for good when something was read that must not be built upon."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self.marks: dict[str, bytes] = {}
        self.certain = True
        self.expires = math.inf
        """When the first of the values read expires, Unix seconds."""

    def note(self, tags: Sequence[str], marks: Sequence[Mark] | None, expires: float = math.inf) -> None:
        """Something under `tags` was read while they stood at `marks`; None: past the cache, nobody knows at what."""
        if marks is None:
            self.certain = False
            return
        self.expires = min(self.expires, expires)
        for tag, mark in zip(tags, marks, strict=True):
            if mark is None or held(mark) or self.marks.setdefault(tag, mark) != mark:
                self.certain = False


_observed: ContextVar[Observation | None] = ContextVar("cache_observed", default=None)


def current_observation() -> Observation | None:
    """Where reads are to be noted; None while nobody asks."""
    return _observed.get()


@contextlib.contextmanager
def observing() -> Generator[Observation]:
    """Note every read in this block, and in the tasks begun in it."""
    observed = Observation()
    token = _observed.set(observed)
    try:
        yield observed
    finally:
        _observed.reset(token)
