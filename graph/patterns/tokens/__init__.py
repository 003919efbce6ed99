"""Tokens that work once: for resetting a password, confirming an address, accepting an invitation.

`OneTimeTokens` issues one for a value, shows whose it is, and gives the value to the first who takes it.
"""

from graph.patterns.tokens.tokens import OneTimeTokens

__all__ = ["OneTimeTokens"]
