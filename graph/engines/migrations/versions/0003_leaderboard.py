"""The leaderboards: boards, seasons, scores, answered submissions, the archive of finished seasons."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_leaderboard"
down_revision = "0002_accounts"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DOUBLE = sa.Float(53)
MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "boards",
        sa.Column("id", ID, primary_key=True),
        sa.Column("slug", sa.String(64), nullable=False, unique=True),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("operator", sa.String(16), nullable=False),
        sa.Column("ties", sa.String(16), nullable=False),
        sa.Column("schedule", sa.String(16), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "seasons",
        sa.Column("id", ID, primary_key=True),
        sa.Column("board_id", ID, sa.ForeignKey("boards.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("starts_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("closer", sa.String(32), nullable=True),
        sa.Column("closer_until", sa.BigInteger(), nullable=True),
        sa.UniqueConstraint("board_id", "number"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "scores",
        sa.Column("season_id", ID, sa.ForeignKey("seasons.id"), primary_key=True),
        sa.Column("player_id", ID, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("score", DOUBLE, nullable=False),
        sa.Column("achieved_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("former", DOUBLE, nullable=True),
    )
    op.create_index("scores_by_version", "scores", ["season_id", "version"])
    op.create_index("scores_by_place", "scores", ["season_id", sa.text("score DESC"), "achieved_at", "player_id"])
    op.create_table(
        "submissions",
        sa.Column("board_id", ID, sa.ForeignKey("boards.id"), primary_key=True),
        sa.Column("player_id", ID, sa.ForeignKey("users.id"), primary_key=True),
        sa.Column("key", sa.String(100), primary_key=True),
        sa.Column("season", sa.Integer(), nullable=False),
        sa.Column("score", DOUBLE, nullable=False),
        sa.Column("improved", sa.Boolean(), nullable=False),
        sa.Column("settled", sa.Boolean(), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=True),
        sa.Column("previous_rank", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )
    op.create_index("submissions_by_time", "submissions", ["created_at"])
    op.create_table(
        "archive",
        sa.Column("season_id", ID, sa.ForeignKey("seasons.id"), primary_key=True),
        sa.Column("position", ID, primary_key=True),
        sa.Column("player_id", ID, sa.ForeignKey("users.id"), nullable=False),
        sa.Column("rank", sa.BigInteger(), nullable=False),
        sa.Column("score", DOUBLE, nullable=False),
        sa.Column("achieved_at", sa.BigInteger(), nullable=False),
        sa.UniqueConstraint("season_id", "player_id"),
    )


def downgrade() -> None:
    """Drop the tables."""
    for table in ("archive", "submissions", "scores", "seasons", "boards"):
        op.drop_table(table)
