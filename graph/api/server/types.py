"""The GraphQL types of the server's state."""

from __future__ import annotations

import enum as enums
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import strawberry

from graph.api.enums import enum

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.endpoint.observe import Activity, OperationActivity
    from graph.patterns.roster import RosterEntry


_MOST = 100
"""Processes that are listed."""


class EngineHealth(enums.Enum):
    """How Redis or SQL is."""

    OK = "OK"
    REFUSES = "REFUSES"
    AWAY = "AWAY"


enum(
    EngineHealth,
    description="How Redis or the SQL database is.",
    values={
        "OK": "It answers.",
        "REFUSES": "It answers, and refuses what it is asked: its memory or disk is full, it is read-only.",
        "AWAY": "It does not answer.",
    },
)


@strawberry.type(description="Redis or the SQL database.")
class EngineState:
    """What one look at it told."""

    health: EngineHealth
    name: str | None = strawberry.field(description="The product and its version, as far as they are known.")
    milliseconds: float | None = strawberry.field(description="How long it took to answer; null if it did not.")
    used_bytes: float | None = strawberry.field(description="Memory that Redis uses; size of the SQL database.")
    max_bytes: float | None = strawberry.field(description="Memory that Redis may use; null if that is not limited.")


@strawberry.type(description="What became of the operations of one name.")
class OperationState:
    """Operations that share a name, in one interval."""

    name: str = strawberry.field(
        description="As in the metrics: `(unnamed)` has none, `(other)` are those without a label."
    )
    per_second: float = strawberry.field(description="Answers a second.")
    errors_per_second: float
    p50: float = strawberry.field(description="Seconds until half of the answers were made.")
    p99: float = strawberry.field(description="Seconds until 99 in 100 answers were made.")

    @classmethod
    def of(cls, seen: OperationActivity) -> OperationState:
        return cls(
            name=seen.name,
            per_second=seen.per_second,
            errors_per_second=seen.errors_per_second,
            p50=seen.p50,
            p99=seen.p99,
        )


@strawberry.type(description="Requests and operations that did not run.")
class RefusalState:
    """Refusals with one code, in one interval."""

    code: str = strawberry.field(description="The `extensions.code` that clients were told.")
    per_second: float


class ProcessKind(enums.Enum):
    """What a process is for."""

    SERVER = "SERVER"
    WORKER = "WORKER"


enum(
    ProcessKind,
    description="What a process is for.",
    values={"SERVER": "It answers requests.", "WORKER": "It runs background jobs."},
)


@strawberry.type(
    description="A process of this server, on whichever machine, as it said of itself within some seconds."
)
class ProcessState:
    """An entry of the roster."""

    host: str = strawberry.field(description="The name of its machine.")
    pid: int
    kind: ProcessKind
    version: str
    started_at: datetime
    heard_seconds_ago: float = strawberry.field(
        description="More than a few: it stands still. After 15 it is not listed any more."
    )
    requests_per_second: float = strawberry.field(description="HTTP requests and WebSocket connections that ended.")
    in_progress: int = strawberry.field(description="HTTP requests under way.")
    sockets: int = strawberry.field(description="Open WebSocket connections.")
    memory_bytes: float | None

    @classmethod
    def of(cls, entry: RosterEntry) -> ProcessState | None:
        """None where the entry does not say what it must: two releases share a roster while one replaces the other."""
        facts = entry.facts
        try:
            return cls(
                host=str(facts["host"]),
                pid=int(facts["pid"]),
                kind=ProcessKind[str(facts["kind"]).upper()],
                version=str(facts.get("version", "unknown")),
                started_at=datetime.fromtimestamp(facts["began"], UTC),
                heard_seconds_ago=entry.age,
                requests_per_second=float(facts.get("requests", 0)),
                in_progress=int(facts.get("in_progress", 0)),
                sockets=int(facts.get("sockets", 0)),
                memory_bytes=None if facts.get("memory") is None else float(facts["memory"]),
            )
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return None


@strawberry.type(
    description="What the server processes of this machine are asked, and what they work with. Rates and percentiles "
    "are of the last `seconds`."
)
class ServerState:
    """One interval, and the engines at its end."""

    at: datetime
    seconds: float
    requests_per_second: float = strawberry.field(description="HTTP requests and WebSocket connections that ended.")
    in_progress: int = strawberry.field(description="HTTP requests under way.")
    operations: list[OperationState] = strawberry.field(description="The 20 names that were asked most.")
    kept_ratio: float | None = strawberry.field(
        description="The share of operations that were answered with a kept answer; null if there were none."
    )
    refusals: list[RefusalState] = strawberry.field(description="By code, the most frequent first.")
    sockets: int = strawberry.field(description="Open WebSocket connections.")
    subscriptions: int = strawberry.field(description="Clients' subscriptions.")
    live_queries: int = strawberry.field(
        description="Live queries that are read again; identical ones of a process count once."
    )
    live_followers: int = strawberry.field(description="Clients that follow a live query.")
    processes: int | None = strawberry.field(description="Server processes on all machines; null while Redis is away.")
    fleet: list[ProcessState] | None = strawberry.field(
        description="All processes, servers and workers of all machines, at most 100; null while Redis is away."
    )
    redis: EngineState
    sql: EngineState

    @classmethod
    def of(
        cls,
        seen: Activity,
        fleet: Sequence[RosterEntry] | None,
        redis: EngineState,
        sql: EngineState,
    ) -> ServerState:
        processes = None if fleet is None else _told(fleet)
        return cls(
            at=datetime.now(UTC),
            seconds=seen.seconds,
            requests_per_second=seen.requests_per_second,
            in_progress=seen.in_progress,
            operations=[OperationState.of(one) for one in seen.operations],
            kept_ratio=seen.kept_ratio,
            refusals=[RefusalState(code=code, per_second=rate) for code, rate in seen.refusals],
            sockets=seen.sockets,
            subscriptions=seen.subscriptions,
            live_queries=seen.live_queries,
            live_followers=seen.live_followers,
            processes=None if processes is None else max(1, sum(one.kind is ProcessKind.SERVER for one in processes)),
            fleet=None if processes is None else processes[:_MOST],
            redis=redis,
            sql=sql,
        )


def _told(fleet: Sequence[RosterEntry]) -> list[ProcessState]:
    """The processes as they are listed: servers first, then by machine."""
    told = [one for one in map(ProcessState.of, fleet) if one is not None]
    return sorted(told, key=lambda one: (one.kind.name, one.host, one.pid))
