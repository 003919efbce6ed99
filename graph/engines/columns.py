"""Column types that mean the same on SQLite and on PostgreSQL: a row's number, moments, text compared byte by byte."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, DateTime, Float, Integer, Text
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect

Id = BigInteger().with_variant(Integer(), "sqlite")
"""The number of a row. SQLite gives numbers by itself only to a column of the type INTEGER."""
Bytes = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared byte by byte, as SQLite does by itself."""
Double = Float(53)
"""A double (IEEE 754), as Redis keeps a score."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always aware and always UTC in Python; SQLite stores it as text that sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - signature
        """Refuse a moment without a zone, which would mean something else on every machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - signature
        """Say again that it is UTC, which SQLite does not store."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """The same in one step where the moment comes as text."""
        return _read if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


class UtcText(UtcDateTime):
    """A moment read as the text that SQLite stores, for who passes it on; `stored_moment` reads it."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002 - signature
        """Write it as SQLite does where it does not come so."""
        return None if dialect.name == "sqlite" else _written


def stored_moment(stored: str) -> datetime:
    """The moment that SQLite stores as `stored`."""
    return datetime.fromisoformat(f"{stored}+00:00")


def _read(value: str | None) -> datetime | None:
    return None if value is None else stored_moment(value)


def _written(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
