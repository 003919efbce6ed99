"""The schema's own scalars: exact decimals, times in UTC, positions in event streams, files.

Input is parsed strictly: a value that cannot be represented exactly is refused with the reason, never rounded.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.file_uploads import Upload, UploadDefinition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from strawberry.types.scalar import ScalarDefinition

Cursor = NewType("Cursor", str)

_DECIMAL = re.compile(r"-?\d{1,18}(\.\d{1,9})?", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_CURSOR_LENGTH = 200


def _parse_decimal(value: Any) -> Decimal:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        return Decimal(value)
    raise GraphQLError('Decimal must be a string of at most 18 digits and 9 decimals, like "19.99".')


def _print_decimal(value: Decimal) -> str:
    return format(value, "f")


def _parse_moment(value: Any) -> datetime:
    try:
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # the 31st of February, or the year 0 in another zone
        pass
    raise GraphQLError('DateTime must be an RFC 3339 string with a zone, like "2026-01-31T12:00:00Z".')


def _print_moment(value: datetime) -> str:
    """Format all times with the same width, so that strings sort like times."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def _parse_cursor(value: Any) -> Cursor:
    if isinstance(value, str) and len(value) <= _CURSOR_LENGTH:
        return Cursor(value)
    raise GraphQLError("Cursor must be a string that this server issued.")


SCALARS: Mapping[object, ScalarDefinition] = {
    Decimal: strawberry.scalar(
        name="Decimal",
        description='Decimal number as a string, e.g. "19.99". Never a float.',
        specified_by_url="https://www.w3.org/TR/xmlschema-2/#decimal",
        serialize=_print_decimal,
        parse_value=_parse_decimal,
    ),
    datetime: strawberry.scalar(
        name="DateTime",
        description='RFC 3339 date and time in UTC, to the microsecond, e.g. "2026-01-31T12:00:00.000000Z".',
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339",
        serialize=_print_moment,
        parse_value=_parse_moment,
    ),
    Upload: strawberry.scalar(
        name="Upload",
        description="A file. It comes in a form beside the operation, and only so.",
        specified_by_url="https://github.com/jaydenseric/graphql-multipart-request-spec",
        serialize=str,
        parse_value=UploadDefinition.parse_value,
    ),
    Cursor: strawberry.scalar(
        name="Cursor",
        description="Opaque position in an event stream; pass it as `after` to resume.",
        specified_by_url="https://relay.dev/graphql/connections.htm#sec-Cursor",
        serialize=str,
        parse_value=_parse_cursor,
    ),
}
"""For ``StrawberryConfig(scalar_map=…)``."""
