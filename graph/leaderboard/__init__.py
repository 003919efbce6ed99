"""Boards, seasons and scores: SQL is the truth, Redis the index.

The service (`LeaderboardService`) is what the API, the jobs and the commands work with: it takes scores in
(`submission`), ranks them, and closes seasons (`seasons`). `LIVE` opens what tells watchers of changes (`live`). This
package knows no GraphQL, no other feature and no settings.
"""

from graph.leaderboard.feature import FEATURE, LIVE

__all__ = ["FEATURE", "LIVE"]
