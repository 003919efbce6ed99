"""The subscription to a job's progress."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from graph.api.auth import CATALOG, requires
from graph.api.context import Info
from graph.api.jobs.types import Job
from graph.api.node import parse_id
from graph.endpoint.declare import live
from graph.errors import BadInput
from graph.jobs import UnknownJob, follow_job


@strawberry.type
class JobsSubscription:
    @strawberry.subscription(
        description="A job: first as it stands, then whenever it gets on, until it ends. Needs the role ADMIN.",
        extensions=[requires(CATALOG)],
        metadata=live(state_first=True, latest=True),
    )
    async def job_progress(self, info: Info, id: strawberry.ID) -> AsyncGenerator[Job]:
        services, parsed = info.context.services, parse_id(id)
        if parsed is None or parsed[0] != "Job":
            raise BadInput("There is no such job.", argument="id")
        try:
            async with aclosing(follow_job(services.jobs, services.broker, parsed[1])) as states:
                async for job in states:
                    yield Job.of(job)
        except UnknownJob:
            raise BadInput("There is no such job.", argument="id") from None
