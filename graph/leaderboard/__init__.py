"""Leaderboards, seasons and scores. SQL is the source of truth, Redis an index of it.

The service (`LeaderboardService`) is what the API, the jobs and the commands work with: it accepts scores
(`submission`), ranks them, and closes seasons (`seasons`). `LIVE` opens what notifies watchers of changes (`live`).
This package imports neither GraphQL nor another feature nor the settings.
"""

from graph.leaderboard import rules
from graph.leaderboard.feature import FEATURE, LIVE, LeaderboardOptions
from graph.leaderboard.keys import board_tag, ranks_tag
from graph.leaderboard.live.boards import until_available
from graph.leaderboard.records import BoardRecord, NewBoard, Outcome, Placed, SeasonSchedule, Span, TopPage, player_of
from graph.leaderboard.seed import DEMO_BOARDS, seed_demo, seed_players
from graph.leaderboard.service import LeaderboardService

__all__ = [
    "DEMO_BOARDS",
    "FEATURE",
    "LIVE",
    "BoardRecord",
    "LeaderboardOptions",
    "LeaderboardService",
    "NewBoard",
    "Outcome",
    "Placed",
    "SeasonSchedule",
    "Span",
    "TopPage",
    "board_tag",
    "player_of",
    "ranks_tag",
    "rules",
    "seed_demo",
    "seed_players",
    "until_available",
]
