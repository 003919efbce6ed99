"""The tables of the leaderboards; `graph/engines/migrations/versions/0003_leaderboard.py`, 0007 and 0011 create them.

Scores rank by merit (`graph.patterns.ranking.Order.merit`): the score itself, or its negative on a board where low
scores are better. The columns `score` of `scores` and of `archive` hold the merit, so that one index serves both kinds
of boards; everywhere else a score is what the player sent. A removed score keeps its row, with `REMOVED` as its merit,
so that the version continues and the index in Redis gets the removal like any other change.

Times within a season are whole microseconds since 1970, so that equal scores are ordered alike in SQL and in Redis.
`Score.version` grows with every change of a row and is also a time (that of the change, or one more than the version
before), so that it can be used to find what changed since a given time. `Score.former` is the score that the last write
replaced. Players are users, known here only by id.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, Column, Index, Table, TableClause, Text, UniqueConstraint, column, table
from sqlmodel import Field, SQLModel

from graph.engines.columns import Double, Id, UtcDateTime

REMOVED = -math.inf
"""The merit of a removed score: below all others, which are finite."""


class Board(SQLModel, table=True):
    """A leaderboard.

    Its properties never change. `anchor_number` is the season that began at `anchored_at` (microseconds since 1970),
    from which later ones are counted by the schedule; null for the first season, which began with the board. A board
    with `deleted_at` is gone for all users, has released its slug, and waits for its rows to be deleted.
    """

    __tablename__ = "boards"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    slug: str = Field(max_length=64, unique=True)
    name: str = Field(max_length=200)
    operator: str = Field(max_length=16)
    ties: str = Field(max_length=16)
    schedule: str = Field(max_length=16)
    created_at: datetime = Field(sa_type=UtcDateTime)
    score_order: str = Field(default="DESCENDING", max_length=16)
    cron: str | None = Field(default=None, max_length=100)
    anchored_at: int | None = Field(default=None, sa_type=BigInteger)
    anchor_number: int | None = Field(default=None)
    deleted_at: int | None = Field(default=None, sa_type=BigInteger)


class Season(SQLModel, table=True):
    """A season that somebody played in or looked at.

    OPEN accepts scores; CLOSING is being archived by the process whose token is `closer`, until `closer_until`; CLOSED
    is read from the archive; ARCHIVED has no rows in `scores` any more.
    """

    __tablename__ = "seasons"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only
    __table_args__ = (UniqueConstraint("board_id", "number"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    board_id: int = Field(foreign_key="boards.id", sa_type=Id)
    number: int
    starts_at: int = Field(sa_type=BigInteger)
    ends_at: int | None = Field(default=None, sa_type=BigInteger)
    state: str = Field(max_length=8)
    size: int | None = Field(default=None, sa_type=BigInteger)
    closer: str | None = Field(default=None, max_length=32)
    closer_until: int | None = Field(default=None, sa_type=BigInteger)


class Score(SQLModel, table=True):
    """A player's score in a season."""

    __tablename__ = "scores"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only
    __table_args__ = (Index("scores_by_version", "season_id", "version"),)

    season_id: int = Field(primary_key=True, foreign_key="seasons.id", sa_type=Id)
    player_id: int = Field(primary_key=True, foreign_key="users.id", sa_type=Id)
    score: float = Field(sa_type=Double)
    achieved_at: int = Field(sa_type=BigInteger)
    version: int = Field(sa_type=BigInteger)
    former: float | None = Field(default=None, sa_type=Double)
    metadata_: str | None = Field(default=None, sa_column=Column("metadata", Text))


class KeyedSubmission(SQLModel, table=True):
    """A submission with a key, and its answer; `settled` once the answer is complete."""

    __tablename__ = "submissions"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only
    __table_args__ = (Index("submissions_by_time", "created_at"),)

    board_id: int = Field(primary_key=True, foreign_key="boards.id", sa_type=Id)
    player_id: int = Field(primary_key=True, foreign_key="users.id", sa_type=Id)
    key: str = Field(primary_key=True, max_length=100)
    season: int
    score: float = Field(sa_type=Double)
    improved: bool
    settled: bool
    rank: int | None = Field(default=None, sa_type=BigInteger)
    previous_rank: int | None = Field(default=None, sa_type=BigInteger)
    created_at: int = Field(sa_type=BigInteger)


class ArchiveEntry(SQLModel, table=True):
    """An entry of a finished season. Its position and rank do not change any more, even if others are removed."""

    __tablename__ = "archive"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only
    __table_args__ = (UniqueConstraint("season_id", "player_id"),)

    season_id: int = Field(primary_key=True, foreign_key="seasons.id", sa_type=Id)
    position: int = Field(primary_key=True, sa_type=Id)
    player_id: int = Field(foreign_key="users.id", sa_type=Id)
    rank: int = Field(sa_type=BigInteger)
    score: float = Field(sa_type=Double)
    achieved_at: int = Field(sa_type=BigInteger)
    metadata_: str | None = Field(default=None, sa_column=Column("metadata", Text))


class Departure(SQLModel, table=True):
    """A deleted user whose scores are still to be removed: see `graph.leaderboard.seasons.departures`."""

    __tablename__ = "departures"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only

    player_id: int = Field(primary_key=True, foreign_key="users.id", sa_type=Id)


# The tables for statements that use columns rather than objects.
BOARDS: Table = SQLModel.metadata.tables["boards"]
SEASONS: Table = SQLModel.metadata.tables["seasons"]
SCORES: Table = SQLModel.metadata.tables["scores"]
SUBMISSIONS: Table = SQLModel.metadata.tables["submissions"]
ARCHIVE: Table = SQLModel.metadata.tables["archive"]
DEPARTURES: Table = SQLModel.metadata.tables["departures"]
PLAYERS: TableClause = table("users", column("id", BigInteger), column("deleted_at", UtcDateTime))

Index("scores_by_place", SCORES.c.season_id, SCORES.c.score.desc(), SCORES.c.achieved_at, SCORES.c.player_id)
