"""The values that the accounts service returns: users, and the outcomes of operations on them."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from graph.accounts.rules import DELETED, GUESTS

if TYPE_CHECKING:
    from graph.patterns.sessions import Session


class Role(enum.StrEnum):
    """What a user may do; each role includes the ones before it."""

    PLAYER = "PLAYER"
    SERVICE = "SERVICE"
    ADMIN = "ADMIN"


PASSWORD_DUE = "PASSWORD_DUE"  # noqa: S105 - the name of a role
"""The role of a session whose user must change the password first: only what needs no role is allowed."""


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user, without the columns that only a login needs."""

    id: int
    email: str
    display_name: str
    role: Role
    created_at: datetime
    email_confirmed: bool = False

    @property
    def guest(self) -> bool:
        """Whether the user has given neither an email nor a password yet."""
        return self.email.endswith(f"@{GUESTS}")

    @property
    def deleted(self) -> bool:
        """Whether the user's data was erased; only the row remains."""
        return self.email.endswith(f"@{DELETED}")

    def to_json(self) -> dict[str, Any]:
        """Return the form that is cached."""
        return {
            "id": self.id,
            "email": self.email,
            "display_name": self.display_name,
            "role": str(self.role),
            "created_at": self.created_at.isoformat(),
            "email_confirmed": self.email_confirmed,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> UserRecord:
        """Rebuild a user from what `to_json` returned."""
        created = datetime.fromisoformat(value["created_at"])
        confirmed = bool(value.get("email_confirmed"))  # missing in what a process of the previous version cached
        return cls(value["id"], value["email"], value["display_name"], Role(value["role"]), created, confirmed)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where a request comes from: limits count by `address`; `device` is the device cookie, if any.

    The other fields are shown in the list of sessions.
    """

    address: str
    ip_address: str | None = None
    user_agent: str | None = None
    device: str | None = None


# --- outcomes ---


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session has begun; `token` opens it and is not stored. `device` is the cookie that makes the device known."""

    user: UserRecord
    session: Session
    token: str
    device: str = ""

    def __repr__(self) -> str:
        """Leave the token out."""
        return f"SignedIn(user={self.user!r}, session={self.session!r})"


@dataclass(frozen=True, slots=True)
class GuestSignedIn:
    """A guest was created; `secret` signs the guest in again and is not stored."""

    signed_in: SignedIn
    secret: str

    def __repr__(self) -> str:
        """Leave the secret out."""
        return f"GuestSignedIn({self.signed_in!r})"


@dataclass(frozen=True, slots=True)
class NoGuest:
    """The user has an email already."""


@dataclass(frozen=True, slots=True)
class PasswordReplaced:
    """The password was changed and the other sessions ended; the current one continues under a new token."""

    revoked_sessions: int
    signed_in: SignedIn


@dataclass(frozen=True, slots=True)
class EmailInUse:
    """Another account has this email."""


@dataclass(frozen=True, slots=True)
class WrongCredentials:
    """No account has this email and password; the outcome does not say which of the two is wrong."""


@dataclass(frozen=True, slots=True)
class NoAdminLeft:
    """It was not done, because afterwards no ADMIN could sign in."""


@dataclass(frozen=True, slots=True)
class TooMany:
    """Too many attempts; the next may be made after `retry_after` seconds."""

    retry_after: float
