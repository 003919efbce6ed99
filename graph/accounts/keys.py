"""The accounts' names in Redis: the tag and key of a cached user, and the logs of attempts.

The logs share one hash tag, because one script charges several of them together.
"""

from __future__ import annotations

import hashlib

USER_TTL = 300.0
"""Seconds that a user is cached; a change outdates it before that."""

_USER = "user:"


def user_tag(user_id: int) -> str:
    """What is shown of a user: a key, and the tag of its value."""
    return f"{_USER}{user_id}"


def user_of_tag(tag: str) -> int:
    """The user's number in a tag."""
    return int(tag.removeprefix(_USER))


def attempts_key(prefix: str, kind: str, name: str) -> str:
    """The log of attempts of one kind on `name`."""
    return f"{prefix}:{{attempts}}:{kind}:{name}"


def account_name(email_key: str) -> str:
    """What names an account in the logs: a digest, so that the store lists no addresses."""
    return hashlib.sha256(email_key.encode("utf-8", "replace")).hexdigest()
