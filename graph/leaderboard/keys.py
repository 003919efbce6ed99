"""The leaderboards' names in Redis: the tag of a board, its topic, its rankings, the names of its jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.patterns.broker import Delivery, Topic

if TYPE_CHECKING:
    from graph.patterns.ranking import Submitted, Ties

CLOSE_SEASONS = "closeSeasons"
"""The job that closes seasons; one is queued at a time."""
FORGET_KEYS = "forgetSubmissionKeys"
REBUILD = "rebuildLeaderboard"


def board_tag(slug: str) -> str:
    """Return the cache tag of everything that shows a board: of what is not known to move some ranks only."""
    return f"leaderboard:{slug}"


def ranks_tag(slug: str) -> str:
    """Return the tag under which each score moves ranks, before it moves them under `moved_tags`."""
    return f"leaderboard:{slug}:ranks"


def size_tag(slug: str) -> str:
    """Return the tag of how many players a board has, and so of percentiles."""
    return f"leaderboard:{slug}:size"


def shown_tags(slug: str, first: int, last: int) -> list[str]:
    """Return the tags of the ranks from `first` to `last`, which belong to bands."""
    return [f"{ranks_tag(slug)}:{band}" for band in range(_band(first), _band(last) + 1)]


def moved_tags(slug: str, ties: Ties, submitted: Submitted) -> list[str] | None:
    """Return the tags of all that a score changed; None where it is not known what that is, or in many bands."""
    ranks = submitted.moved(ties) if submitted.changed else None
    if ranks is None:
        return None
    first, last = ranks
    tags = shown_tags(slug, first, last or submitted.size)
    if submitted.former_rank is None:
        tags.append(size_tag(slug))
    return tags if len(tags) <= MOST_BANDS else None


def _band(rank: int) -> int:
    """Return the number of a rank's band: 16 ranks among the first 256; from there on eight bands for each doubling."""
    place = rank - 1
    doublings = max(place.bit_length() - 8, 0)
    return 8 * doublings + (place >> doublings + 4)


MOST_BANDS = 16
"""A score that moves ranks in more bands outdates everything that shows the board."""


def board_topic(board: int) -> Topic:
    """Return the topic of a board, which announces the ranks that moved."""
    return Topic(f"board:{board}", Delivery.EVERY, max_length=100, max_age=60.0)


def ranking_name(board: int, season: int) -> str:
    """Return the name of a season's ranking."""
    return f"{board}.{season}"


def rebuild_lock(slug: str) -> str:
    """Return the name of the lock that is held while a board's ranking is rebuilt."""
    return f"rebuild:{slug}"
