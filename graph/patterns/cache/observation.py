"""Records what a result was made of: the tags of every cached value that was read for it, with their marks.

A result computed from cached values (a whole answer) stays right as long as their generations do not change, so it can
be cached under all their tags without anybody listing them. A value that does not come through the cache needs its tags
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
    """Gathers marks; `certain` becomes False for good once a value was read from which nothing may be cached."""

    def __init__(self) -> None:
        self.marks: dict[str, bytes] = {}
        self.certain = True
        self.expires = math.inf
        """When the first of the values that were read expires, Unix seconds."""

    def note(self, tags: Sequence[str], marks: Sequence[Mark] | None, expires: float = math.inf) -> None:
        """Record that a value under `tags` was read at `marks`; None: it was read past the cache, at unknown marks."""
        if marks is None:
            self.certain = False
            return
        self.expires = min(self.expires, expires)
        for tag, mark in zip(tags, marks, strict=True):
            if mark is None or held(mark) or self.marks.setdefault(tag, mark) != mark:
                self.certain = False


_observed: ContextVar[Observation | None] = ContextVar("cache_observed", default=None)


def current_observation() -> Observation | None:
    """The observation that reads should be recorded in; None while there is none."""
    return _observed.get()


@contextlib.contextmanager
def observing() -> Generator[Observation]:
    """Record every read in this block, and in the tasks started in it."""
    observed = Observation()
    token = _observed.set(observed)
    try:
        yield observed
    finally:
        _observed.reset(token)
