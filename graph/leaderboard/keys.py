"""The leaderboards' names in Redis: the tag of a board, its topic, its rankings, the names of its jobs."""

from __future__ import annotations

from graph.patterns.broker import Delivery, Topic

CLOSE_SEASONS = "closeSeasons"
"""The job that closes seasons; one is queued at a time."""
FORGET_KEYS = "forgetSubmissionKeys"
REBUILD = "rebuildLeaderboard"


def board_tag(slug: str) -> str:
    """Return the cache tag of everything that shows a board's scores."""
    return f"leaderboard:{slug}"


def board_topic(board: int) -> Topic:
    """Return the topic of a board, which announces the ranks that moved."""
    return Topic(f"board:{board}", Delivery.EVERY, max_length=100, max_age=60.0)


def ranking_name(board: int, season: int) -> str:
    """Return the name of a season's ranking."""
    return f"{board}.{season}"


def rebuild_lock(slug: str) -> str:
    """Return the name of the lock that is held while a board's ranking is rebuilt."""
    return f"rebuild:{slug}"
