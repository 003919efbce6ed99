"""Reads the URL of an SQL database: which engine it names, and whether its options make sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url

from graph.engines import postgres
from graph.errors import BadDatabaseUrl

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}


def async_url(url: str) -> URL:
    """Parse `url` and add the driver if it names only the engine; raises `BadDatabaseUrl`."""
    parsed = make_url(url)
    engine = parsed.drivername.partition("+")[0]
    if engine not in _DRIVERS:
        raise BadDatabaseUrl(f"{parsed.drivername}: only sqlite and postgresql databases are supported")
    if engine == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise BadDatabaseUrl("an SQLite database needs a file: one in memory is not shared by its connections")
    if engine != "sqlite":
        postgres.options(parsed)
    return parsed.set(drivername=_DRIVERS[engine])
