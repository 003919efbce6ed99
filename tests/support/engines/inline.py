"""A script for Redis whose text stands in the test."""

from __future__ import annotations

from graph.patterns.client import Script


class Inline(Script):
    """A script whose text stands in the test."""

    def __init__(self, source: str, *, idempotent: bool = False) -> None:
        super().__init__(__name__, "inline", idempotent=idempotent)
        self.__dict__["source"] = source.encode()
