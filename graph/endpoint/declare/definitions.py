"""What Strawberry keeps of a schema in places that it has no public name for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from graphql import GraphQLArgument, GraphQLField, GraphQLInputField, GraphQLSchema
    from strawberry.schema import BaseSchema


def core_of(schema: BaseSchema) -> GraphQLSchema:
    """graphql-core's schema, which is executed."""
    return cast("Any", schema)._schema  # noqa: SLF001 - there is no public name for it


def metadata_of(declared: GraphQLField | GraphQLArgument | GraphQLInputField) -> Mapping[str, Any]:
    """The metadata of a field or an argument; of one that is not Strawberry's, its extensions."""
    definition = declared.extensions.get("strawberry-definition")
    return getattr(definition, "metadata", declared.extensions)
