"""Accounts and sessions in GraphQL."""

from graph.api.accounts.resolvers import FEATURE

__all__ = ["FEATURE"]
