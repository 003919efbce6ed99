"""The job worker: the process that runs what `product_jobs` defines.

``graph serve`` starts one worker process beside the server, at a lower priority, so that long work does not slow
answers down; ``graph worker`` starts more, on any machine that reaches the same Redis and SQL. On SIGTERM a worker
takes no more jobs, finishes what runs within ``GRAPH_GRACE`` seconds, and leaves the rest to others.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from graph.background.jobs import definitions, schedules
from graph.jobs import Worker
from graph.services import open_services

if TYPE_CHECKING:
    from graph.settings import Settings

_log = logging.getLogger(__name__)


async def work(settings: Settings) -> None:
    """Run jobs until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_services(settings) as services:
        worker = Worker(
            services.jobs,
            definitions(services),
            schedules=schedules(),
            concurrency=settings.jobs.concurrency,
            drain=settings.server.grace,
        )
        _log.info("Working on jobs, %d at a time", settings.jobs.concurrency)
        await worker.run(stop)
    _log.info("No job left running here; stopped")
