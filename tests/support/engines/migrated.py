"""An SQLite database with every table and nothing in it, without the time that the migrations take."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from graph.engines.database import migrate
from graph.settings import sqlite_url
from harness.postgres import run_apart


@cache
def _tables() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "template.db"
        run_apart(lambda: migrate(sqlite_url(path)))
        return path.read_bytes()


def migrated(path: Path) -> None:
    """Write the database to `path`; the migrations run once in each process of the tests."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_tables())
