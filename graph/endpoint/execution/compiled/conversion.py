"""Converts arguments from GraphQL to Python: Strawberry's `convert_arguments`, worked out once per field.

The cases compiled here are those whose outcome depends on nothing but the value: leaves, lists of leaves, input types
that Strawberry fills in itself. Any other type is converted by Strawberry's own `convert_argument`.
"""

from __future__ import annotations

from dataclasses import MISSING
from typing import TYPE_CHECKING, Any, TypeAlias

from strawberry.relay.types import GlobalID
from strawberry.scalars import is_scalar
from strawberry.types.arguments import convert_argument
from strawberry.types.base import StrawberryList, StrawberryMaybe, StrawberryOptional, has_object_definition
from strawberry.types.enum import StrawberryEnumDefinition, has_enum_definition
from strawberry.types.lazy_type import LazyType
from strawberry.types.unset import UNSET

if TYPE_CHECKING:
    from collections.abc import Callable

    from strawberry import Schema
    from strawberry.types.field import StrawberryField

_Convert: TypeAlias = "Callable[[Any, Any], Any]"
"""Converts a value; the second argument is Strawberry's info."""
ArgumentConverter: TypeAlias = "Callable[[dict[str, Any], Any], dict[str, Any]]"


class Conversion:
    """Converts arguments to what the resolvers of one schema expect."""

    def __init__(self, schema: Schema) -> None:
        """Convert by the configuration of `schema`."""
        self._config = schema.config
        self._registry: Any = schema.schema_converter.scalar_registry
        self._entered: set[type] = set()
        self._found: dict[int, tuple[StrawberryField, tuple[ArgumentConverter, bool]]] = {}

    def arguments(self, field: StrawberryField) -> tuple[ArgumentConverter, bool]:
        """A function from coerced arguments to a resolver's keyword arguments, and whether it runs no user code.

        Found once for each field of the schema: all documents share it.
        """
        found = self._found.get(id(field))  # a field has no hash
        if found is None:
            found = self._found[id(field)] = field, self._find(field)
        return found[1]

    def _find(self, field: StrawberryField) -> tuple[ArgumentConverter, bool]:
        parts: list[tuple[str, str, _Convert | None]] = []
        plain = True
        for argument in field.arguments:
            name = self._config.name_converter.from_argument(argument)
            type_: Any = argument.type
            convert = None
            if not self._is_value(type_):
                plain = plain and self._is_list_of_values(type_)
                convert = self._converter(type_, (name,))
            parts.append((name, argument.python_name, convert))

        def converted(given: dict[str, Any], info: Any) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for name, python_name, convert in parts:
                if name in given:
                    found[python_name] = given[name] if convert is None else convert(given[name], info)
            return found

        return converted, plain

    def _is_leaf(self, type_: Any) -> bool:
        if is_scalar(type_, self._registry):
            return type_ is not GlobalID
        return isinstance(type_, StrawberryEnumDefinition)

    def _is_value(self, type_: Any) -> bool:
        """Whether values of `type_` stay as they are."""
        if isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe):
            type_ = type_.of_type
        if isinstance(type_, (StrawberryMaybe, StrawberryOptional, StrawberryList)):
            return False
        return self._is_leaf(type_) or (not isinstance(type_, LazyType) and has_enum_definition(type_))

    def _is_list_of_values(self, type_: Any) -> bool:
        if isinstance(type_, StrawberryMaybe):
            return False
        while isinstance(type_, StrawberryOptional):
            type_ = type_.of_type
        if not isinstance(type_, StrawberryList):
            return False
        item: Any = type_.of_type
        if isinstance(item, StrawberryOptional) and not isinstance(item, StrawberryMaybe):
            item = item.of_type
        return self._is_leaf(item)

    def _converter(self, type_: Any, path: tuple[str, ...]) -> _Convert:
        """A function that converts values of `type_`."""
        if self._is_value(type_):
            return lambda value, _: value
        if self._is_list_of_values(type_):
            return lambda value, _: value if value is None or value is UNSET else list(value)
        if isinstance(type_, StrawberryOptional) and not isinstance(type_, StrawberryMaybe):
            return self._converter(type_.of_type, path)
        if not isinstance(type_, (StrawberryMaybe, StrawberryList, LazyType)) and has_object_definition(type_):
            definition: Any = type_.__strawberry_definition__
            if definition.is_input and definition.from_input is None:
                return self._input(type_, definition, path)
        return self._asking(type_, path)

    def _asking(self, type_: Any, path: tuple[str, ...]) -> _Convert:
        """A function that lets Strawberry convert values of `type_`."""
        registry, config = self._registry, self._config
        return lambda value, info: convert_argument(value, type_, registry, config, info, path=path)

    def _input(self, type_: Any, definition: Any, path: tuple[str, ...]) -> _Convert:
        """A function that builds the input type `type_`; inside a recursive type Strawberry converts it."""
        if type_ in self._entered:
            return self._asking(type_, path)
        self._entered.add(type_)
        implicit = [
            field.python_name
            for field in definition.fields
            if field.default_value is MISSING and field.default_factory is MISSING
        ]
        parts: list[tuple[str, str, _Convert]] = []
        for field in definition.fields:
            name = self._config.name_converter.from_field(field)
            inner: Any = field.resolve_type(type_definition=definition)
            parts.append((name, field.python_name, self._converter(inner, (*path, name))))
        self._entered.discard(type_)

        def convert(value: Any, info: Any) -> Any:
            if value is None or value is UNSET:
                return value
            found: dict[str, Any] = dict.fromkeys(implicit)
            for name, python_name, inner in parts:
                if name in value:
                    found[python_name] = inner(value[name], info)
            return type_(**found)

        return convert
