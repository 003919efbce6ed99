"""The context of an operation under `FastGraphQL`: what the app gives, joined with what the endpoint knows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fastapi import BackgroundTasks
from strawberry.fastapi import BaseContext

from graph.endpoint import connection_params

if TYPE_CHECKING:
    from fastapi import Response
    from starlette.requests import HTTPConnection

    from graph.endpoint.identity import Caller

_GIVEN = "graph.given"


class Injected(NamedTuple):
    """What FastAPI's dependencies gave for one request or socket."""

    context: Any
    response: Response | None
    background: BackgroundTasks | None
    root: Any = None


def injected_in(connection: HTTPConnection[Any]) -> Injected:
    """What was given for `connection`."""
    return connection.scope.get(_GIVEN) or Injected(None, None, None)


def give(scope: Any, given: Injected) -> None:
    """Have `injected_in` find it."""
    scope[_GIVEN] = given


def context_for(caller: Caller, connection: HTTPConnection[Any], response: Response | None) -> Any:
    """The context of one operation.

    A dict is copied for each; an object is shared by the operations of its request or socket, as Strawberry does. Over
    a WebSocket, a dict has what the client sent with ``connection_init``; so has an object with an attribute for it.
    """
    given = injected_in(connection)
    told: dict[str, Any] = {
        "request": connection,
        "response": response,
        "background_tasks": given.background or BackgroundTasks(),
        "caller": caller,
    }
    if connection.scope["type"] == "websocket":
        told["connection_params"] = connection_params(connection) or {}
    context: Any = given.context
    if context is None:
        return told
    if isinstance(context, Mapping):
        return {**told, **cast("Mapping[str, Any]", context)}
    if not isinstance(context, BaseContext):
        wanted = {"caller", *({"connection_params"} if hasattr(context, "connection_params") else ())}
        told = {name: value for name, value in told.items() if name in wanted}
    with contextlib.suppress(AttributeError):  # an object with slots, or that is frozen
        for name, value in told.items():
            setattr(context, name, value)
    return cast("Any", context)
