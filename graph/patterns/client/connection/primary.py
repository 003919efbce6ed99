"""Whether a server behind Sentinels is still the primary: for whoever reads from it, and for whoever wrote to it.

A primary that was deposed goes on answering for seconds. Two rules make sure that no acknowledged write is missed:

- Whoever uses a server has a *lease* on it: for `LEASE` seconds from the last time that a majority of the Sentinels
  named it, counted from before they were asked. They are asked every `FOLLOW_INTERVAL`; without an answer the server
  counts as away when the lease is over.
- A write counts only when a majority names that server, in the same epoch, *after* the write (`Primary.vouches`), and
  none of the Sentinels has begun to replace it: that one promotes the replica before any other hears of it. On a
  server that has just been made primary it counts only when every lease on the one before it must be over, or that
  one is gone or knows that it is a replica (then it has hung up on its clients).

This is the usual argument for leases (Gray and Cheriton, "Leases: an efficient fault-tolerant mechanism for distributed
file cache consistency", SOSP 1989). It rests on clocks that run at the same speed, not on clocks that agree.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from graph.patterns.client.batch import RedisUnavailable
from graph.patterns.client.connection.sentinels import Address

if TYPE_CHECKING:
    from graph.patterns.client.connection.dialer import Dialer
    from graph.patterns.client.connection.wire import Wire

FOLLOW_INTERVAL = 1.0
"""Seconds between two questions to the Sentinels whether the primary is still the primary."""
LEASE = 5.0
"""Seconds for which their answer holds."""
_LOOK = 0.2  # seconds between two looks at the primary before


class Primary:
    """What one link knows of its primary."""

    def __init__(self, dialer: Dialer) -> None:
        """Ask the Sentinels of `dialer`."""
        self._dialer = dialer
        self._loop = asyncio.get_running_loop()
        self._wire: Wire | None = None
        self._former: Wire | None = None
        self._quiet_at = 0.0
        self.until = 0.0
        """When the lease ends, by the loop's clock."""
        self.silent = False
        """Whether the last question to the Sentinels had no answer: else a lease that is over was not renewed in time,
        because this process stood still."""

    def found(self, wire: Wire) -> None:
        """Use `wire`, which was dialled because a majority named it."""
        view = wire.view
        assert view is not None
        if self._wire is not None and self._wire.run_id != wire.run_id:
            self._former = self._wire
        self._wire = wire
        self.silent = False
        self.until = view.asked_at + LEASE
        self._quiet_at = max(self._quiet_at if self._former is None else 0.0, view.asked_at + LEASE - view.settled)

    async def moved(self, wire: Wire) -> bool:
        """Ask whether another server is the primary by now, and renew the lease if not; False while nobody can say."""
        try:
            view = await self._dialer.view()
        except RedisUnavailable:
            self.silent = True
            return False
        self.silent = False
        if wire.view is None or (view.address, view.epoch) != wire.view[:2]:
            return True
        if wire is self._wire:
            self.until = max(self.until, view.asked_at + LEASE)
        return False

    async def vouches(self, wire: Wire) -> bool:
        """Whether a write that `wire` has answered counts; raises `RedisUnavailable` while nobody can say."""
        view = await self._dialer.view()
        began = view.asked_at
        while view.ending:  # the change ends with another primary, or is abandoned
            if view.asked_at >= began + LEASE:
                raise RedisUnavailable("the Sentinels are about to replace the primary")
            await asyncio.sleep(_LOOK)
            view = await self._dialer.view()
        if wire.view is None or (view.address, view.epoch) != wire.view[:2]:
            return False
        while wire is self._wire and self._loop.time() < self._quiet_at:
            if self._former is not None and await self._is_gone(self._former):
                self._quiet_at = 0.0
            else:
                await asyncio.sleep(min(_LOOK, max(0.0, self._quiet_at - self._loop.time())))
        return True

    async def _is_gone(self, former: Wire) -> bool:
        """Whether nobody can have a connection any more on which the former primary believes to be one."""
        try:
            async with asyncio.timeout(LEASE):
                return await self._dialer.role(Address(*former.address)) != b"master"
        except (OSError, RedisError):
            return False
