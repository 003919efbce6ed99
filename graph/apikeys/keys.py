"""The names of API keys in Redis: the principal of a key, used in place of a user id, and the name of the job."""

from __future__ import annotations

import re

from graph.apikeys.rules import MAX_OPERATIONS

NOTE_USE = "noteApiKeyUse"

_PRINCIPAL = re.compile(r"key-(\d{1,18})-(\d{1,6})", re.ASCII)


def principal(number: int, operations: int) -> str:
    """Return the first part of a key, which routes it in Redis and contains its limit, so that no look-up is needed.

    Changing it makes another key, whose digest is not stored.
    """
    return f"key-{number}-{operations}"


def number_of(name: str) -> int | None:
    """Return the id of the key with this principal; None for any other text."""
    found = _PRINCIPAL.fullmatch(name)
    return None if found is None else int(found[1])


def operations_of(name: str) -> int | None:
    """Return the limit in a principal; None for any other text."""
    found = _PRINCIPAL.fullmatch(name)
    return None if found is None or not 0 < int(found[2]) <= MAX_OPERATIONS else int(found[2])
