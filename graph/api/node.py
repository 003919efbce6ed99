"""Globally unique IDs (Relay): their format, and the `node` and `nodes` fields that find their objects.

An ID is the base64 of ``Type:key``. One that names no object, or is broken in any way, gives null and no error, because
clients keep IDs for years. Each feature registers a loader for its types (`graph.api.schema_part.SchemaPart.nodes`);
`nodes` asks each loader once, whatever the number of IDs.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

import strawberry

from graph.api.context import Context, Info
from graph.endpoint.declare import cached, do_not_keep
from graph.errors import BadInput, Missing

MAX_AGE = 300.0
"""Seconds that an answer with nodes is cached at most; a change of what it shows invalidates it earlier."""
MAX_NODES = 100
"""How many IDs `nodes` accepts at once."""

_ID_LENGTH = 400
_MAX_KEY = 2**63 - 1


@strawberry.type(description="What was deleted.")
class Deleted:
    """The ID of the deleted object."""

    id: strawberry.ID


@strawberry.interface(description="An object with a globally unique ID (Relay).")
class Node:
    """The interface of objects with an ID; a subclass is built with its global ID."""

    id: strawberry.ID = strawberry.field(description="Globally unique; opaque.")


NodeLoader: TypeAlias = Callable[["Context", Sequence[str]], Awaitable[Mapping[str, Node]]]
"""Loads nodes of one type by their keys (as in the ID); returns those that exist and may be seen."""


@lru_cache(maxsize=8192)
def global_id(kind: str, key: int | str) -> strawberry.ID:
    """Return the ID of the object of type `kind` with this key."""
    return strawberry.ID(binascii.b2a_base64(f"{kind}:{key}".encode(), newline=False).decode())


def parse_id(value: str) -> tuple[str, str] | None:
    """Return the type and the key in an ID; None if it is not one."""
    if len(value) > _ID_LENGTH:
        return None
    try:
        kind, colon, key = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (kind, key) if colon else None


def integer_key(key: str) -> int | None:
    """Return a key as a row's id; None if it cannot be one."""
    if key.isascii() and key.isdigit() and len(key) < 20 and key[0] != "0" and int(key) <= _MAX_KEY:  # noqa: PLR2004 - 2**63 has 19 digits
        return int(key)
    return None


def integer_keys(keys: Iterable[str]) -> dict[str, int]:
    """Return those of `keys` that can be rows' ids, with the id."""
    return {key: number for key in keys if (number := integer_key(key)) is not None}


def key_of(value: str, kind: str) -> int | None:
    """Return the row's id in the ID of an object of type `kind`; None for any other ID."""
    parsed = parse_id(value)
    return integer_key(parsed[1]) if parsed is not None and parsed[0] == kind else None


def required_key(value: str, kind: str) -> int:
    """Return the row's id in the ID of an object of type `kind`; raises `Missing` for any other ID."""
    if (number := key_of(value, kind)) is None:
        raise Missing(kind)
    return number


def node_query(loaders: Mapping[str, NodeLoader], kept: Collection[str] = ()) -> type:
    """Return the part of Query that finds objects by ID; only answers with types in `kept` alone may be cached."""

    async def find(context: Context, ids: Sequence[str]) -> list[Node | None]:
        parsed = [parse_id(value) for value in ids]
        wanted: dict[str, dict[str, None]] = {}
        for pair in parsed:
            if pair is not None and pair[0] in loaders:
                wanted.setdefault(pair[0], {})[pair[1]] = None
        if not wanted.keys() <= set(kept):
            context.viewer_touched = True  # not everybody may see it
            do_not_keep()  # and no tag tells when it changes
        found = await asyncio.gather(*(loaders[kind](context, list(keys)) for kind, keys in wanted.items()))
        by_kind = dict(zip(wanted, found, strict=True))
        return [None if pair is None else by_kind.get(pair[0], {}).get(pair[1]) for pair in parsed]

    @strawberry.type
    class NodeQuery:
        @strawberry.field(metadata=cached(MAX_AGE), description="The object with this ID; null when there is none.")
        async def node(self, info: Info, id: strawberry.ID) -> Node | None:
            return (await find(info.context, [id]))[0]

        @strawberry.field(
            metadata=cached(MAX_AGE),
            description=f"The objects with these IDs, in this order; at most {MAX_NODES}.",
        )
        async def nodes(self, info: Info, ids: list[strawberry.ID]) -> list[Node | None]:
            if len(ids) > MAX_NODES:
                raise BadInput(f"nodes takes at most {MAX_NODES} ids at once.", argument="ids")
            return await find(info.context, ids)

    return NodeQuery
