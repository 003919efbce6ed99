"""A process that changes the price of a product to 7 and is killed amid it.

``python -m tests.support.processes.price_writer REDIS DATABASE PRODUCT STEP``, where STEP is one of `Stepped`.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from decimal import Decimal

from graph.catalog.service import CatalogService
from graph.engines.database import Database
from graph.patterns.client import open_client
from tests.support.models.stepped import HOLD, Stepped


async def main(redis: str, sql: str, product: int, step: str) -> None:
    """Change it, and die at that step."""

    async def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    async with open_client(redis) as client, Database(sql) as database:
        cache = Stepped(client, hold=HOLD)
        cache.step, cache.meanwhile = step, die
        await CatalogService(database, cache).update(product, {"price": (Decimal(7), "USD")})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]))
