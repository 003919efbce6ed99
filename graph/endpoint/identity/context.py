"""What the endpoint needs to know of a context, whether its resolvers asked who the caller is, and what it tells.

The context of an operation is the product's own: an object of any class, or a dict. One that sets `viewer_touched` as
soon as somebody reads the caller (`NotesViewer`) lets the endpoint share answers and events among callers. For any
other context nothing is known of its resolvers, so that each answer counts as the caller's own: it is not kept for
others, and signed-in subscribers get executions of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import Scope


_BATCH = "graph.batch"


def begin_batch(scope: Scope) -> None:
    """Have `shared_by_batch` find something for the operations of the request of `scope`."""
    scope[_BATCH] = {}


def shared_by_batch(connection: HTTPConnection) -> dict[str, Any] | None:
    """What the operations of one batch have in common, for whoever makes their contexts; None outside of a batch."""
    return connection.scope.get(_BATCH)


class NotesViewer(Protocol):
    """A context that notes whether the caller was read while it served its operation."""

    viewer_touched: bool


def notes_viewer(context: object) -> bool:
    """Whether `context` tells if its resolvers asked who the caller is."""
    return "viewer_touched" in context if isinstance(context, Mapping) else hasattr(context, "viewer_touched")


def viewer_touched(context: object) -> bool:
    """Whether the answer made with `context` may depend on who asked: True unless the context says that it does not."""
    if isinstance(context, Mapping):
        return bool(cast("Mapping[str, Any]", context).get("viewer_touched", True))
    return bool(getattr(context, "viewer_touched", True))
