"""The accounts' names in Redis: the tag and key of a cached user, and the logs of attempts.

The logs share one hash tag, because one script charges several of them together.
"""

from __future__ import annotations

import hashlib

USER_TTL = 300.0
"""Seconds that a user is cached at most; a change invalidates it earlier."""

_USER = "user:"

EXPIRING_KEYS = {"{attempts}:*": "when somebody tried to sign in"}
"""Keys with a TTL, below the prefix, and what they hold."""


def user_tag(user_id: int) -> str:
    """Return the cache key of a user's public data, which is also the tag of that value."""
    return f"{_USER}{user_id}"


def user_of_tag(tag: str) -> int:
    """Return the user's number in a `user_tag`."""
    return int(tag.removeprefix(_USER))


def attempts_key(prefix: str, kind: str, name: str) -> str:
    """Return the key of the log of attempts of one kind on `name`."""
    return f"{prefix}:{{attempts}}:{kind}:{name}"


def account_name(email_key: str) -> str:
    """Return the name of an account in the logs: a digest, so that Redis holds no email addresses."""
    return hashlib.sha256(email_key.encode("utf-8", "replace")).hexdigest()
