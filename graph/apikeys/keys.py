"""What API keys are called in Redis: the principal of a key, which stands where users have their number; the job."""

from __future__ import annotations

import re

from graph.apikeys.rules import MAX_OPERATIONS

NOTE_USE = "noteApiKeyUse"

_PRINCIPAL = re.compile(r"key-(\d{1,18})-(\d{1,6})", re.ASCII)


def principal(number: int, operations: int) -> str:
    """The first part of a key, which routes it in Redis, and says what its limit is before anything is looked up.

    Whoever alters it has another key, whose digest nobody knows.
    """
    return f"key-{number}-{operations}"


def number_of(name: str) -> int | None:
    """The number of the key with this principal; None for what is none."""
    found = _PRINCIPAL.fullmatch(name)
    return None if found is None else int(found[1])


def operations_of(name: str) -> int | None:
    """The limit in a principal; None for what is none."""
    found = _PRINCIPAL.fullmatch(name)
    return None if found is None or not 0 < int(found[2]) <= MAX_OPERATIONS else int(found[2])
