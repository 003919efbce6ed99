"""Answers that are ready go out a few a turn of the event loop while others are being made.

The replies to hundreds of recognised requests may come at once, and each is answered in the callback that reads them.
Whatever is executed meanwhile goes on a step a turn of the loop: a miss takes about ten, each as long as all that is
ready takes. So the many that are answered from memory would keep the few that are not waiting for ten times as long as
themselves. While nothing is executed, all are answered as they come.

It guarantees that answers go out in the order in which their replies came.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from graph.endpoint.kept.errand import Errands
    from graph.endpoint.kept.visit import Ride
    from graph.patterns.client import Replies

MOST = 10
"""Answers a turn, of about 40 µs each."""


class Pace:
    """The pace of one endpoint."""

    def __init__(self, arrive: Callable[[Ride, Replies], None], errands: Errands | None) -> None:
        """Have `arrive` answer; what is executed are `errands`."""
        self._arrive = arrive
        self._errands = errands
        self._left = MOST
        self._waiting: deque[tuple[Ride, Replies]] = deque()
        self._scheduled = False

    def arrive(self, ride: Ride, replies: Replies) -> None:
        """Answer the request whose `replies` have come, in this turn or one of the next."""
        if not self._waiting and (self._errands is None or not self._errands.running):
            self._arrive(ride, replies)
            return
        if self._left and not self._waiting:
            self._left -= 1
            self._arrive(ride, replies)
        else:
            self._waiting.append((ride, replies))
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        self._scheduled = True
        asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        self._left = MOST
        waiting = self._waiting
        while waiting and self._left:
            self._left -= 1
            self._arrive(*waiting.popleft())
        if self._left < MOST:  # the next turn has room again
            self._schedule()
