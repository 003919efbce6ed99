"""The problems that an import reports, with a row or with the whole file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, cast


def as_object(value: Any) -> dict[str, Any] | None:
    """Return `value` if it is a JSON object, otherwise None."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """Return `value` if it is a JSON array, otherwise None."""
    return cast("list[Any]", value) if isinstance(value, list) else None


class Unreadable(Exception):
    """The file cannot be read, or not to its end."""

    def __init__(self, reason: str, line: int = 0) -> None:
        """Give the reason, and the line if it is known."""
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.reason = reason
        self.line = line


class Row(NamedTuple):
    """One row of a file: its cells under the file's columns (CSV), or an object (JSON)."""

    line: int
    cells: list[str]
    fields: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row was left out, or a remark on one that was not; with the field and its value if it is about one.

    `raw` is the row as in the file, by column; None for a row that could not be read at all. `tabular` says that it is
    a row of a table, which has the same columns as the others.
    """

    line: int
    reason: str
    field: str = ""
    value: str = ""
    raw: dict[str, Any] | None = None
    tabular: bool = False

    def __str__(self) -> str:
        """Return a readable sentence."""
        return f"{self.reason} ({self.field}: {self.value!r})" if self.value else self.reason
