"""Adds a feature's enum to the schema: declared once, in the feature, and described here.

Resolvers take and return the members of the feature's own enum.
"""

from __future__ import annotations

from enum import EnumMeta
from typing import TYPE_CHECKING, Any, TypeVar

import strawberry
from strawberry.types.enum import StrawberryEnumDefinition

if TYPE_CHECKING:
    from collections.abc import Mapping

E = TypeVar("E", bound=EnumMeta)


def enum(kind: E, *, description: str, name: str | None = None, values: Mapping[str, str] | None = None) -> E:
    """Make `kind` an enum of the schema, named `name` or as in Python; `values` describes its members."""
    made: Any = strawberry.enum(kind, name=name, description=description)
    definition = made.__strawberry_definition__
    assert isinstance(definition, StrawberryEnumDefinition)
    for value in definition.values:
        value.description = (values or {}).get(value.name)
    return kind
