"""A session as its user sees it, and what its token and its record say: plain functions.

A token is ``<user>.<secret>``; Redis has its SHA-256 (`token_digest`), people see a name made of that (`public_id`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.patterns.client import Reply

EPOCH_LIFETIME_MS = 3_600_000
"""How long a revocation is remembered for logins that began before it."""

EXPIRING_KEYS = {
    "session:{*}:*": "a session",
    "sessions:{*}": "the sessions of a user",
    "session-epoch:{*}": "how often a user's sessions were revoked",
}
"""Keys with a TTL, below the prefix, and what they hold."""

_MICROSECONDS = 1_000_000

_USER = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(rf"({_USER.pattern})\.[A-Za-z0-9_-]{{43}}")


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its user may see it. `id` names it and opens nothing. Times are Unix seconds of the server."""

    id: str
    user_id: str
    role: str
    created_at: float
    last_active_at: float
    expires_at: float
    user_agent: str | None = None
    ip_address: str | None = None


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """The keys of a user's sessions, under `prefix` and one hash tag."""

    prefix: str

    def session(self, user: str, digest: str) -> str:
        """The key that exists exactly as long as the session."""
        return f"{self.prefix}:session:{{{user}}}:{digest}"

    def index(self, user: str) -> str:
        """The sorted set of the user's sessions."""
        return f"{self.prefix}:sessions:{{{user}}}"

    def epoch(self, user: str) -> str:
        """The epoch that every revocation moves."""
        return f"{self.prefix}:session-epoch:{{{user}}}"


def user_of(token: str) -> str | None:
    """The user that a token names; None for a malformed token."""
    found = _TOKEN.fullmatch(token)
    return found[1] if found is not None else None


def checked(user_id: str) -> str:
    """`user_id`, or ValueError if no token could name it."""
    if _USER.fullmatch(user_id) is None:
        raise ValueError(f"a user id of sessions is 1 to 64 letters, digits, hyphens and underscores, not {user_id!r}")
    return user_id


def token_digest(token: str) -> str:
    """The digest that Redis stores for a token."""
    return hashlib.sha256(token.encode()).hexdigest()


@lru_cache(maxsize=4096)
def public_id(digest: str) -> str:
    """A name for the session that leads neither to its token nor to its key."""
    named = hashlib.sha256(b"session id:" + digest.encode()).digest()
    return base64.urlsafe_b64encode(named[:16]).rstrip(b"=").decode()


def kept(text: str | None) -> bytes:
    """The part of a client's text that is stored."""
    return (text or "")[:256].encode("utf-8", "replace")


def session_from(fields: Sequence[Reply]) -> Session:
    """The session in a script's reply."""
    user, digest, created, last, expires, agent, address, role = fields
    return Session(
        id=public_id(digest.decode()),
        user_id=user if isinstance(user, str) else user.decode(),
        role=role.decode(),
        created_at=created / _MICROSECONDS,
        last_active_at=last / _MICROSECONDS,
        expires_at=expires / _MICROSECONDS,
        user_agent=agent.decode() or None,
        ip_address=address.decode() or None,
    )
