from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

from graph.patterns.script import command

if TYPE_CHECKING:
    from graph.patterns.client import Client


async def test_a_batch_gives_each_command_its_own_reply(client: Client) -> None:
    """A command that fails has its error in its place and does not disturb its neighbours."""
    stored, wrong, read = await client.batch(command("SET", "k", 1), command("LPUSH", "k", 1), command("GET", "k"))
    assert stored == b"OK"
    assert isinstance(wrong, ResponseError)
    assert read == b"1"
