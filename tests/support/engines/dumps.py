"""Everything that a Redis server holds, as bytes to search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from graph.patterns.client import Client

_READ: dict[bytes, tuple[Any, ...]] = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"set": ("SMEMBERS",),
    b"list": ("LRANGE", 0, -1),
    b"stream": ("XRANGE", "-", "+"),
}


async def dump(client: Client) -> bytes:
    """Every key, its value as it is read and as it is stored."""
    found = b""
    for key in await client.execute("KEYS", "*", retry=True):
        name, *rest = _READ[await client.execute("TYPE", key)]
        value = await client.execute(str(name), key, *rest)
        found += key + repr(value).encode() + await client.execute("DUMP", key, retry=True)
    return found
