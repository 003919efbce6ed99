"""The context of an operation under `FastGraphQL`: what the app gives, joined with what the endpoint knows."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from fastapi import BackgroundTasks
from strawberry.fastapi import BaseContext

from graph.endpoint import connection_params
from graph.endpoint.execution import blank_response
from graph.endpoint.identity import shared_by_batch

if TYPE_CHECKING:
    from fastapi import Response
    from starlette.requests import HTTPConnection

    from graph.endpoint.identity import Caller

_GIVEN = "graph.given"
_CONTEXT = "context"


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

    The operations of a batch share one. A WebSocket gives each of its operations a dict of its own, so that nothing
    that one of them puts there is found by another hours later; an object they share, as Strawberry has it. Over a
    WebSocket, a dict has what the client sent with ``connection_init``; so has an object with an attribute for it. What
    is set on the response of an operation that has none to send goes nowhere.
    """
    batch = shared_by_batch(connection)
    if batch is None:
        return _made(caller, connection, response)
    if _CONTEXT not in batch:
        batch[_CONTEXT] = _made(caller, connection, response)
    return batch[_CONTEXT]


def _made(caller: Caller, connection: HTTPConnection[Any], response: Response | None) -> Any:
    given = injected_in(connection)
    told: dict[str, Any] = {
        "request": connection,
        "response": blank_response() if response is None else response,
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
