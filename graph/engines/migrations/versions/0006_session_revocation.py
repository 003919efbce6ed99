"""Adds the table of ended sessions, for a Redis that loses them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_session_revocation"
down_revision = "0005_product_details"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "session_revocation",
        sa.Column("id", ID, primary_key=True),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("everything", sa.Boolean(), nullable=False),
        sa.Column("spared", sa.String(64), nullable=False),
        sa.Column("digests", sa.Text(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("session_revocation_by_time", "session_revocation", ["made_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("session_revocation")
