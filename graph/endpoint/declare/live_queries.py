"""The directive `@live`, and which fields a live query may select.

A live query is answered again whenever its answer changes. The server notices changes of what is kept under tags, and
of nothing else. So a live query may select only fields whose answers may be kept (`caching`): a root field has to
declare that, and no field may forbid it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import DirectiveLocation, GraphQLArgument, GraphQLBoolean, GraphQLDirective, GraphQLInt

from graph.endpoint.declare.caching import rule_of

if TYPE_CHECKING:
    from graphql import GraphQLSchema

THROTTLE = 100
"""Milliseconds between two answers, unless the client says otherwise."""
LONGEST = 3_600_000
"""The longest pause that a client may ask for, in milliseconds."""

LIVE = GraphQLDirective(
    name="live",
    locations=[DirectiveLocation.QUERY],
    args={
        "throttle": GraphQLArgument(
            GraphQLInt,
            default_value=THROTTLE,
            description="Milliseconds between two answers at least; a burst of changes ends with the last state.",
        ),
        "patch": GraphQLArgument(
            GraphQLBoolean,
            default_value=False,
            description="Send a JSON patch against the answer before, with its `revision`, in place of a whole answer.",
        ),
        "if": GraphQLArgument(GraphQLBoolean, default_value=True, description="Whether to do so."),
    },
    description="Answers the query, then again whenever its answer has changed: over WebSocket, server-sent events or "
    "multipart. Over plain HTTP it is answered once.",
)

_MARK = "Can be `@live`."


def declare_live(schema: GraphQLSchema) -> None:
    """Give `schema` the directive, and say of each root field that may be live that it can be."""
    if schema.get_directive(LIVE.name) is None:
        schema.directives = (*schema.directives, LIVE)
    fields = schema.query_type.fields.values() if schema.query_type is not None else ()
    for field in fields:
        rule = rule_of(field)
        if rule is not None and rule.max_age > 0 and not (field.description or "").endswith(_MARK):
            field.description = f"{field.description} {_MARK}" if field.description else _MARK
