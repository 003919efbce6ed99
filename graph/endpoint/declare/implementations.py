"""What may resolve a field that is asked for of an interface: the same field of each type that implements it.

A type may declare of its field what the interface says nothing of, and a client chooses which of the two it asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import GraphQLInterfaceType, GraphQLObjectType

from graph.endpoint.declare.definitions import metadata_of

if TYPE_CHECKING:
    from graphql import GraphQLField, GraphQLNamedType, GraphQLSchema

_KEY = "graph.implementations"
"""Where a schema keeps what was found in it, by interface and field."""


def implementations(schema: GraphQLSchema, parent: GraphQLNamedType | None, name: str) -> tuple[GraphQLField, ...]:
    """The field `name` of `parent`, and of an interface those fields of its types that declare something of their own.

    Nothing where there is no such field.
    """
    if isinstance(parent, GraphQLObjectType):
        field = parent.fields.get(name)
        return () if field is None else (field,)
    if not isinstance(parent, GraphQLInterfaceType):
        return ()
    known: dict[tuple[str, str], tuple[GraphQLField, ...]] = schema.extensions.setdefault(_KEY, {})
    key = parent.name, name
    if key not in known:
        own = parent.fields.get(name)
        fields = [] if own is None else [own]
        fields += [kind.fields[name] for kind in schema.get_possible_types(parent) if own and name in kind.fields]
        first = {_definition(field): field for field in reversed(fields)}  # what is inherited is the interface's
        known[key] = tuple(field for field in fields if first[_definition(field)] is field and _says(field, own))
    return known[key]


def _definition(field: GraphQLField) -> int:
    return id(field.extensions.get("strawberry-definition", field))


def _says(field: GraphQLField, own: GraphQLField | None) -> bool:
    """Whether there is metadata of `field` or of an argument, or an argument that is another where it is left out."""
    if own is None or field is own or metadata_of(field):
        return True
    return any(
        metadata_of(argument) or name not in own.args or argument.default_value != own.args[name].default_value
        for name, argument in field.args.items()
    )
