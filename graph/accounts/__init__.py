"""Users, their passwords and their sessions.

The service (`AccountService`) is what the API and the commands work with. Users live in SQL, sessions and attempts in
Redis; passwords are hashed in a process of their own. This package imports neither GraphQL nor another feature nor the
settings.
"""

from graph.accounts.attempts import AttemptLimits
from graph.accounts.feature import FEATURE, RECOVERY, AccountOptions
from graph.accounts.keys import USER_TTL
from graph.accounts.ledger import RevocationLedger
from graph.accounts.messages.recovery import MailOptions, Recovery
from graph.accounts.records import (
    PASSWORD_DUE,
    EmailInUse,
    GuestSignedIn,
    NoAdminLeft,
    NoGuest,
    Role,
    SignedIn,
    TooMany,
    UserRecord,
    Visitor,
    WrongCredentials,
)
from graph.accounts.service import AccountService

__all__ = [
    "FEATURE",
    "PASSWORD_DUE",
    "RECOVERY",
    "USER_TTL",
    "AccountOptions",
    "AccountService",
    "AttemptLimits",
    "EmailInUse",
    "GuestSignedIn",
    "MailOptions",
    "NoAdminLeft",
    "NoGuest",
    "Recovery",
    "RevocationLedger",
    "Role",
    "SignedIn",
    "TooMany",
    "UserRecord",
    "Visitor",
    "WrongCredentials",
]
