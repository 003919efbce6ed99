"""Rankings whose rank, score and neighbours are read at one instant.

A `Ranking` either holds the scores itself or is an index of rows (`ScoreRow`) that are kept elsewhere and can rebuild
it. An index that cannot answer for its rows raises `RankingMissing` or `RankingStale`.
"""

from graph.patterns.ranking.ranking import Ranking
from graph.patterns.ranking.values import (
    NO_BUILD,
    Entry,
    Neighbourhood,
    Operator,
    Order,
    Place,
    RankingMissing,
    RankingPage,
    RankingStale,
    RankingState,
    ScoreRow,
    Start,
    Submitted,
    Ties,
    percentile,
    ranks,
)

__all__ = [
    "NO_BUILD",
    "Entry",
    "Neighbourhood",
    "Operator",
    "Order",
    "Place",
    "Ranking",
    "RankingMissing",
    "RankingPage",
    "RankingStale",
    "RankingState",
    "ScoreRow",
    "Start",
    "Submitted",
    "Ties",
    "percentile",
    "ranks",
]
