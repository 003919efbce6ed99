"""The subscriptions to a job's progress, and to the newest jobs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from graph.api.auth import ADMIN, CATALOG, requires
from graph.api.context import Info
from graph.api.jobs.types import Job
from graph.api.node import parse_id
from graph.endpoint.declare import cost, live
from graph.errors import BadInput
from graph.jobs import UnknownJob, follow_job, follow_jobs

MOST_JOBS = 100


def check_first(first: int) -> int:
    """Return `first`; raises `BadInput` if there can be no such list of jobs."""
    if not 1 <= first <= MOST_JOBS:
        raise BadInput(f"first is 1 to {MOST_JOBS}.", argument="first")
    return first


@strawberry.type
class JobsSubscription:
    @strawberry.subscription(
        description="The newest jobs: first as they stand, then whenever one changes or comes, within a second. Needs "
        "the role ADMIN.",
        extensions=[requires(ADMIN)],
        metadata=live(state_first=True, latest=True) | cost(5),
    )
    async def jobs_changed(self, info: Info, first: int = 20) -> AsyncGenerator[list[Job]]:
        async with aclosing(follow_jobs(info.context.services.jobs, limit=check_first(first))) as lists:
            async for jobs in lists:
                yield [Job.of(job) for job in jobs]

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
