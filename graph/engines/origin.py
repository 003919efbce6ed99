"""The mark of a database, in its table `keyspace` (`graph.patterns.keyspace.Origin`).

A single row has the identity, the pulse, and the `KEPT` pulses before that: more than a Redis misses that lost its last
minutes. Pulses are given in turn, whoever gives them: each compares the row with what it has seen.

Failure: `OriginAway` while the database is away, or has not been migrated.
"""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING

from sqlalchemy import Column, Integer, String, Table, Text, select, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from graph.engines.upsert import upsert
from graph.errors import Unavailable
from graph.patterns.keyspace import Mark, OriginAway

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator

    from graph.engines.database import Database

KEPT = 64

KEYSPACE = Table(
    "keyspace",
    SQLModel.metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("identity", String(32), nullable=False),
    Column("pulse", String(16), nullable=False),
    Column("before", Text, nullable=False),
)
_READ = select(KEYSPACE.c.identity, KEYSPACE.c.pulse, KEYSPACE.c.before)


class DatabaseOrigin:
    """Keeps the mark of `database`."""

    def __init__(self, database: Database, *, on_rewound: Callable[[], Awaitable[None]]) -> None:
        """Have `on_rewound` called before Redis is emptied for a database that knows less than it."""
        self._database = database
        self._on_rewound = on_rewound

    async def read(self) -> Mark:
        """Return the mark, made if there is none."""
        with _away():
            found = await self._database.execute(_READ)
            if not found:
                first = {"id": 1, "identity": secrets.token_hex(16), "pulse": secrets.token_hex(8), "before": ""}
                async with self._database.transaction() as session:
                    insert = upsert(self._database.dialect)(KEYSPACE).values(first)
                    await session.execute(insert.on_conflict_do_nothing(index_elements=["id"]))
                found = await self._database.execute(_READ)
            row = found[0]
            return Mark(row.identity, row.pulse, tuple(row.before.split()))

    async def renew(self, seen: Mark) -> Mark:
        """Give the database another pulse, unless somebody else has since it had that of `seen`."""
        before = " ".join((seen.pulse, *seen.before)[:KEPT])
        chosen = update(KEYSPACE).where(KEYSPACE.c.identity == seen.identity, KEYSPACE.c.pulse == seen.pulse)
        with _away():
            async with self._database.transaction() as session:
                await session.execute(chosen.values(pulse=secrets.token_hex(8), before=before))
        return await self.read()

    async def rewound(self) -> None:
        """Have what numbers events begin anew: the numbers of those after the backup are given out again."""
        with _away():
            await self._on_rewound()


@contextlib.contextmanager
def _away() -> Generator[None]:
    try:
        yield
    except (Unavailable, DBAPIError) as error:
        raise OriginAway(str(getattr(error, "orig", error))) from error
