"""Leaderboards in GraphQL."""

from graph.api.leaderboard.resolvers import FEATURE

__all__ = ["FEATURE"]
