"""Driving the server's clock: moving everything stored into the past is moving the clock into the future."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graph.patterns.client import command

if TYPE_CHECKING:
    from graph.patterns.client import Client

_TIMES = (b"created", b"ends")


async def age_sessions(client: Client, seconds: float) -> None:
    """Make every key of the sessions `seconds` older, to the millisecond."""
    moved = round(seconds * 1000)
    cursor = b"0"
    while True:
        cursor, keys = await client.execute("SCAN", cursor, "MATCH", "graph:session*")
        for key in keys:
            await _age(client, key, moved)
        if cursor == b"0":
            return


async def _age(client: Client, key: bytes, milliseconds: int) -> None:
    kind = await client.execute("TYPE", key)
    commands = [
        command("PEXPIREAT", key, await client.execute("PEXPIRETIME", key) - milliseconds),
    ]
    if kind == b"hash":
        fields = await client.execute("HGETALL", key)
        for field in _TIMES:
            commands.insert(0, command("HSET", key, field, int(fields[field]) - milliseconds * 1000))
    elif kind == b"zset":
        for member, score in await client.execute("ZRANGE", key, 0, -1, "WITHSCORES"):
            commands.insert(0, command("ZADD", key, int(score) - milliseconds * 1000, member))
    for reply in await client.batch(*commands):
        assert not isinstance(reply, Exception), reply
