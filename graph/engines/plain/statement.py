"""What SQLAlchemy says of a statement, once: its text, its values in order, what is done to values on their way."""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from sqlalchemy import Float, Select

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy.engine.interfaces import Dialect

T = TypeVar("T")


class NotPlain(Exception):
    """Only SQLAlchemy knows how the statement is executed."""


def padded(items: Sequence[T]) -> list[T]:
    """`items`, of which there is one at least, and the last of them again and again, up to a power of two.

    So that a statement with a parameter for each of them has few texts, of which each is prepared once.
    """
    return [*items, *[items[-1]] * ((1 << (len(items) - 1).bit_length()) - len(items))]


class _Parameter(NamedTuple):
    """What a place in the text gets: the value of this name, or else `default`."""

    name: str
    default: Any
    required: bool
    process: Callable[[Any], Any] | None


class _Unsaid:
    """Stands for the type that the database says a column has, which is known once it was read."""

    def __eq__(self, other: object) -> bool:
        raise NotPlain

    __hash__ = cast("Any", __eq__)


class PlainStatement:
    """A statement as the driver takes it: a SELECT, or one that changes rows."""

    __slots__ = ("_parameters", "_processors", "_row", "text")

    def __init__(self, statement: Any, compiled: Any, dialect: Dialect) -> None:
        """Keep what `compiled`, which was made of `statement`, says of it; raises `NotPlain`."""
        self.text = str(compiled)
        binds = compiled.binds
        reads = isinstance(statement, Select)
        columns: Any = statement.selected_columns if reads else statement.exported_columns
        if (
            compiled.post_compile_params
            or compiled.literal_execute_params
            or getattr(compiled, "insert_prefetch", ())  # values that SQLAlchemy itself would think of
            or getattr(compiled, "update_prefetch", ())
            or any(bind.callable is not None for bind in binds.values())
            or (reads and len(cast("Any", statement).column_descriptions) != len(columns))
        ):
            raise NotPlain
        self._parameters = tuple(
            _Parameter(name, binds[name].value, binds[name].required, _inwards(binds[name], dialect))
            for name in compiled.positiontup or ()
        )
        outwards = [_outwards(column, dialect) for column in columns]
        self._row: Any = cast("Any", namedtuple)("Row", columns.keys(), rename=True)  # noqa: PYI024 - no types are known
        self._processors = [(place, one) for place, one in enumerate(outwards) if one is not None]

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        """The values in the order of the text; raises `KeyError` for one that is missing."""
        values: list[Any] = []
        for name, default, required, process in self._parameters:
            value = given[name] if required or name in given else default
            values.append(value if process is None else process(value))
        return values

    def rows(self, found: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
        """The rows that the driver `found`, with the values that their columns are declared to have."""
        if not self._processors:
            return found
        rows = [list(row) for row in found]
        for place, process in self._processors:
            for row in rows:
                row[place] = process(row[place])
        return rows

    def named(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        """The same rows, with the names of their columns."""
        return list(map(self._row._make, self.rows(found)))


def _inwards(bind: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    return bind.type.dialect_impl(dialect).bind_processor(dialect)


def _outwards(column: Any, dialect: Dialect) -> Callable[[Any], Any] | None:
    kind = column.type
    try:
        return kind.dialect_impl(dialect).result_processor(dialect, _Unsaid())
    except NotPlain:
        if isinstance(kind, Float) and not kind.asdecimal:  # it is one, whatever the database says that it is
            return _float
        raise


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
