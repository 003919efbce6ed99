"""Leaves events in the outbox; as a process, one of many, it publishes them as well until it is done or killed.

``python -m tests.support.processes.event_writer DATABASE REDIS FIRST COUNT`` prints ``up`` and notes the products
`FIRST` to `FIRST` + `COUNT` - 1, one in each transaction.
"""

from __future__ import annotations

import asyncio
import sys

from sqlalchemy import insert

from graph.catalog.models import EVENTS
from graph.catalog.outbox import Outbox
from graph.engines.database import Database
from graph.patterns.broker import Broker
from graph.patterns.cache import Cache
from graph.patterns.client import open_client
from tests.support.apps.products import START


async def note(database: Database, *numbers: int) -> None:
    """Leave committed events of these products."""
    rows = [{"kind": "UPDATED", "product_id": n, "at": START} for n in numbers]
    async with database.transaction() as session:
        await session.execute(insert(EVENTS), rows)


async def write(url: str, redis: str, first: int, count: int) -> None:
    """Commit events one by one and publish."""
    async with (
        open_client(redis) as client,
        Broker(client) as broker,
        Database(url) as database,
        Outbox(database, broker, Cache(client), every=0.05) as outbox,
    ):
        print("up", flush=True)
        for n in range(first, first + count):
            await note(database, n)
            outbox.nudge()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
