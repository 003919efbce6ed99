"""What an import keeps on disk while it reads a file: the skus seen, and the parents of variants."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable


class Shelf:
    """A temporary database, deleted when it is closed."""

    def __init__(self) -> None:
        # A database without a name is a temporary file that SQLite deletes.
        self._rows = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._rows.execute("PRAGMA journal_mode = OFF")
        self._rows.execute("PRAGMA cache_size = -4000")
        self._rows.execute("CREATE TABLE seen (sku TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID")
        self._rows.execute("CREATE TABLE kept (name TEXT PRIMARY KEY, told TEXT, family INTEGER) WITHOUT ROWID")
        self._rows.execute("CREATE TABLE family (id INTEGER PRIMARY KEY, label TEXT, line INTEGER, used INTEGER)")

    def close(self) -> None:
        """Close and delete it."""
        self._rows.close()

    # --- parents ---

    def family(self, label: str, line: int) -> int:
        """Begin a family of variants; returns its number."""
        added = self._rows.execute("INSERT INTO family (label, line, used) VALUES (?, ?, 0)", (label, line))
        return int(added.lastrowid or 0)

    def put(self, name: str, told: dict[str, Any], family: int) -> None:
        """Store the values of a parent; the first ones under a name count."""
        self._rows.execute("INSERT OR IGNORE INTO kept VALUES (?, ?, ?)", (name, json.dumps(told, default=str), family))

    def get(self, name: str) -> dict[str, Any] | None:
        """Return what was stored under `name`, and mark its family as used."""
        found = self._rows.execute("SELECT told, family FROM kept WHERE name = ?", (name,)).fetchone()
        if found is None:
            return None
        self._rows.execute("UPDATE family SET used = 1 WHERE id = ? AND used = 0", (found[1],))
        told: dict[str, Any] = json.loads(found[0])
        return told

    def unused(self) -> Iterable[tuple[str, int]]:
        """Yield labels and lines of the families of which nothing was used."""
        yield from self._rows.execute("SELECT label, line FROM family WHERE used = 0 ORDER BY id")

    # --- skus ---

    def first_lines(self, skus: list[str]) -> dict[str, int]:
        """Return the lines on which those of the skus were that have been seen before."""
        marks = ", ".join("?" * len(skus))
        return dict(self._rows.execute(f"SELECT sku, line FROM seen WHERE sku IN ({marks})", skus))  # noqa: S608 - only question marks

    def saw(self, skus: Iterable[tuple[str, int]]) -> None:
        """Store skus and their lines."""
        self._rows.executemany("INSERT INTO seen VALUES (?, ?)", skus)
