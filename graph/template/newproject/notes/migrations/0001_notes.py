"""The table of notes. The next file of this folder says ``down_revision = "0001_notes"``."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001_notes"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the table."""
    op.create_table("notes", sa.Column("id", ID, primary_key=True), sa.Column("text", sa.Text(), nullable=False))
