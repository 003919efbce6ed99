"""The GraphQL types of background jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.file_uploads import Upload

from graph.api.enums import enum
from graph.api.errors import InvalidInput, NotFound, UserError
from graph.api.node import Node, global_id
from graph.jobs import Job as JobRecord
from graph.jobs import JobState

enum(JobState, description="The state of a job.")


@strawberry.type(description="Long work in the background. Only an ADMIN sees jobs.")
class Job(Node):
    """The state of a job when it was read."""

    name: str
    state: JobState
    done: int = strawberry.field(description="Units of work that are done.")
    total: int | None = strawberry.field(description="Units of work in all; null while unknown.")
    error: str | None = strawberry.field(description="Why the last attempt failed.")
    created_at: datetime
    finished_at: datetime | None
    file: str | None = strawberry.field(description="The file that it imports, as its sender calls it.")
    seconds: float | None = strawberry.field(description="How long its last attempt took; null until that has ended.")
    attempts: int = strawberry.field(description="How often it was begun.")

    @classmethod
    def of(cls, job: JobRecord) -> Job:
        return cls(
            id=global_id("Job", job.id),
            name=job.name,
            state=job.state,
            done=job.done,
            total=job.total,
            error=job.error,
            created_at=job.created_at,
            finished_at=job.finished_at,
            file=_file(job),
            seconds=job.seconds,
            attempts=job.attempt,
        )


def _file(job: JobRecord) -> str | None:
    name = job.arguments.get("name") or job.arguments.get("path")
    return name if isinstance(name, str) else None


@strawberry.type(description="Another job with the same work is queued or running.")
class JobUnderWay(UserError):
    @classmethod
    def of(cls) -> JobUnderWay:
        return cls(code="JOB_UNDER_WAY", message="Another job does the same work already.")


@strawberry.input
class ImportProductsInput:
    path: str = strawberry.field(description="A file below the configured import directory (csv, json, ndjson or xml).")


@strawberry.input
class UploadProductsInput:
    file: Upload = strawberry.field(
        description="A file of products (csv, json, ndjson or xml, also as gzip or zip), by the GraphQL multipart "
        "request specification."
    )


RetryJobResult = Annotated[Job | NotFound | JobUnderWay, strawberry.union("RetryJobResult")]
ImportProductsResult = Annotated[Job | InvalidInput, strawberry.union("ImportProductsResult")]
