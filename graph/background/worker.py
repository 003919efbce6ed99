"""The worker process, which runs the jobs that `graph.background.jobs` lists.

``graph serve`` starts one worker process beside the server, with a lower priority, so that long jobs do not slow
requests down; ``graph worker`` starts more, on any machine that reaches the same Redis and SQL. On SIGTERM a worker
takes no more jobs, finishes running ones within ``GRAPH_GRACE`` seconds, and leaves the rest to others. What it counts
is on ``/metrics`` of the server that it runs beside, or of its own port.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from typing import TYPE_CHECKING

from graph import __version__
from graph.background.jobs import definitions, schedules
from graph.background.metrics_page import metrics_page
from graph.endpoint.observe import OwnActivity
from graph.engines.database import Database
from graph.errors import Unavailable
from graph.jobs import Worker
from graph.patterns.client import RedisUnavailable
from graph.patterns.roster import Roster
from graph.services import open_services

if TYPE_CHECKING:
    import socket

    from graph.settings import Settings

_PAUSE = 1.0
"""Seconds between two attempts to reach Redis and SQL at the start."""

logger = logging.getLogger(__name__)


async def work(settings: Settings, listener: socket.socket | None = None) -> None:
    """Run jobs until SIGTERM or SIGINT; at the start, wait until Redis is reachable and the tables exist.

    Prometheus is answered on the `listener`, if there is one.
    """
    async with metrics_page(listener) if listener is not None else contextlib.nullcontext():
        await _until_stopped(settings)


async def _until_stopped(settings: Settings) -> None:
    stop, begun = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    working = asyncio.create_task(_work(settings, stop, begun))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((working, stopping), return_when=asyncio.FIRST_COMPLETED)
    if stop.is_set() and not begun.is_set():
        working.cancel()
    stopping.cancel()
    try:
        await working
    except asyncio.CancelledError:
        if not stop.is_set():
            raise
    logger.info("No job left running here; stopped")


async def _work(settings: Settings, stop: asyncio.Event, begun: asyncio.Event) -> None:
    await _tables(settings)
    told = ""
    while not begun.is_set():
        try:
            await _work_once(settings, stop, begun)
        except RedisUnavailable as error:
            if begun.is_set():
                raise
            if str(error) != told:
                told = str(error)
                logger.warning("Redis is away, waiting for it: %s", told)
            await asyncio.sleep(_PAUSE)


async def _tables(settings: Settings) -> None:
    """Wait until a server has created the tables of the database."""
    async with Database(settings.database_url) as database:
        with contextlib.suppress(Unavailable):  # reported, and waited for, by the services
            told = False
            while await database.revision() is None:
                if not told:
                    told = True
                    logger.warning("The database has no tables yet: `graph serve` makes them; waiting")
                await asyncio.sleep(_PAUSE)


async def _work_once(settings: Settings, stop: asyncio.Event, begun: asyncio.Event) -> None:
    async with open_services(settings) as services:
        worker = Worker(
            services.jobs,
            definitions(services),
            schedules=schedules(services.app),
            concurrency=settings.jobs.concurrency,
            drain=settings.server.grace,
            around=services.telemetry.job if services.telemetry is not None else None,
        )
        logger.info("Working on jobs, %d at a time", settings.jobs.concurrency)
        begun.set()
        async with Roster(services.client, OwnActivity("worker", __version__), prefix=services.prefix):
            await worker.run(stop)
