"""The request or socket that a context of Strawberry's came with, whichever of its views made it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import HTTPConnection

_NAMES = ("request", "connection", "ws", "websocket")


def connection_of(context: object) -> HTTPConnection[Any] | None:
    """The connection behind a context that is a dict or an object; None where there is none."""
    for name in _NAMES:
        found: Any = (
            cast("Mapping[str, Any]", context).get(name)
            if isinstance(context, Mapping)
            else getattr(context, name, None)
        )
        if isinstance(found, HTTPConnection):
            return cast("HTTPConnection[Any]", found)
    return None
