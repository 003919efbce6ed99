"""Lets boards rank low scores first, end seasons by a cron line or early, and be deleted; scores get metadata."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007_boards"
down_revision = "0006_session_revocation"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    op.add_column("boards", sa.Column("score_order", sa.String(16), server_default="DESCENDING", nullable=False))
    op.add_column("boards", sa.Column("cron", sa.String(100), nullable=True))
    op.add_column("boards", sa.Column("anchored_at", sa.BigInteger(), nullable=True))
    op.add_column("boards", sa.Column("anchor_number", sa.Integer(), nullable=True))
    op.add_column("boards", sa.Column("deleted_at", sa.BigInteger(), nullable=True))
    for table in ("scores", "archive"):
        op.add_column(table, sa.Column("metadata", sa.Text(), nullable=True))


def downgrade() -> None:
    """Drop the columns."""
    for table in ("scores", "archive"):
        op.drop_column(table, "metadata")
    for name in ("score_order", "cron", "anchored_at", "anchor_number", "deleted_at"):
        op.drop_column("boards", name)
