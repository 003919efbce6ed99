"""Accounts and sessions in GraphQL.

Registering, signing in and out, guests, the viewer, and what viewers can change about themselves. Only the viewer and
an ADMIN see data about an account.
"""

from graph.api.accounts.resolvers import PART

__all__ = ["PART"]
