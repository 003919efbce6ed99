"""Executions take turns, so that a crowd of them holds up nothing else.

asyncio runs whatever is ready in one round of its loop, and looks for what came over the network only after it. When
the replies of Redis to hundreds of requests come at once, hundreds of executions would run in one round, and everything
that is none of them (a health check, the event of a subscription, a request that is answered from memory) would wait
for them all. `Turns` lets some begin in a round and puts the others off, in the order in which they came. How many is
found by trial: one more after a round that was short, half as many after one of more than `LONG` seconds (additive
increase, multiplicative decrease: Chiu and Jain, 1989).

It guarantees that each waits only for those before it, and that nothing is put off while few are there. A caller that
is cancelled while it waits gives up its place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter

LONG = 0.005
"""Seconds that a round should take."""
FIRST = 8
"""How many may begin in a round before anything has been measured."""


class Turns:
    """The turns of one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._room = FIRST
        self._left = 0
        self._began: float | None = None  # when the current round began, if it is measured

    async def mine(self) -> None:
        """Return when the caller may begin: at once, unless this round is full."""
        if self._began is None:
            self._watch()
        if self._left and not self._waiting:
            self._left -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _watch(self) -> None:
        self._began, self._left = perf_counter(), self._room
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """End the round and let the next callers begin."""
        assert self._began is not None
        if perf_counter() - self._began > LONG:
            self._room = max(1, self._room // 2)
        elif not self._left:
            self._room += 1
        if not self._waiting:
            self._began = None
            return
        left = self._room
        while left and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                left -= 1
        self._watch()
        self._left = left
