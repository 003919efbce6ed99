"""Globally unique IDs (Relay): what an ID looks like, and the `node` and `nodes` fields that find its object.

An ID is the base64 of ``Type:key``. One that names nothing, in whatever way it is broken, finds null and no error:
clients keep IDs for years. Each feature registers a loader for its types (`graph.api.schema_part.SchemaPart.nodes`);
`nodes` asks each loader once, whatever the number of IDs.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

import strawberry

from graph.api.context import Context, Info
from graph.endpoint.declare import cached, do_not_keep
from graph.errors import BadInput, Missing

MAX_AGE = 300.0
"""Seconds that an answer with nodes is kept at most; a change of what it shows outdates it before that."""
MAX_NODES = 100
"""How many IDs `nodes` takes at once."""

_ID_LENGTH = 400
_MAX_KEY = 2**63 - 1


@strawberry.type(description="What was deleted.")
class Deleted:
    """The ID that names nothing any more."""

    id: strawberry.ID


@strawberry.interface(description="An object with a globally unique ID (Relay).")
class Node:
    """The interface; a subclass is built with its global ID."""

    id: strawberry.ID = strawberry.field(description="Globally unique; opaque.")


NodeLoader: TypeAlias = Callable[["Context", Sequence[str]], Awaitable[Mapping[str, Node]]]
"""Finds the nodes of one type: their keys (as they stand in the ID) in, those that exist (and may be seen) out."""


def global_id(kind: str, key: int | str) -> strawberry.ID:
    """The ID of the object of type `kind` with this key."""
    return strawberry.ID(base64.b64encode(f"{kind}:{key}".encode()).decode())


def parse_id(value: str) -> tuple[str, str] | None:
    """The type and the key in an ID; None when it is none."""
    if len(value) > _ID_LENGTH:
        return None
    try:
        kind, colon, key = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (kind, key) if colon else None


def integer_key(key: str) -> int | None:
    """A key that is a row's number; None when it cannot be one."""
    if key.isascii() and key.isdigit() and len(key) < 20 and key[0] != "0" and int(key) <= _MAX_KEY:  # noqa: PLR2004 - 2**63 has 19 digits
        return int(key)
    return None


def integer_keys(keys: Iterable[str]) -> dict[str, int]:
    """Those of `keys` that can be rows' numbers, with the number."""
    return {key: number for key in keys if (number := integer_key(key)) is not None}


def key_of(value: str, kind: str) -> int | None:
    """The row's number in the ID of an object of type `kind`; None for any other ID."""
    parsed = parse_id(value)
    return integer_key(parsed[1]) if parsed is not None and parsed[0] == kind else None


def required_key(value: str, kind: str) -> int:
    """The row's number in the ID of an object of type `kind`; raises `Missing` for any other ID."""
    if (number := key_of(value, kind)) is None:
        raise Missing(kind)
    return number


def node_query(loaders: Mapping[str, NodeLoader], kept: Collection[str] = ()) -> type:
    """The part of Query that finds any object by its ID; answers with nothing but types in `kept` may be kept."""

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
