"""Whether a schema takes files: whether it has Strawberry's scalar `Upload`.

Strawberry's scalar takes any value, so that a resolver would get whatever a client puts where a file belongs. Here it
takes nothing that JSON can say: that is an error in the variable, as with any other scalar. Whoever else executes the
schema, a view of Strawberry's beside the endpoint or a test, goes on giving it files of any class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphql import GraphQLError, GraphQLScalarType
from strawberry.file_uploads import UploadDefinition

if TYPE_CHECKING:
    from graphql import GraphQLSchema


_JSON = (str, int, float, list, dict)


def takes_files(schema: GraphQLSchema) -> bool:
    """Whether `schema` has the scalar `Upload`, which from now on takes no value of JSON."""
    scalar = schema.type_map.get(UploadDefinition.name or "")
    if not isinstance(scalar, GraphQLScalarType):
        return False
    if scalar.parse_value is UploadDefinition.parse_value:
        scalar.parse_value = scalar.coerce_input_value = _only_files  # pyright: ignore[reportAttributeAccessIssue] - it is a slot for a function
        scalar.parse_literal = _no_literal  # pyright: ignore[reportAttributeAccessIssue] - the same
        scalar.coerce_input_literal = None
    return scalar.parse_value is _only_files


def _only_files(value: Any) -> Any:
    if isinstance(value, _JSON):
        raise GraphQLError("Upload is a file that comes in a form: see the GraphQL multipart request specification.")
    return value


def _no_literal(node: Any, _variables: Any = None) -> None:
    raise GraphQLError("Upload is a file, which comes as a variable.", node)
