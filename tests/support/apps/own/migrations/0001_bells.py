"""The bells."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_bells"
down_revision = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "bells",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("owner", sa.BigInteger(), sa.ForeignKey("users.id"), nullable=True),
    )
