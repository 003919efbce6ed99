"""What a feature brings along and what it is built from: the seam between `graph.services` and the features.

A feature's package names a `Feature` called FEATURE. `graph.services` lists it, opens it in the order of the list, and
closes it in reverse; the worker runs its jobs. A feature gets everything that it needs from `Tools`, and hands out one
object, its service.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from graph.engines.database import Database
    from graph.jobs import Definition, Jobs, Schedule
    from graph.patterns.broker import Broker
    from graph.patterns.cache import ByteCache, Cache
    from graph.patterns.client import Client
    from graph.patterns.limiter import Limiter
    from graph.patterns.lock import Locks
    from graph.patterns.sessions import Revocations, Sessions
    from graph.telemetry import Telemetry

S = TypeVar("S")
K = TypeVar("K")


def _nothing(_tools: Tools) -> Sequence[Any]:
    return ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Feature(Generic[S]):
    """One feature: how its service is opened, and what it does in the background."""

    name: str
    open: Callable[[Tools], AbstractAsyncContextManager[S]]
    """The service, for the length of a block. Features that come earlier in the list are open (`Tools.of`)."""
    jobs: Callable[[Tools], Sequence[Definition]] = _nothing
    """The kinds of jobs that its service needs a worker for."""
    schedules: Sequence[Schedule] = ()
    """Those of its jobs that come by themselves."""


def opening(build: Callable[[Tools], S]) -> Callable[[Tools], AbstractAsyncContextManager[S]]:
    """The `Feature.open` of a service that has nothing to close."""

    @asynccontextmanager
    async def opened(tools: Tools) -> AsyncGenerator[S]:
        yield build(tools)

    return opened


@dataclass(frozen=True, kw_only=True, eq=False)
class Tools:
    """What every feature is built from: the stores and the patterns on them, all open."""

    prefix: str
    """Begins the name of every key in Redis."""
    client: Client
    cache: Cache
    answers: ByteCache
    limiter: Limiter
    database: Database
    broker: Broker
    sessions: Sessions
    revocations: Revocations
    jobs: Jobs
    locks: Locks
    telemetry: Telemetry | None = None
    """Makes the spans of traces, where they are configured."""
    imports: Path
    """The directory of files that a client may name."""
    options: tuple[object, ...] = ()
    """Plain values from the settings, a dataclass a feature."""
    opened: dict[Feature[Any], Any] = field(default_factory=dict["Feature[Any]", Any], repr=False)

    def of(self, feature: Feature[S]) -> S:
        """The service of `feature`; raises KeyError unless it is open."""
        return self.opened[feature]

    def option(self, kind: type[K]) -> K:
        """The options of this kind, or their defaults."""
        return next((one for one in self.options if isinstance(one, kind)), None) or kind()
