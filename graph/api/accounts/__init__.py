"""Accounts and sessions in GraphQL.

Registering, signing in and out, guests, the viewer, and what they can change about themselves. Answers about an account
are for the viewer and for an ADMIN only.
"""

from graph.api.accounts.resolvers import PART

__all__ = ["PART"]
