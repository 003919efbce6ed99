"""Leaderboards in GraphQL.

Boards, seasons, rankings and players; submitting scores; following a board's top or a player's place.
"""

from graph.api.leaderboard.resolvers import PART

__all__ = ["PART"]
