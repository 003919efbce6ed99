"""Distinguishes events of bulk writes from those of single writes, and indexes events that are not published."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_bulk_events"
down_revision = "0003_leaderboard"
branch_labels = None
depends_on = None

_WAITING = sa.text("position IS NULL")


def upgrade() -> None:
    """Add the column and the index."""
    op.add_column("product_events", sa.Column("bulk", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_index(
        "product_events_waiting",
        "product_events",
        ["bulk", "id", "product_id"],
        sqlite_where=_WAITING,
        postgresql_where=_WAITING,
    )


def downgrade() -> None:
    """Drop the column and the index."""
    op.drop_index("product_events_waiting", "product_events")
    op.drop_column("product_events", "bulk")
