"""Column types that behave alike on SQLite and PostgreSQL: ids, times, text compared byte by byte."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, DateTime, Float, Integer, Text
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import Dialect

Id = BigInteger().with_variant(Integer(), "sqlite")
"""The id of a row. SQLite assigns ids only to a column of the type INTEGER."""
Bytes = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that is compared byte by byte, which is SQLite's default."""
Double = Float(53)
"""A double (IEEE 754), like the scores of Redis."""


class UtcDateTime(TypeDecorator[datetime]):
    """A time, always aware and in UTC in Python; SQLite stores it as text that sorts by time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - signature
        """Refuse a time without a zone, which would mean a different time on each machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time needs a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - signature
        """Add the zone UTC, which SQLite does not store."""
        return None if value is None else value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        """Do the same in one step if the time comes as text."""
        return _read if dialect.name == "sqlite" else super().result_processor(dialect, coltype)


class UtcText(UtcDateTime):
    """A time read as the text that SQLite stores, without parsing it; `stored_moment` parses it."""

    cache_ok = True

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002 - signature
        """Convert a time to SQLite's text if the driver does not return that."""
        return None if dialect.name == "sqlite" else _written


@lru_cache(maxsize=4096)  # whole imports have one time, and what is asked for often is read often
def stored_moment(stored: str) -> datetime:
    """Return the time that SQLite stores as `stored`."""
    return datetime.fromisoformat(f"{stored}+00:00")


def _read(value: str | None) -> datetime | None:
    return None if value is None else stored_moment(value)


def _written(value: datetime | None) -> str | None:
    return None if value is None else value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
