"""Boards, seasons and scores: SQL is the truth, Redis the index.

The service (`LeaderboardService`) is what the API, the jobs and the commands work with: it takes scores in
(`submission`), ranks them, and closes seasons (`seasons`). `LIVE` opens what tells watchers of changes (`live`). This
package knows no GraphQL, no other feature and no settings.
"""

from graph.leaderboard import rules
from graph.leaderboard.feature import FEATURE, LIVE
from graph.leaderboard.keys import board_tag
from graph.leaderboard.live.boards import until_available
from graph.leaderboard.records import BoardRecord, NewBoard, Outcome, Placed, SeasonSchedule, Span, TopPage, player_of
from graph.leaderboard.seed import DEMO_BOARDS, seed_demo, seed_players
from graph.leaderboard.service import LeaderboardService

__all__ = [
    "DEMO_BOARDS",
    "FEATURE",
    "LIVE",
    "BoardRecord",
    "LeaderboardService",
    "NewBoard",
    "Outcome",
    "Placed",
    "SeasonSchedule",
    "Span",
    "TopPage",
    "board_tag",
    "player_of",
    "rules",
    "seed_demo",
    "seed_players",
    "until_available",
]
