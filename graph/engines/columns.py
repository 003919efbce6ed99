"""Column types that behave alike on SQLite and PostgreSQL: ids, times, text compared byte by byte."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, DateTime, Float, Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement
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
    """A time read as the text that SQLite stores, without parsing it; `stored_moment` parses it.

    PostgreSQL sends the eight bytes that it stores: the driver's `datetime` and its text would take 2 µs more for each.
    """

    cache_ok = True

    def column_expression(self, column: ColumnElement[Any]) -> ColumnElement[Any]:
        """Select what the engine stores."""
        return _Stored(column)

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:  # noqa: ARG002 - signature
        """Convert PostgreSQL's bytes to SQLite's text."""
        return None if dialect.name == "sqlite" else _written


class _Stored(FunctionElement[Any]):
    """A time as its engine stores it: as text on SQLite, on PostgreSQL as a number of microseconds in eight bytes."""

    inherit_cache = True
    name = "stored"
    type = UtcText()


@compiles(_Stored)
def _as_it_is(element: _Stored, compiler: Any, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(_Stored, "postgresql")
def _in_bytes(element: _Stored, compiler: Any, **options: Any) -> str:
    return f"timestamptz_send({compiler.process(element.clauses, **options)})"


@lru_cache(maxsize=4096)  # whole imports have one time, and what is asked for often is read often
def stored_moment(stored: str) -> datetime:
    """Return the time that SQLite stores as `stored`."""
    return datetime.fromisoformat(f"{stored}+00:00")


def _read(value: str | None) -> datetime | None:
    return None if value is None else stored_moment(value)


_ORIGIN = datetime(2000, 1, 1)  # noqa: DTZ001 - in UTC, as SQLite's text is
"""The time that PostgreSQL counts from."""
_ENDLESS = {(1 << 63) - 1: datetime.max, -1 << 63: datetime.min}  # noqa: DTZ901 - as the driver reads them
"""What PostgreSQL stores for ``infinity`` and ``-infinity``."""


@lru_cache(maxsize=4096)  # as above
def _written(sent: bytes | None) -> str | None:
    if sent is None:
        return None
    since = int.from_bytes(sent, signed=True)
    moment = _ENDLESS.get(since) or _ORIGIN + timedelta(microseconds=since)
    return moment.isoformat(" ", "microseconds")
