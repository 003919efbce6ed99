"""The tables of users and of ended sessions; the migrations 0002_accounts and 0006_session_revocation create them.

`email` is stored as its owner wrote it; the unique `email_key` is equal for spellings of the same address
(`rules.email_key`). `role` is one of `graph.accounts.records.Role`. A user with `deleted_at` is gone: the row remains
for what refers to it, without anything that says who it was.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, Index, Table, Text
from sqlmodel import Field, SQLModel

from graph.engines.columns import Id, UtcDateTime


class User(SQLModel, table=True):
    """A user who can sign in. Ids are never reused, so an old token cannot belong to a new user."""

    __tablename__ = "users"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only; `user` is reserved
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    email: str = Field(sa_type=Text)
    email_key: str = Field(sa_type=Text, unique=True)
    display_name: str = Field(max_length=64)
    password_hash: str = Field(sa_type=Text)
    role: str = Field(max_length=16)
    created_at: datetime = Field(sa_type=UtcDateTime)
    password_changed_at: datetime = Field(sa_type=UtcDateTime)
    email_confirmed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    deleted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SessionRevocation(SQLModel, table=True):
    """Sessions that ended in the last hours, in case Redis loses that: see `graph.accounts.ledger`."""

    __tablename__ = "session_revocation"  # pyright: ignore[reportAssignmentType] - as above
    __table_args__ = (Index("session_revocation_by_time", "made_at"),)

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    user_id: str = Field(max_length=64)
    epoch: int = Field(sa_type=BigInteger)
    everything: bool
    spared: str = Field(max_length=64)
    digests: str = Field(sa_type=Text)
    made_at: datetime = Field(sa_type=UtcDateTime)


# The same tables for statements that use columns rather than objects.
USERS: Table = SQLModel.metadata.tables["users"]
REVOCATIONS: Table = SQLModel.metadata.tables["session_revocation"]
