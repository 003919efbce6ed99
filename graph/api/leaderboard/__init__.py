"""Leaderboards in GraphQL."""

from graph.api.leaderboard.resolvers import PART

__all__ = ["PART"]
