"""Background jobs in GraphQL: how they stand, and the import of products."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Annotated

import strawberry

from graph import jobs
from graph.api.auth.access import ADMIN, check, requires
from graph.api.context import Context, Info
from graph.api.errors import InvalidInput
from graph.api.feature import Feature
from graph.api.node import Node, global_id, parse_id
from graph.endpoint.declare import live
from graph.errors import BadInput, Unavailable
from graph.jobs import NotBelow, file_below, job_topic

IMPORT = "importProducts"
"""The name of the job that imports a file of products; its unique key is the file."""


@strawberry.enum(description="Where a job stands.")
class JobState(Enum):
    """The states of `graph.jobs`."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


@strawberry.type(description="Long work in the background. Only an ADMIN sees jobs.")
class Job(Node):
    """A job as it stood when it was read."""

    name: str
    state: JobState
    done: int = strawberry.field(description="Units of work that are done.")
    total: int | None = strawberry.field(description="Units of work in all; null while unknown.")
    error: str | None = strawberry.field(description="Why the last attempt failed.")
    created_at: datetime
    finished_at: datetime | None

    @classmethod
    def of(cls, job: jobs.Job) -> Job:
        """Show `job`."""
        return cls(
            id=global_id("Job", job.id),
            name=job.name,
            state=JobState[job.state.name],
            done=job.done,
            total=job.total,
            error=job.error,
            created_at=job.created_at,
            finished_at=job.finished_at,
        )


@strawberry.input
class ImportProductsInput:
    """Names the file."""

    path: str = strawberry.field(description="A file below the configured import directory (csv, json or ndjson).")


ImportProductsResult = Annotated[Job | InvalidInput, strawberry.union("ImportProductsResult")]


@strawberry.type
class JobsMutation:
    """Starts work."""

    @strawberry.mutation(
        description="Queues an import of products; follow it with the jobProgress subscription. A file that is being "
        "imported already is not imported twice: its job is answered. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
    )
    async def import_products(self, info: Info, input: ImportProductsInput) -> ImportProductsResult:
        services = info.context.services
        try:
            file = file_below(services.imports, input.path)
        except NotBelow as problem:
            return InvalidInput.of("path", f"{str(problem)[0].upper()}{str(problem)[1:]}.")
        if file.suffix.lower() not in (".csv", ".json", ".ndjson", ".jsonl"):
            return InvalidInput.of("path", "The file is a .csv, .json or .ndjson file.")
        key = await services.jobs.enqueue(IMPORT, {"path": input.path}, unique=str(file))
        job = await services.jobs.get(key)
        if job is None:
            raise Unavailable("The job cannot be read right now; it is queued.")
        return Job.of(job)


@strawberry.type
class JobsSubscription:
    """Follows work."""

    @strawberry.subscription(
        description="A job: first as it stands, then whenever it gets on, until it ends. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
        metadata=live(state_first=True, latest=True),
    )
    async def job_progress(self, info: Info, id: strawberry.ID) -> AsyncGenerator[Job]:
        services, parsed = info.context.services, parse_id(id)
        if parsed is None or parsed[0] != "Job":
            raise BadInput("There is no such job.", argument="id")
        async with services.broker.subscribe(job_topic(parsed[1])) as events:
            # Subscribed first, read then: what changes in between is told by an event.
            ended = False
            while not ended:
                job = await services.jobs.get(parsed[1])
                if job is None:
                    raise BadInput("There is no such job.", argument="id")
                yield Job.of(job)
                ended = job.state.finished or await anext(events, None) is None


async def _load_jobs(context: Context, keys: Sequence[str]) -> Mapping[str, Node]:
    check(context, ADMIN)
    found = await context.services.jobs.get_many(keys)
    return {key: Job.of(job) for key, job in zip(keys, found, strict=True) if job is not None}


FEATURE = Feature(mutation=JobsMutation, subscription=JobsSubscription, types=(Job,), nodes={"Job": _load_jobs})
