"""One function for a whole object in place of a call for each of its fields, for selections that run again and again.

It is written for an object of which nothing but attributes is selected: leaves, and objects of that kind. It gives what
the closures of `selections` would give, or `MISSED` for an object of which anything is not as expected (another type,
an exception, a value out of range, null where none may be); then the closures do it all, errors included.

A list of rows (`graph.endpoint.declare.Rows`) is completed by one function for all of them, without the objects.

The text names attributes of the schema's classes, and nothing that a client wrote: keys are passed in. It is written
for a selection of at most `MOST` fields that has been executed `OFTEN` times, and Python compiles it once for all
selections of the same shape. So a document that comes once never pays for it.
"""

from __future__ import annotations

from functools import lru_cache
from inspect import getattr_static
from keyword import iskeyword
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from graphql import GraphQLNonNull, GraphQLObjectType, is_leaf_type
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE

from graph.endpoint.execution.compiled.basics import MISSED, PLAIN
from graph.endpoint.execution.compiled.leaves import known_value, plain_type
from graph.endpoint.execution.compiled.values import trusted_type

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graph.endpoint.declare import Rows, RowShape
    from graph.endpoint.execution.compiled.basics import Field

OFTEN = 100
"""Executions after which a selection is written: by then it has cost more than that will."""
MOST = 32
_PATIENCE = 1000
"""Objects that may be missed before the function is given up."""


class ShownAttribute(NamedTuple):
    """One field of an object: its key, and the attribute that it is."""

    key: str
    attribute: str
    type_: Any
    """Without the NonNull around it."""
    nullable: bool
    below: ObjectShape | None


class ObjectShape(NamedTuple):
    """What is selected of objects of one class."""

    class_: type
    checked: bool
    """Whether an object of the class may have been cast to another type."""
    entries: Sequence[ShownAttribute]

    @property
    def size(self) -> int:
        """The number of its fields, those below included."""
        return sum(1 if one.below is None else 1 + one.below.size for one in self.entries)


def shape_of(
    type_: GraphQLObjectType, fields: Sequence[Field], below: Callable[[Any, Any], ObjectShape | None]
) -> ObjectShape | None:
    """The shape of a selection; `below` gives those of the objects in it. None where a closure is needed."""
    class_ = trusted_type(type_)
    if class_ is None or class_.__getattribute__ is not object.__getattribute__ or not fields:
        return None
    entries: list[ShownAttribute] = []
    for field in fields:
        entry = _entry(field, class_, below)
        if entry is None:
            return None
        entries.append(entry)
    shape = ObjectShape(class_, type_.is_type_of is not None, entries)
    return shape if shape.size <= MOST else None


def _entry(field: Field, class_: type, below: Callable[[Any, Any], ObjectShape | None]) -> ShownAttribute | None:
    if field.name == "__typename" or (attribute := field.variant.resolvers.attribute(field)) is None:
        return None
    kind = cast("type[Any]", type(getattr_static(class_, attribute, None)))
    if not attribute.isidentifier() or not attribute.isascii() or iskeyword(attribute):
        return None  # it cannot be written, or would be read as another: Python normalises names of other letters
    if hasattr(kind, "__get__") and kind is not MemberDescriptorType:
        return None  # a property may do more than give a value, and would be asked again for an object that is missed
    type_ = field.definition.type
    nullable = not isinstance(type_, GraphQLNonNull)
    if not nullable:
        type_ = cast("Any", type_).of_type
    if isinstance(type_, GraphQLObjectType):
        inner = below(type_, field.details)
        return None if inner is None else ShownAttribute(field.key, attribute, type_, nullable, inner)
    return ShownAttribute(field.key, attribute, type_, nullable, None) if is_leaf_type(type_) else None


class WrittenSelection:
    """What is selected of an object, by one function once that is worth it."""

    __slots__ = ("_missed", "_often", "_shape", "read")

    def __init__(self, shape: ObjectShape, often: int) -> None:
        """Write the function for `shape` when it has been executed `often` times."""
        self._shape = shape
        self._often = often
        self._missed = 0
        self.read: Callable[[Any], Any] = _nothing if often else _function(shape)
        """Gives the completed object, or `MISSED`; then call `miss`."""

    def miss(self) -> None:
        """Count an object that was left to the closures."""
        self._missed += 1
        if self._missed == self._often:
            self.read = _function(self._shape)
        elif self._missed == self._often + _PATIENCE:
            self.read = _nothing


