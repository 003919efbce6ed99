"""Declares what a subscription field promises about its events, as metadata of the field like `cost`.

::

    @strawberry.subscription(metadata=live(shared=True, cursor="after"))
    async def product_changed(self, after: Cursor | None = None) -> AsyncIterator[ProductEvent]: ...
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from graphql import VariableNode

from graph.endpoint.declare.definitions import metadata_of

if TYPE_CHECKING:
    from graphql import FieldNode, GraphQLField

_KEY = "graph.live"


@dataclass(frozen=True, slots=True)
class Live:
    """The promise of one field: see `live`."""

    shared: bool = False
    state_first: bool = False
    latest: bool = False
    cursor: str | None = None
    once: bool = False


_DEFAULT = Live()


def live(
    *,
    shared: bool = False,
    state_first: bool = False,
    latest: bool = False,
    cursor: str | None = None,
    once: bool = False,
) -> dict[str, Any]:
    """Metadata for ``strawberry.subscription(metadata=…)``.

    `shared`: the events are the same for everybody, so a process runs identical subscriptions once, as an anonymous
    caller. This is checked at run time through the context's ``viewer_touched``: where the source does read the caller,
    or the context cannot tell, each client has its own subscription. Where a field *below* the event reads the caller,
    it is executed for each user. `state_first`: the first event is the present state; a client that joins later gets
    its own. `latest`: an event replaces those before it, so a slow client may get only the newest one.
    `cursor`: the argument that takes the cursor after which to resume; every event then has an attribute ``cursor``.
    `once`, with `shared`: an event that subscriptions with different arguments yield as the same object (as by
    `graph.patterns.broker.Event.once`) is executed once for all that select the same of it. So no field below may find
    out the arguments of this one, as through ``info.variable_values``.
    """
    return {_KEY: Live(shared, state_first, latest, cursor, once)}


def live_of(field: GraphQLField) -> Live:
    """The declared promise of `field`, or the default."""
    declared = metadata_of(field).get(_KEY)
    return declared if isinstance(declared, Live) else _DEFAULT


def cursor_variable(promise: Live, node: FieldNode) -> str | None:
    """The variable that holds the cursor in the selection `node`; None where there is none."""
    for argument in node.arguments or ():
        if argument.name.value == promise.cursor and isinstance(argument.value, VariableNode):
            return argument.value.name.value
    return None
