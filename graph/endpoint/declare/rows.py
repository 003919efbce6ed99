"""Lists of objects that are made only if they are asked for.

A resolver that has rows, from SQL or a cache, and returns `Rows` in place of a list of objects, lets a compiled
operation write what a client selected straight from the rows, where nothing but attributes is selected: no object is
made. Everything else (resolvers below, another executor, an index) finds the objects, made of the rows by then.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class RowShape(Generic[T]):
    """How objects of one type are made of rows, and their attributes without them."""

    __slots__ = ("_made", "_make", "_places", "type_")

    def __init__(
        self,
        type_: type[T],
        make: Callable[[Any], T],
        columns: Sequence[str],
        *,
        plain: Sequence[str],
        made: Mapping[str, tuple[Callable[..., Any], *tuple[str, ...]]],
    ) -> None:
        """`make` an object of the Strawberry type `type_` of a row, which has these `columns` in this order.

        Attributes of the names `plain` are the columns of these names. What is `made` is what a function returns for
        the values of the columns that are named after it; it may be called again for the same row.
        """
        self.type_ = type_
        self._make = make
        self._places = {name: columns.index(name) for name in plain}
        self._made = {name: (how, [columns.index(one) for one in of]) for name, (how, *of) in made.items()}

    def make(self, row: Any) -> T:
        """The object that `row` shows."""
        return self._make(row)

    def source(self, attribute: str) -> tuple[Callable[..., Any] | None, Sequence[int]] | None:
        """What gives an attribute: a function, or None, and the places of its values; None if only an object does."""
        if attribute in self._made:
            return self._made[attribute]
        return (None, (self._places[attribute],)) if attribute in self._places else None


class Rows(Sequence[T]):
    """A list of objects, as rows."""

    __slots__ = ("_objects", "rows", "shape")

    def __init__(self, shape: RowShape[T], rows: Sequence[Any]) -> None:
        """Show `rows`, which do not change any more, in the `shape` of a type."""
        self.shape = shape
        self.rows = rows
        self._objects: list[T] | None = None

    def objects(self) -> list[T]:
        """The objects, which are made once."""
        if self._objects is None:
            self._objects = list(map(self.shape.make, self.rows))
        return self._objects

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[T]:
        return iter(self.objects())  # a sequence's own way takes an IndexError, of a row too short, for the end

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self.objects()[index]
