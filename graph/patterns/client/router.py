"""What a client sends through: one link to one server, or a cluster of them; the URL and the server decide."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

from graph.patterns.client.cluster import Cluster
from graph.patterns.client.connection import COMMAND_DEADLINE, Link
from graph.patterns.outage import Outage

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from graph.patterns.client.batch import Receiver, Replies
    from graph.patterns.client.commands import Argument, Command
    from graph.patterns.client.connection import Dialer, Newcomers


logger = logging.getLogger(__name__)


class Router(Protocol):
    """What a client sends through: one link, or a cluster of them."""

    @property
    def connected(self) -> bool:
        """Whether the server, or every node, can be reached at the moment."""
        ...

    @property
    def run_id(self) -> bytes:
        """The id of the server process; empty while there is none, or where there are many."""
        ...

    @property
    def refusal(self) -> str:
        """Why a server refuses writes, or some commands; empty while all of them take everything."""
        ...

    @property
    def links(self) -> Sequence[Link]:
        """Links to every server that holds keys."""
        ...

    def submit(self, commands: Sequence[Command], seconds: float = COMMAND_DEADLINE) -> asyncio.Future[Replies]:
        """Send a batch; the future never fails: errors stand in their command's place."""
        ...

    def deliver(self, receiver: Receiver, commands: Sequence[Command], seconds: float = COMMAND_DEADLINE) -> None:
        """Send a batch for `receiver`."""
        ...

    def link_for(self, key: Argument | None) -> Link:
        """The link to the server that holds `key`."""
        ...

    async def close(self) -> None:
        """Stop and leave nothing running."""
        ...


async def connect(dialer: Dialer, newcomers: Newcomers | None = None, *, tell: bool = False) -> Router:
    """Connect to what `dialer` finds, with a welcome for `newcomers`; raises `RedisUnavailable` when that fails.

    Whoever may `tell` logs that a server is away and back.
    """
    if dialer.kind != "cluster":
        link = Link(
            dialer, newcomers=newcomers, outage=Outage("Redis is away", "Redis is back", logger) if tell else None
        )
        try:
            await link.open()
        except BaseException:
            await link.close()
            raise
        if link.mode != b"cluster":
            return link
        await link.close()
    cluster = Cluster(dialer, newcomers, logger if tell else None)
    try:
        await cluster.open()
    except BaseException:
        await cluster.close()
        raise
    return cluster
