"""Server processes that a client meets for the first time, and what is done before it believes them.

A server that was restarted, or a replica that was made primary, may have lost what it had acknowledged. Whoever opens
a client may have something done on each such server (`Prepare`) before any of its replies is used: until that has
succeeded the server counts as away. Each process does so by itself, so it must be harmless to repeat.

Failure: what `Prepare` raises becomes `RedisUnavailable`, which the link tells once in the log; it tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from graph.patterns.client.batch import Batch, RedisUnavailable, Replies
from graph.patterns.client.commands import ASKING, Command

if TYPE_CHECKING:
    from graph.patterns.client.connection.wire import Wire

PREPARATION = 30.0
"""Seconds that one batch of a preparation may take."""

_MOST = 256  # server processes remembered


class Newcomer:
    """A server process that is not believed yet."""

    def __init__(self, wire: Wire) -> None:
        """Talk over `wire`, which nobody else uses yet."""
        self._wire = wire

    @property
    def clustered(self) -> bool:
        """Whether it is a node of a cluster: then what other nodes hold is answered with the error MOVED or ASK."""
        return self._wire.mode == b"cluster"

    async def ask(self, commands: Sequence[Command]) -> Replies:
        """Send `commands`, scripts with their whole text; errors stand in their command's place."""
        asked = [one if one.script is None else one.script.whole(one) for one in commands]
        if not asked:
            return Replies()
        if self.clustered:  # a node that is taking over a slot answers for what it has of it already
            asked = [each for one in asked for each in (ASKING, one)]
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Replies] = loop.create_future()
        self._wire.submit(Batch(asked, loop.time() + PREPARATION, future))
        replies = await future
        return Replies(replies[1::2]) if self.clustered else replies


Prepare: TypeAlias = Callable[[Newcomer], Awaitable[object]]
"""What is done on a server process before it is believed."""


class Newcomers:
    """The server processes that a client knows, all of its links together."""

    def __init__(self, prepare: Prepare | None) -> None:
        """Have `prepare` done on each server that is new, if anything."""
        self._prepare = prepare
        self._known: dict[bytes, None] = {}

    async def welcome(self, wire: Wire) -> None:
        """Return once the server behind `wire` may be believed; else raise `RedisUnavailable`, with `wire` closed."""
        try:
            await self._introduce(wire)
        except BaseException:
            wire.abort()
            raise
        if wire.closed:
            raise RedisUnavailable("the connection was lost at once")

    async def _introduce(self, wire: Wire) -> None:
        if self._prepare is None or wire.run_id in self._known:
            return
        try:
            await self._prepare(Newcomer(wire))
        except Exception as error:
            why = str(error).partition("\n")[0]
            raise RedisUnavailable(f"the server is new and cannot be believed yet: {why}") from error
        self._known[wire.run_id] = None
        if len(self._known) > _MOST:
            del self._known[next(iter(self._known))]