class WrittenRows:
    """What is selected of the rows of a list, by one function once that is worth it."""

    __slots__ = ("_often", "_seen", "_shape", "_written")

    def __init__(self, shape: ObjectShape, often: int) -> None:
        """Write the function for objects of `shape` when as many rows have come."""
        self._shape = shape
        self._often = often
        self._seen = 0
        self._written: tuple[RowShape[Any] | None, Callable[[Any], Any]] = None, _nothing

    def read(self, rows: Rows[Any]) -> Any:
        """The completed list, or `MISSED`: then its objects have to be made."""
        if self._seen < self._often:
            self._seen += len(rows.rows)
            return MISSED
        of, read = self._written
        if of is not rows.shape:
            read = _rows_function(self._shape, rows.shape) or _nothing
            self._written = rows.shape, read
        return read(rows.rows)


def _nothing(_: Any) -> Any:
    return MISSED


def _rows_function(shape: ObjectShape, rows: RowShape[Any]) -> Callable[[Any], Any] | None:
    """What completes a list of `rows`; None where an attribute can be had of an object only."""
    if rows.type_ is not shape.class_ or any(rows.source(one.attribute) is None for one in shape.entries):
        return None
    writer = _Writer()

    def column(attribute: str) -> str:
        how, places = rows.source(attribute) or (None, ())
        values = ", ".join(f"row[{place}]" for place in places)
        return values if how is None else f"{writer.constant(how)}({values})"

    result = writer.entries(shape, column, "          ")
    loop = ["        results = []", "        for row in source:"]
    return writer.function([*loop, *writer.lines, f"          results.append({result})"], "results")


def _function(shape: ObjectShape) -> Callable[[Any], Any]:
    writer = _Writer()
    result = writer.object(shape, "source", "        ")
    return writer.function(writer.lines, result)


@lru_cache(maxsize=256)
def _compiled(text: str) -> Callable[[Sequence[Any]], Callable[[Any], Any]]:
    names: dict[str, Any] = {"MISSED": MISSED, "PLAIN": PLAIN, "CAST": TYPE_CAST_ATTRIBUTE}
    exec(compile(text, "<selection>", "exec"), names)  # noqa: S102 - the text is made of the schema's names and numbers
    return names["make"]


class _Writer:
    """The text of a function, and the constants that it needs."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: list[Any] = []
        self._values = 0

    def constant(self, value: Any) -> str:
        """The name of a constant."""
        self.constants.append(value)
        return f"c{len(self.constants) - 1}"

    def function(self, body: Sequence[str], result: str) -> Callable[[Any], Any]:
        """The function of `source` that does `body` and returns `result`."""
        names = ", ".join(f"c{place}" for place in range(len(self.constants)))
        lines = [
            "def make(constants):",
            f"    {names}, = constants",
            "    def read(source):",
            "      try:",
            *body,
            f"        return {result}",
            "      except Exception:",
            "        return MISSED",
            "    return read",
        ]
        return _compiled("\n".join(lines))(self.constants)

    def object(self, shape: ObjectShape, source: str, indent: str) -> str:
        """Write how an object's fields are read; return the expression for the result."""
        cast_away = f" or getattr({source}, CAST, None) is not None" if shape.checked else ""
        self._unless(f"type({source}) is not {self.constant(shape.class_)}{cast_away}", indent)
        return self.entries(shape, lambda attribute: f"{source}.{attribute}", indent)

    def entries(self, shape: ObjectShape, attribute: Callable[[str], str], indent: str) -> str:
        """Write the same for an object whose attributes are told by expressions."""
        parts: list[str] = []
        for entry in shape.entries:
            self._values += 1
            value = f"v{self._values}"
            self.lines.append(f"{indent}{value} = {attribute(entry.attribute)}")
            inner = indent
            if entry.nullable:
                self.lines.append(f"{indent}if {value} is not None:")
                inner += "  "
            if entry.below is not None:
                self.lines.append(f"{inner}{value} = {self.object(entry.below, value, inner)}")
            else:
                self._leaf(entry.type_, value, inner)
            parts.append(f"{self.constant(entry.key)}: {value}")
        return "{" + ", ".join(parts) + "}"

    def _unless(self, condition: str, indent: str) -> None:
        self.lines.append(f"{indent}if {condition}: return MISSED")

    def _leaf(self, type_: Any, value: str, indent: str) -> None:
        plain, known = plain_type(type_), known_value(type_)
        if plain is not None:
            self._unless(f"type({value}) is not {plain.__name__}", indent)
        elif known is not None:
            self.lines.append(f"{indent}{value} = {self.constant(known)}({value})")
            self._unless(f"{value} is None", indent)
        else:
            self._unless(f"{value} is None or type({value}) not in PLAIN", indent)
            self.lines.append(f"{indent}{value} = {self.constant(type_.coerce_output_value)}({value})")
            self._unless(f"type({value}) is not str", indent)
