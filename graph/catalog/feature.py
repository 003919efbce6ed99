"""Opens the catalog feature: the service, the outbox and the background jobs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from graph.catalog.jobs import SCHEDULES, definitions
from graph.catalog.outbox import Outbox
from graph.catalog.service import CatalogService
from graph.feature import Feature

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from graph.feature import Tools
    from graph.jobs import Definition


@asynccontextmanager
async def _open(tools: Tools) -> AsyncGenerator[CatalogService]:
    async with Outbox(tools.database, tools.broker, tools.cache) as outbox:
        yield CatalogService(tools.database, tools.cache, committed=outbox.nudge, outdate=outbox.outdate)


def _jobs(tools: Tools) -> Sequence[Definition]:
    return definitions(tools.of(FEATURE), tools.imports)


FEATURE = Feature(name="catalog", schema="graph.api.catalog:PART", open=_open, jobs=_jobs, schedules=SCHEDULES)
