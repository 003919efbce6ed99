"""One client that follows a live query."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.endpoint.identity import Caller
    from graph.endpoint.subscriptions import Sink


class Followed(Protocol):
    """What a follower knows of its `query.LiveQuery`."""

    def remove(self, follower: LiveFollower) -> None:
        """Let it go."""
        ...

    def dismiss(self, followers: Iterable[LiveFollower], errors: str) -> None:
        """End `followers` with `errors`."""
        ...


class LiveFollower:
    """Where its answers go, and what it has had."""

    __slots__ = ("caller", "query", "revision", "since", "sink", "weight")

    def __init__(self, sink: Sink, caller: Caller, weight: int) -> None:
        """Hand what `caller` asked for, at `weight` units, to `sink`."""
        self.sink = sink
        self.caller = caller
        self.weight = weight
        self.revision: int | None = 0
        """The revision it has, in patch mode; None when it gets no patches any more."""
        self.since = 0.0
        """When it joined, by the event loop's clock."""
        self.query: Followed | None = None
