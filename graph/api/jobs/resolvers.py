"""Queueing jobs and reading their state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import strawberry

from graph.api.auth import ADMIN, CATALOG, check, requires
from graph.api.context import Context, Info
from graph.api.errors import InvalidInput
from graph.api.jobs.subscriptions import JobsSubscription
from graph.api.jobs.types import ImportProductsInput, ImportProductsResult, Job
from graph.api.node import Node
from graph.api.schema_part import SchemaPart
from graph.catalog import IMPORT_PRODUCTS
from graph.catalog.importing import ENDINGS
from graph.errors import Unavailable
from graph.jobs import NotBelow, file_below


@strawberry.type
class JobsMutation:
    @strawberry.mutation(
        description="Queues an import of products; follow it with the jobProgress subscription. A file that is being "
        "imported already is not imported twice: its job is answered. Needs the role ADMIN.",
        extensions=[requires(CATALOG)],
    )
    async def import_products(self, info: Info, input: ImportProductsInput) -> ImportProductsResult:
        services = info.context.services
        try:
            file = file_below(services.imports, input.path)
        except NotBelow as problem:
            return InvalidInput.of("path", f"{str(problem)[0].upper()}{str(problem)[1:]}.")
        if file.suffix.lower() not in ENDINGS:
            return InvalidInput.of("path", "The file is a .csv, .json or .ndjson file.")
        key = await services.jobs.enqueue(IMPORT_PRODUCTS, {"path": input.path}, unique=str(file))
        job = await services.jobs.get(key)
        if job is None:
            raise Unavailable("The job cannot be read right now; it is queued.")
        return Job.of(job)


async def _load_jobs(context: Context, keys: Sequence[str]) -> Mapping[str, Node]:
    check(context, ADMIN)
    found = await context.services.jobs.get_many(keys)
    return {key: Job.of(job) for key, job in zip(keys, found, strict=True) if job is not None}


PART = SchemaPart(
    mutation=JobsMutation,
    subscription=JobsSubscription,
    types=(Job,),
    nodes={"Job": _load_jobs},
    private=frozenset({"Job"}),
)
