"""What an import may complain of: a row, or the whole file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, cast


def as_object(value: Any) -> dict[str, Any] | None:
    """A JSON object; None when the value is none."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else None


def as_list(value: Any) -> list[Any] | None:
    """A JSON array; None when the value is none."""
    return cast("list[Any]", value) if isinstance(value, list) else None


class Unreadable(Exception):
    """The file cannot be read, or no further."""

    def __init__(self, reason: str, line: int = 0) -> None:
        """Say why, and where if it is known."""
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
    """A row that is not taken, or something to know of one that is: the field and its value, if it is about one.

    `raw` is the row as the file has it, by column; None for one that could not be read at all.
    """

    line: int
    reason: str
    field: str = ""
    value: str = ""
    raw: dict[str, Any] | None = None

    def __str__(self) -> str:
        """For people."""
        return f"{self.reason} ({self.field}: {self.value!r})" if self.value else self.reason
