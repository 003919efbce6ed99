"""Users, their passwords and their sessions: who somebody is, and how they prove it.

The service (`AccountService`) is what the API and the commands work with. Users live in SQL, sessions and attempts in
Redis; passwords are hashed in a process of their own. This package knows no GraphQL, no other feature and no settings.
"""

from graph.accounts.attempts import AttemptLimits
from graph.accounts.feature import FEATURE, AccountOptions
from graph.accounts.ledger import RevocationLedger

__all__ = ["FEATURE", "AccountOptions", "AttemptLimits", "RevocationLedger"]
