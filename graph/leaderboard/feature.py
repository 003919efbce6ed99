"""Opens the leaderboards feature: the service, following boards, and the background jobs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from graph.feature import Feature
from graph.leaderboard.jobs import SCHEDULES, definitions
from graph.leaderboard.keys import CLOSE_SEASONS
from graph.leaderboard.live.boards import LiveBoards
from graph.leaderboard.service import LeaderboardService

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.feature import Tools
    from graph.jobs import Definition


@dataclass(frozen=True, slots=True)
class LeaderboardOptions:
    """What an operator may set: whether the scores of deleted users are removed, or stay without a name."""

    remove_departed: bool = False


def _open(tools: Tools) -> LeaderboardService:
    close_seasons = partial(tools.jobs.enqueue, CLOSE_SEASONS, {}, unique=CLOSE_SEASONS, durable=False)
    return LeaderboardService(
        tools.database,
        tools.client,
        prefix=tools.prefix,
        delegate=close_seasons,
        invalidate=tools.cache.invalidate,
        remove_departed=tools.option(LeaderboardOptions).remove_departed,
    )


def _jobs(tools: Tools) -> Sequence[Definition]:
    return definitions(tools.of(FEATURE), tools.locks)


def _watch(tools: Tools) -> LiveBoards:
    return LiveBoards(tools.of(FEATURE), tools.broker)


FEATURE = Feature(name="leaderboard", schema="graph.api.leaderboard:PART", open=_open, jobs=_jobs, schedules=SCHEDULES)
LIVE = Feature(name="live boards", open=_watch)
"""Following boards; depends on `FEATURE`."""
