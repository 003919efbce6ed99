"""Players, put straight into SQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import insert

from graph.accounts.models import User

if TYPE_CHECKING:
    from graph.engines.database import Database

PLAYERS = 60


async def add_players(database: Database, count: int, first: int = 1) -> None:
    """Users `first` to `first` + `count` - 1."""
    made = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        {
            "id": number,
            "email": f"p{number}@example.com",
            "email_key": f"p{number}@example.com",
            "display_name": f"Player {number}",
            "password_hash": "!",
            "role": "PLAYER",
            "created_at": made,
            "password_changed_at": made,
        }
        for number in range(first, first + count)
    ]
    async with database.transaction() as session:
        await session.execute(insert(User), rows)
