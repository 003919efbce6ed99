"""Accounts and sessions in GraphQL."""

from graph.api.accounts.resolvers import PART

__all__ = ["PART"]
