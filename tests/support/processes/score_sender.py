"""A process that sends scores with keys, 40 at a time, until it is killed, and prints those that were acknowledged.

``python -m tests.support.processes.score_sender DATABASE REDIS FIRST``, where FIRST is the number of the first score.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from graph.engines.database import Database
from graph.leaderboard.service import LeaderboardService
from graph.patterns.client import open_client


async def main(database_url: str, redis_url: str, first: int) -> None:
    """Send for ever."""
    async with (
        Database(database_url) as database,
        open_client(redis_url) as client,
        LeaderboardService(database, client, upkeep=0) as service,
    ):
        board = await service.board("sum")
        assert board is not None
        numbers = itertools.count(first)

        async def send() -> None:
            for number in numbers:
                await service.submit(board, 1 + number % 5, 1.0, key=str(number))
                os.write(1, f"{number}\n".encode())

        await asyncio.gather(*(send() for _ in range(40)))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
