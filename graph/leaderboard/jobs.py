"""The leaderboards' background jobs: closing seasons, rebuilding an index, deleting old submission keys.

Each job may be killed at any point and run again with the same result.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING

from graph.jobs import Definition, GiveUp, Progress, Schedule, watched
from graph.leaderboard.keys import CLOSE_SEASONS, FORGET_KEYS, REBUILD, rebuild_lock
from graph.patterns.lock import LockTimeout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.leaderboard.service import LeaderboardService
    from graph.patterns.lock import Locks

SCHEDULES = (Schedule(FORGET_KEYS, 3600.0, {}),)


def definitions(leaderboards: LeaderboardService, locks: Locks) -> Sequence[Definition]:
    """Return the leaderboards' kinds of jobs."""
    return [
        Definition(REBUILD, partial(rebuild, leaderboards, locks), timeout=3600.0),
        Definition(CLOSE_SEASONS, partial(close_seasons, leaderboards, locks), timeout=3600.0),
        Definition(FORGET_KEYS, partial(forget_keys, leaderboards)),
    ]


async def rebuild(leaderboards: LeaderboardService, locks: Locks, progress: Progress, *, slug: str) -> None:
    """Rebuild the ranking index of a board from SQL."""
    board = await leaderboards.board(slug)
    if board is None:
        raise GiveUp(f"there is no leaderboard {slug}")
    done = 0

    def on_progress(rows: int) -> None:
        nonlocal done
        done = rows

    async with locks.hold(rebuild_lock(slug), wait=30.0):
        work = asyncio.create_task(leaderboards.rebuild(board, on_progress=on_progress))
        await watched(work, progress, lambda: (done, None))
    await progress(done, done)


async def close_seasons(leaderboards: LeaderboardService, locks: Locks, progress: Progress) -> None:
    """Close the seasons that are over and archive their ranks; the boards' upkeep queues this when there are some.

    The lock only saves two workers from doing the same work. The fence guarantees that a season is closed once: every
    archived chunk checks its closer's token in the same transaction (`graph.leaderboard.seasons.archive`).
    """
    try:
        async with locks.hold("seasons", wait=0):
            await leaderboards.upkeep.close_seasons()
    except LockTimeout:
        return
    await progress(1, 1)


async def forget_keys(leaderboards: LeaderboardService, progress: Progress) -> None:
    """Delete submission keys that are older than 30 days."""
    await leaderboards.upkeep.forget_keys()
    await progress(1, 1)
