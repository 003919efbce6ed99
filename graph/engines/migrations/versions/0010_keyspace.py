"""The database knows itself, so that a Redis filled from another one is noticed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_keyspace"
down_revision = "0009_email_confirmed"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table; its row is made when the database is first used: a copy of an unused one is another one."""
    op.create_table(
        "keyspace",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("identity", sa.String(32), nullable=False),
        sa.Column("pulse", sa.String(16), nullable=False),
        sa.Column("before", sa.Text(), nullable=False),
    )


def downgrade() -> None:
    """Drop it."""
    op.drop_table("keyspace")
