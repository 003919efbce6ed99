"""Reads replies of Redis that have a form of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from graph.patterns.client.batch import Reply


def parse_info(reply: bytes) -> dict[str, str]:
    """The facts in a reply to INFO, by name."""
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines() if not line.startswith("#"))
    return {name: value for name, colon, value in lines if colon}


def mapping(reply: Reply) -> dict[bytes, bytes]:
    """A reply of names and values, which RESP2 gives as one flat list."""
    if isinstance(reply, dict):
        return cast("dict[bytes, bytes]", reply)
    return dict(zip(reply[::2], reply[1::2], strict=True))
