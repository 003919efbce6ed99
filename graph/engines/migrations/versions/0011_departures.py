"""Records which users are deleted, and whose scores are still to be removed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011_departures"
down_revision = "0010_keyspace"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DELETED = "password_hash = '!' AND email LIKE '%@deleted.invalid'"


def upgrade() -> None:
    """Add the column and the table; who is deleted already is known by the password that nobody can have."""
    op.add_column("users", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(f"UPDATE users SET deleted_at = CURRENT_TIMESTAMP WHERE {DELETED}")  # noqa: S608 - a constant
    op.create_table("departures", sa.Column("player_id", ID, sa.ForeignKey("users.id"), primary_key=True))


def downgrade() -> None:
    """Drop them."""
    op.drop_table("departures")
    op.drop_column("users", "deleted_at")
