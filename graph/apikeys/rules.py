"""The rules for API keys. A value that breaks a rule raises `graph.errors.Invalid`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Sized

MAX_NAME = 100
MAX_OPERATIONS = 100_000
MAX_KEYS = 1000
"""Most keys that are not revoked."""


def check(name: str, scopes: Sized, operations: int) -> None:
    """Raise `Invalid` if a key with these values is not allowed."""
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        raise Invalid("name", f"A name is 1 to {MAX_NAME} printable characters.")
    if not scopes:
        raise Invalid("scopes", "A key needs at least one scope.")
    if not 0 < operations <= MAX_OPERATIONS:
        raise Invalid("operationsPerMinute", f"A limit is 1 to {MAX_OPERATIONS:,} operations.")
