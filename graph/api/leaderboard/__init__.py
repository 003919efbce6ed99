"""Leaderboards in GraphQL.

Boards, seasons, rankings and players; submitting scores; following a board's top or a player's place. `BoardPage` shows
a board to browsers.
"""

from graph.api.leaderboard.page import BoardPage
from graph.api.leaderboard.resolvers import PART

__all__ = ["PART", "BoardPage"]
