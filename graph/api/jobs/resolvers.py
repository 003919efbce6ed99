"""Queueing jobs and reading their state."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, cast

import strawberry

from graph.api.auth import CATALOG, check, requires
from graph.api.context import Context, Info
from graph.api.errors import InvalidAsResult
from graph.api.jobs.subscriptions import JobsSubscription
from graph.api.jobs.types import ImportProductsInput, ImportProductsResult, Job, UploadProductsInput
from graph.api.node import Node
from graph.api.schema_part import SchemaPart
from graph.catalog import IMPORT_PRODUCTS, IMPORT_UPLOAD
from graph.catalog.importing import ENDINGS
from graph.errors import Invalid, Unavailable
from graph.jobs import Jobs, NotBelow, file_below, keep_upload

if TYPE_CHECKING:
    from starlette.datastructures import UploadFile

MAX_NAME = 100
"""Characters of an uploaded file's name that its job keeps."""


@strawberry.type
class JobsMutation:
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
        file = cast("UploadFile", input.file)
        name = "".join(one for one in file.filename or "" if one.isprintable())[-MAX_NAME:]
        endings = PurePath(name.lower()).suffixes
        if not endings or endings[-1] not in ENDINGS:
            raise Invalid("file", "The file is a .csv, .json, .ndjson or .xml file, or one of them packed.")
        kept = [one for one in endings[-2:] if one in ENDINGS]
        try:
            path = await asyncio.to_thread(keep_upload, services.imports, file.file, "".join(kept))
        except OSError:
            raise Unavailable("The file cannot be stored right now.") from None
        key = await services.jobs.enqueue(IMPORT_UPLOAD, {"path": path, "name": name})
        return await _queued(services.jobs, key)


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
    mutation=JobsMutation,
    subscription=JobsSubscription,
    types=(Job,),
    nodes={"Job": _load_jobs},
    private=frozenset({"Job"}),
)
