"""A process that keeps a row of PostgreSQL: ``python -m … stand-still|hang URL``.

It renames the category ``row`` and then stops amid a statement of thousands of values, of which the server waits for
the next, or waits for a statement that takes an hour.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from sqlalchemy import text

from graph.engines.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator


def values() -> Iterator[tuple[str, int]]:
    """Those of the statement."""
    for number in range(100_000):
        if number == 99_000:  # the driver has sent thousands of them
            os.kill(os.getpid(), signal.SIGSTOP)
        yield "row!", number


async def main(how: str, url: str) -> None:
    """Take the row and keep it."""
    async with Database(url) as database, database.transaction() as session:
        await session.execute(text("UPDATE category SET name = name || '!' WHERE slug = 'row'"))
        if how == "hang":
            await session.execute(text("SELECT pg_sleep(3600)"))
        raw: Any = (await (await session.connection()).get_raw_connection()).driver_connection
        await raw.executemany("UPDATE category SET name = $1 WHERE id = $2", values())


asyncio.run(main(*sys.argv[1:3]))
