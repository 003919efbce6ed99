"""Leaderboards in GraphQL.

Boards, their seasons, rankings and players; submitting a score; following a board's top or a player's place.
"""

from graph.api.leaderboard.resolvers import PART

__all__ = ["PART"]
