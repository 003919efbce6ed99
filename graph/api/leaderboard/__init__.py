"""Leaderboards in GraphQL."""
