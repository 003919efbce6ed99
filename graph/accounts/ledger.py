"""A record in SQL of ended sessions, for a Redis that loses them (`graph.patterns.sessions.Ledger`).

Ending a session writes a row here before it is acknowledged; rows are kept for `KEPT`. A process that connects to a
Redis server for the first time applies all of them. So an ended session stays ended whatever the server has lost, as
long as the data it comes back with is less than `KEPT` old (`graph.patterns.keyspace` deals with older data).

Failure: `record` raises `graph.errors.Unavailable` while the database is away; the session may have ended all the same.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select

from graph.accounts.models import REVOCATIONS
from graph.patterns.sessions import Revocation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graph.engines.database import Database

KEPT = timedelta(hours=2)

_READ = select(*(REVOCATIONS.c[name] for name in ("user_id", "epoch", "digests", "everything", "spared"))).order_by(
    REVOCATIONS.c.id
)


class RevocationLedger:
    """Stores revocations in the table `session_revocation`."""

    def __init__(self, database: Database) -> None:
        """Use the table in `database`."""
        self._database = database

    async def record(self, revocation: Revocation) -> None:
        """Store a revocation, and delete those older than `KEPT`."""
        now = datetime.now(UTC)
        row = {
            "user_id": revocation.user_id,
            "epoch": revocation.epoch,
            "everything": revocation.everything,
            "spared": revocation.spared,
            "digests": " ".join(revocation.digests),
            "made_at": now,
        }
        async with self._database.transaction() as session:
            await session.execute(insert(REVOCATIONS), row)
            await session.execute(delete(REVOCATIONS).where(REVOCATIONS.c.made_at < now - KEPT))

    async def recent(self) -> Sequence[Revocation]:
        """Return all stored revocations."""
        return [
            Revocation(row.user_id, row.epoch, tuple(row.digests.split()), bool(row.everything), row.spared)
            for row in await self._database.execute(_READ)
        ]
