"""How a socket begins: what the application is asked at ``connection_init``, and what the client is told."""

from __future__ import annotations

import logging
from inspect import isawaitable
from typing import TYPE_CHECKING, Any, TypeAlias

from strawberry import UNSET
from strawberry.exceptions import ConnectionRejectionError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import HTTPConnection

    from graph.endpoint.identity import Caller

logger = logging.getLogger("graph.endpoint")

_PARAMS = "graph.connection_params"

_Told: TypeAlias = "Mapping[str, Any] | None"
OnConnect: TypeAlias = "Callable[[Caller, HTTPConnection, Mapping[str, Any]], Awaitable[_Told] | _Told]"
"""Called with what a client sent with ``connection_init``; returns the payload of the acknowledgement, or None.

`UNSET` counts as None: under Strawberry's views it stands for no payload, and None for a null one."""


def connection_params(connection: HTTPConnection) -> Mapping[str, Any] | None:
    """The payload that a WebSocket was initialised with; None over HTTP, or where the client sent none."""
    return connection.scope.get(_PARAMS)


def note_params(connection: HTTPConnection, payload: dict[str, Any] | None) -> None:
    """Keep what `connection_params` gives."""
    connection.scope[_PARAMS] = payload


class BrokenProtocol(Exception):
    """The client broke the protocol: the socket closes with `code` and `reason`."""

    def __init__(self, code: int, reason: str) -> None:
        """Close with `code`; `reason` is for people, and cut to what a close frame can hold."""
        super().__init__(reason)
        self.code = code
        self.reason = reason.encode()[:120].decode(errors="ignore")


class Greeter:
    """Makes the acknowledgement of each socket."""

    def __init__(self, on_connect: OnConnect | None, *, null: bool = False) -> None:
        """Ask `on_connect`, where there is one. Where it returns None, the payload is `null`, or there is none.

        A client made with graphql-ws before 5.12 (2023) closes at a null payload.
        """
        self._on_connect = on_connect
        self._none = UNSET if not null else None

    async def acknowledge(
        self, caller: Caller | None, connection: HTTPConnection, payload: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        """The acknowledgement of a socket whose client sent `payload`; raises `BrokenProtocol` where it is refused.

        `caller` is None where it cannot be found right now.
        """
        told: Any = UNSET
        if self._on_connect is not None:
            if caller is None:
                raise BrokenProtocol(1013, "Sessions cannot be checked right now; try again shortly")
            try:
                told = self._on_connect(caller, connection, payload or {})
                told = await told if isawaitable(told) else told
            except ConnectionRejectionError:
                raise BrokenProtocol(4403, "Forbidden") from None
            except Exception:
                logger.exception("on_ws_connect failed")
                raise BrokenProtocol(1011, "Internal server error") from None
            told = self._none if told is None else told
        return {"type": "connection_ack"} if told is UNSET else {"type": "connection_ack", "payload": told}
