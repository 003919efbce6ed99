"""Whose mistake an exception is, where the libraries underneath raise plain ones: told by where it was raised.

What Strawberry's Relay support refuses of a client's arguments is the client's mistake; what graphql-core says of a
resolver's result is the resolver's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from strawberry.relay import GlobalIDValueError
from strawberry.relay.fields import NodeExtension

if TYPE_CHECKING:
    from types import TracebackType

    from graphql import GraphQLError

_ANOTHER_NODE = frozenset({("strawberry.relay.types", "resolve_node"), ("strawberry.relay.types", "resolve_node_sync")})
"""Where Strawberry refuses the id of another type than the one that was asked for."""

_RELAY = _ANOTHER_NODE | {("strawberry.relay.utils", "from_base64"), ("strawberry.relay.utils", "from_arguments")}
"""Where it refuses arguments: these, and cursors and pages."""

_CORE = "graphql.execution.executor"
_RESULTS = frozenset(
    {("graphql.execution.execute", "assert_event_stream"), (_CORE, "complete_list_value"),
     (_CORE, "complete_object_value"), (_CORE, "execute_subfields_async"), (_CORE, "ensure_valid_runtime_type")}
)  # fmt: skip
"""Where graphql-core says that what a resolver returned cannot be what its field is."""


def of_relay(cause: Exception) -> bool:
    """Whether Strawberry's Relay support itself refused an argument."""
    if isinstance(cause, GlobalIDValueError):
        return True
    return isinstance(cause, (ValueError, TypeError)) and _raised_in(cause) in _RELAY


def of_another_node(cause: Exception | None) -> bool:
    """Whether it refused the id of another type; its message has all that is known of the node, private or not."""
    return isinstance(cause, TypeError) and _raised_in(cause) in _ANOTHER_NODE


class NoNode(str):
    """What is said of a field that is null and must not be, where a client asks for a node by its id."""

    __slots__ = ()


def is_of_nodes(definition: Any) -> bool:
    """Whether a field of a schema gives nodes by their ids: one that was made by `relay.node()`."""
    field: Any = definition.extensions.get("strawberry-definition")
    return any(isinstance(one, NodeExtension) for one in getattr(field, "extensions", ()))


def of_a_missing_node(cause: Exception | None) -> bool:
    """Whether there is no node with the id that a client sent, where the schema says that there is one."""
    if not isinstance(cause, TypeError):
        return False
    said: object = cause.args[0] if cause.args else None
    return isinstance(said, NoNode) or (_raised_in(cause) == (_CORE, "complete_value") and _is_at_nodes(cause))


def of_a_node_of_another_type(error: Exception) -> bool:
    """Whether a client sent the id of another type to a field that gives nodes of one."""
    return _raised_in(error) == (_CORE, "complete_object_value") and _is_at_nodes(error)


def _is_at_nodes(error: Exception) -> bool:
    """Whether graphql-core raised `error` about a field that gives nodes."""
    trace = innermost(error.__traceback__)
    info: Any = trace.tb_frame.f_locals.get("info") if trace is not None else None
    return info is not None and is_of_nodes(info.parent_type.fields[info.field_name])


def of_a_result(error: GraphQLError) -> bool:
    """Whether graphql-core raised `error` itself because a resolver returned what its field's type cannot be."""
    if _raised_in(error) in _RESULTS:
        return True
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "complete_leaf_value":
            return True
        trace = trace.tb_next
    return False


def innermost(trace: TracebackType | None) -> TracebackType | None:
    """The part of a traceback where the exception was raised."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def _raised_in(error: Exception) -> tuple[object, str] | None:
    """The module and the function that raised `error`."""
    trace = innermost(error.__traceback__)
    return (trace.tb_frame.f_globals.get("__name__"), trace.tb_frame.f_code.co_name) if trace is not None else None
