"""A write that changes nothing, to find out whether a server takes writes.

A server may answer everything else meanwhile: one that refuses them (`circuit`), and one that lets them wait
(``CLIENT PAUSE … WRITE``, which failovers by hand use), and with them whatever comes later over the same connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from graph.patterns.client.batch import Batch, RedisUnavailable
from graph.patterns.client.commands import Argument, Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graph.patterns.client.batch import Replies
    from graph.patterns.client.connection.wire import Wire

PATIENCE = 1.0
"""Seconds that a server may take to answer it which has let others wait in vain."""


def changes_nothing(key: Argument) -> Command:
    """A write to `key` that leaves it as it is."""
    return Command(("SETRANGE", key, 0, ""), key, retry=True)


def is_trial(one: Command) -> bool:
    """Whether it is such a write: to what is no string it fails, and nobody has lost anything."""
    return one.args[:1] == ("SETRANGE",) and one.args[2:] == (0, "")


def key_of(batches: Iterable[Batch]) -> Argument | None:
    """A key that they would have used; None if they name none."""
    return next((one.key for batch in batches for one in batch.commands if one.key is not None), None)


async def try_write(wire: Wire, key: Argument) -> None:
    """Return once the server behind `wire` has answered a write, even by an error.

    Otherwise raise `RedisUnavailable`, with `wire` closed.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[Replies] = loop.create_future()
    wire.submit(Batch((changes_nothing(key),), loop.time() + PATIENCE, answered))
    try:
        await answered
    except BaseException:
        wire.abort()
        raise
    if wire.closed:
        raise RedisUnavailable("the server takes connections, and answers no write")
