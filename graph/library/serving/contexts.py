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
    from collections.abc import Collection, Iterator

    from fastapi import Response
    from starlette.requests import HTTPConnection

    from graph.endpoint.identity import Caller

_GIVEN = "graph.given"
_CONTEXT = "context"
_TOUCHED = "viewer_touched"
_RESPONSE = "response"


class Injected(NamedTuple):
    """What FastAPI's dependencies gave for one request or socket."""

    context: Any
    response: Response | None
    background: BackgroundTasks | None
    root: Any = None
    responses: list[Response] | None = None
    """Those that operations were given, for resolvers to set things on."""


class WatchedDict(dict[str, Any]):
    """A context that notes (`NotesViewer`) that something was read of it by which answers to two callers may differ.

    So does whether it has a key, and how many. Only the response tells nothing, unless that is the app's `own`; what is
    set on it is seen there (`is_untouched`), which what is to be done in the background is not.
    """

    __slots__ = ("_silent",)

    def __init__(self, told: dict[str, Any], own: Collection[str] = ()) -> None:
        super().__init__({_TOUCHED: False, **told})
        self._silent = {_TOUCHED, _RESPONSE}.difference(own) | {_TOUCHED}

    def _read(self, key: object = None) -> None:
        if key not in self._silent:
            self[_TOUCHED] = True

    __hash__ = None  # pyright: ignore[reportAssignmentType] - as of any dict

    def __contains__(self, key: object, /) -> bool:
        self._read(key)
        return super().__contains__(key)

    def __len__(self) -> int:
        self._read()
        return super().__len__()

    def __eq__(self, other: object, /) -> bool:
        self._read()
        return super().__eq__(other)

    def __ne__(self, other: object, /) -> bool:
        self._read()
        return super().__ne__(other)

    def __reversed__(self) -> Iterator[str]:
        self._read()
        return super().__reversed__()

    def __getitem__(self, key: str, /) -> Any:
        self._read(key)
        return super().__getitem__(key)

    def __iter__(self) -> Iterator[str]:  # through which go ``{**context}``, ``dict(context)`` and ``context | {}``
        self._read()
        return super().__iter__()

    def __repr__(self) -> str:
        self._read()
        return super().__repr__()

    def get(self, key: str, default: Any = None, /) -> Any:
        """As of any dict."""
        self._read(key)
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        """As of any dict."""
        self._read(key)
        return super().pop(key, *default)

    def setdefault(self, key: str, default: Any = None, /) -> Any:
        """As of any dict."""
        self._read(key)
        return super().setdefault(key, default)

    def popitem(self) -> Any:
        """As of any dict."""
        self._read()
        return super().popitem()

    def keys(self) -> Any:
        """As of any dict."""
        self._read()
        return super().keys()

    def items(self) -> Any:
        """As of any dict."""
        self._read()
        return super().items()

    def values(self) -> Any:
        """As of any dict."""
        self._read()
        return super().values()

    def copy(self) -> dict[str, Any]:
        """As of any dict."""
        self._read()
        return super().copy()


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

    A dict notes whether it was read, so that an answer that nobody's context was read for may be kept for everybody.
    """
    batch = shared_by_batch(connection)
    if batch is None:
        return _made(caller, connection, response)
    if _CONTEXT not in batch:
        batch[_CONTEXT] = _made(caller, connection, response)
    return batch[_CONTEXT]


def _made(caller: Caller, connection: HTTPConnection[Any], response: Response | None) -> Any:
    given = injected_in(connection)
    if response is not None and given.response is not None:
        if given.responses is not None:
            given.responses.append(response)
        response.status_code = given.response.status_code  # resolvers go on from what dependencies have set
    told: dict[str, Any] = {
        "request": connection,
        _RESPONSE: blank_response() if response is None else response,
        "background_tasks": given.background or BackgroundTasks(),
        "caller": caller,
    }
    if connection.scope["type"] == "websocket":
        told["connection_params"] = connection_params(connection) or {}
    kept = response is not None  # or the operation has no answer that might be kept for others
    context: Any = given.context
    if context is None:
        return WatchedDict(told) if kept else told
    if isinstance(context, Mapping):
        own = {**cast("Mapping[str, Any]", context)}
        if given.response is not None and own.get(_RESPONSE) is given.response:
            del own[_RESPONSE]  # FastAPI's, of which the answer has only what was set before the operation
        told |= own
        return WatchedDict(told, own.keys()) if kept else told
    if not isinstance(context, BaseContext):
        wanted = {"caller", *({"connection_params"} if hasattr(context, "connection_params") else ())}
        told = {name: value for name, value in told.items() if name in wanted}
    with contextlib.suppress(AttributeError):  # an object with slots, or that is frozen
        for name, value in told.items():
            setattr(context, name, value)
    return cast("Any", context)
