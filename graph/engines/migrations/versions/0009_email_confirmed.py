"""Records when users confirmed their email addresses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_email_confirmed"
down_revision = "0008_api_keys"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("users", sa.Column("email_confirmed_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("users", "email_confirmed_at")
