"""The table of API keys; `graph/engines/migrations/versions/0008_api_keys.py` creates it.

`digest` is the SHA-256 of the whole key, which consists of the key's principal (`graph.apikeys.keys.principal`) and 256
random bits, so a slow hash would not add protection. A revoked key keeps its row.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import Table, Text
from sqlmodel import Field, SQLModel

from graph.engines.columns import Id, UtcDateTime


class ApiKey(SQLModel, table=True):
    """A key, and when it was last used, accurate to a day at least."""

    __tablename__ = "api_keys"  # pyright: ignore[reportAssignmentType] - declared for declared_attr only
    __table_args__: ClassVar[dict[str, bool]] = {"sqlite_autoincrement": True}

    id: int | None = Field(default=None, primary_key=True, sa_type=Id)
    name: str = Field(max_length=100)
    digest: str = Field(max_length=64, unique=True)
    scopes: str = Field(sa_type=Text)
    operations: int
    created_by: int = Field(sa_type=Id)
    created_at: datetime = Field(sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


KEYS: Table = SQLModel.metadata.tables["api_keys"]
