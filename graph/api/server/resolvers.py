"""The server's state, once and as it goes on; only an ADMIN sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import strawberry

from graph.api.auth import ADMIN, requires
from graph.api.context import Info
from graph.api.schema_part import SchemaPart
from graph.api.server.engines import look_at_redis, look_at_sql
from graph.api.server.types import ServerState
from graph.endpoint.declare import cost, live
from graph.endpoint.observe import Activity, MetricsReading, activity, read_metrics
from graph.errors import BadInput
from graph.patterns.roster import on_roster
from graph.services import Services

LONGEST = 60
SHARE = 0.01
"""The share of a processor that reading the metrics for one follower may take: a longer reading is followed by a longer
pause. It takes long where many operations have metrics, and where several processes do."""
WEIGHT = 20
"""What a look costs: reading the metrics takes about as long as twenty fields."""


def pause_after(reading: MetricsReading, seconds: float) -> float:
    """How long to wait, at least `seconds`, so that such readings take no more than their share."""
    return max(seconds, reading.cost / SHARE)


def _since(before: MetricsReading) -> tuple[Activity, MetricsReading]:
    after = read_metrics()
    return activity(before, after), after


async def _state(services: Services, before: MetricsReading) -> tuple[ServerState, MetricsReading]:
    """What happened since `before`, and the reading that says so."""
    (seen, after), redis, fleet, sql = await asyncio.gather(
        asyncio.to_thread(_since, before),
        look_at_redis(services),
        on_roster(services.client, prefix=services.prefix),
        look_at_sql(services),
    )
    return ServerState.of(seen, fleet, redis, sql), after


@strawberry.type
class ServerQuery:
    @strawberry.field(
        description="What happens in the second after it is asked. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
        metadata=cost(WEIGHT),
    )
    async def server(self, info: Info) -> ServerState:
        before = await asyncio.to_thread(read_metrics)
        await asyncio.sleep(1.0)
        return (await _state(info.context.services, before))[0]


@strawberry.type
class ServerSubscription:
    @strawberry.subscription(
        description="The server's state: after a second, then every so many `seconds` (1 to 60) or less often where "
        "there is much to read, each time with what happened since the one before. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
        metadata=live() | cost(WEIGHT),
    )
    async def server_changed(self, info: Info, seconds: int = 2) -> AsyncGenerator[ServerState]:
        if not 1 <= seconds <= LONGEST:
            raise BadInput(f"seconds is 1 to {LONGEST}.", argument="seconds")
        reading, pause = await asyncio.to_thread(read_metrics), 1.0
        while True:
            await asyncio.sleep(pause)
            state, reading = await _state(info.context.services, reading)
            yield state
            pause = pause_after(reading, seconds)


PART = SchemaPart(
    query=ServerQuery,
    subscription=ServerSubscription,
    private=frozenset({"ServerState", "OperationState", "RefusalState", "EngineState", "ProcessState"}),
)
