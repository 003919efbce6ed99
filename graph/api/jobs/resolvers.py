"""Queueing jobs and reading their state."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

import strawberry

from graph.api.auth import ADMIN, CATALOG, check, requires
from graph.api.context import Context, Info
from graph.api.errors import InvalidAsResult, NotFound
from graph.api.jobs.preview import ImportPreview, PreviewImportResult
from graph.api.jobs.subscriptions import MOST_JOBS, JobsSubscription, check_first
from graph.api.jobs.types import (
    ImportProductsInput,
    ImportProductsResult,
    Job,
    JobUnderWay,
    RetryJobResult,
    UploadProductsInput,
)
from graph.api.node import Node, parse_id
from graph.api.schema_part import SchemaPart
from graph.catalog import IMPORT_PRODUCTS, IMPORT_UPLOAD
from graph.catalog.importing import ENDINGS, Unreadable, preview_products
from graph.endpoint.declare import cost
from graph.errors import Invalid, Unavailable
from graph.jobs import (
    AlreadyUnderWay,
    Jobs,
    JobState,
    NotBelow,
    UnknownJob,
    file_below,
    forget_upload,
    keep_upload,
)
from graph.patterns.tasks import to_its_end
from graph.services import Services

if TYPE_CHECKING:
    from starlette.datastructures import UploadFile

MAX_NAME = 100
"""Characters of an uploaded file's name that its job keeps."""
PREVIEW = 100
"""What a preview costs: reading and checking some thousand rows."""


@strawberry.type
class JobsQuery:
    @strawberry.field(
        description=f"The newest jobs, at most {MOST_JOBS}, those in `states` or all. Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
        metadata=cost(5),
    )
    async def jobs(self, info: Info, first: int = 20, states: list[JobState] | None = None) -> list[Job]:
        wanted = frozenset(JobState) if states is None else frozenset(states)
        found = await info.context.services.jobs.list(states=wanted, limit=check_first(first))
        return [Job.of(job) for job in found]


@strawberry.type
class JobsMutation:
    @strawberry.mutation(description="Queues a failed job again. Needs the role ADMIN.", extensions=[requires(ADMIN)])
    async def retry_job(self, info: Info, id: strawberry.ID) -> RetryJobResult:
        jobs, key = info.context.services.jobs, _key(id)
        try:
            await jobs.retry(key)
        except UnknownJob:
            return NotFound.of("There is no such failed job.")
        except AlreadyUnderWay:
            return JobUnderWay.of()
        return await _queued(jobs, key)

    @strawberry.mutation(
        description="Deletes a job in any state; a running one stops at its next report. True when there was one. "
        "Needs the role ADMIN.",
        extensions=[requires(ADMIN)],
    )
    async def discard_job(self, info: Info, id: strawberry.ID) -> bool:
        try:
            await info.context.services.jobs.discard(_key(id))
        except UnknownJob:
            return False
        return True

    @strawberry.mutation(
        description="Queues an import of products; follow it with the jobProgress subscription. A file that is being "
        "imported already is not imported twice: its job is answered. Needs the role ADMIN.",
        extensions=[requires(CATALOG), InvalidAsResult()],
    )
    async def import_products(self, info: Info, input: ImportProductsInput) -> ImportProductsResult:
        services = info.context.services
        try:
            file = file_below(services.imports, input.path)
        except NotBelow as problem:
            raise Invalid("path", f"{str(problem)[0].upper()}{str(problem)[1:]}.") from None
        if file.suffix.lower() not in ENDINGS:
            raise Invalid("path", "The file is a .csv, .json, .ndjson or .xml file.")
        key = await services.jobs.enqueue(IMPORT_PRODUCTS, {"path": input.path}, unique=str(file))
        return await _queued(services.jobs, key)

    @strawberry.mutation(
        description="Takes a file of products and queues its import, as importProducts does for a file that is there "
        "already. Once all of it is in, the file is removed. Needs the role ADMIN.",
        extensions=[requires(CATALOG), InvalidAsResult()],
    )
    async def upload_products(self, info: Info, input: UploadProductsInput) -> ImportProductsResult:
        services = info.context.services
        path, name = await _stored(services, input)
        key = await services.jobs.enqueue(IMPORT_UPLOAD, {"path": path, "name": name})
        return await _queued(services.jobs, key)

    @strawberry.mutation(
        description="Tells what uploadProducts would make of a file, by its first rows; nothing is written or queued. "
        "Needs the role ADMIN.",
        extensions=[requires(CATALOG), InvalidAsResult()],
        metadata=cost(PREVIEW),
    )
    async def preview_import(self, info: Info, input: UploadProductsInput) -> PreviewImportResult:
        services = info.context.services
        path, _ = await _stored(services, input)
        try:
            return ImportPreview.of(await preview_products(services.catalog, file_below(services.imports, path)))
        except Unreadable as problem:
            raise Invalid("file", f"The file cannot be read: {problem}.") from None
        except (NotBelow, OSError):
            raise Unavailable("The file cannot be read right now.") from None
        finally:
            with contextlib.suppress(OSError, NotBelow):  # it will be forgotten
                await to_its_end(asyncio.to_thread(forget_upload, services.imports, path))


async def _stored(services: Services, input: UploadProductsInput) -> tuple[str, str]:
    """Keep an uploaded file; returns its path below the import directory, and what its sender calls it."""
    file = cast("UploadFile", input.file)
    name = "".join(one for one in file.filename or "" if one.isprintable())[-MAX_NAME:]
    endings = PurePath(name.lower()).suffixes
    if not endings or endings[-1] not in ENDINGS:
        raise Invalid("file", "The file is a .csv, .json, .ndjson or .xml file, or one of them packed.")
    kept = [one for one in endings[-2:] if one in ENDINGS]
    try:
        path = await to_its_end(asyncio.to_thread(keep_upload, services.imports, file.file, "".join(kept)))
    except OSError:
        raise Unavailable("The file cannot be stored right now.") from None
    return path, name


def _key(id: str) -> str:
    """The key in the ID of a job; one of no job for any other ID."""
    parsed = parse_id(id)
    return parsed[1] if parsed is not None and parsed[0] == "Job" else ""


async def _queued(jobs: Jobs, key: str) -> Job:
    """Return the job that was just queued."""
    job = await jobs.get(key)
    if job is None:
        raise Unavailable("The job cannot be read right now; it is queued.")
    return Job.of(job)


async def _load_jobs(context: Context, keys: Sequence[str]) -> Mapping[str, Node]:
    check(context, CATALOG)
    found = await context.services.jobs.get_many(keys)
    return {key: Job.of(job) for key, job in zip(keys, found, strict=True) if job is not None}


PART = SchemaPart(
    query=JobsQuery,
    mutation=JobsMutation,
    subscription=JobsSubscription,
    types=(Job,),
    nodes={"Job": _load_jobs},
    private=frozenset({"Job", "ImportPreview"}),
)
