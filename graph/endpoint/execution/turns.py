"""Executions take turns, so that a crowd of them holds up nothing else.

asyncio runs whatever is ready in one round of its loop, and looks for what came over the network only after it. When
the replies of Redis to hundreds of requests come at once, hundreds of executions would run in one round, and everything
that is none of them (a health check, the event of a subscription, a request that is answered from memory) would wait
for them all. `Turns` lets some begin in a round and puts the others off, in the order in which they came. How many is
found by trial: one more after a round that was short, half as many after a long one (additive increase, multiplicative
decrease: Chiu and Jain, 1989). Long is what takes more than `LONG` seconds of the processor; the more clients wait for
an execution, the longer a round may be, up to `LONGEST`. Otherwise a full loop would leave them no room, and they would
wait while whatever is short goes by.

What a client waits for goes before what the server does by itself (a live query that is answered again): of those that
wait, the two kinds take turns. So a hundred live queries that one write has changed hold up no request.

It guarantees that each waits only for those of its kind before it and as many of the other, and that nothing is put
off while few are there. A caller that is cancelled while it waits gives up its place.
"""

from __future__ import annotations

import asyncio
from collections import deque
from time import thread_time

LONG = 0.005
"""Seconds of this thread's processor that a round should take while few wait."""
LONGEST = 0.03
"""The same while many do."""
MANY = 8
"""Each time that as many wait, a round may be longer by `LONG`."""
FIRST = 8
"""How many may begin in a round before anything has been measured."""


class Turns:
    """The turns of one event loop."""

    def __init__(self) -> None:
        self._asked: deque[asyncio.Future[None]] = deque()
        self._unasked: deque[asyncio.Future[None]] = deque()
        self._queues = deque((self._asked, self._unasked))  # the first of them has the next turn
        self._room = FIRST
        self._left = 0
        self._began: float | None = None  # when the current round began, if it is measured

    async def mine(self, *, unasked: bool = False) -> None:
        """Return when the caller may begin: at once, unless this round is full. `unasked`: no client waits for it."""
        if self._began is None:
            self._watch()
        if self._left and not self._asked and not (unasked and self._unasked):
            self._left -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        (self._unasked if unasked else self._asked).append(turn)
        await turn

    def _watch(self) -> None:
        self._began, self._left = thread_time(), self._room
        asyncio.get_running_loop().call_soon(self._next)

    def _next(self) -> None:
        """End the round and let the next callers begin."""
        assert self._began is not None
        if thread_time() - self._began > min(LONG * (1 + len(self._asked) / MANY), LONGEST):
            self._room = max(1, self._room // 2)
        elif not self._left:
            self._room += 1
        if not self._asked and not self._unasked:
            self._began = None
            return
        left = self._room
        while left and any(self._queues):
            left -= _grant(self._queues[0])
            self._queues.rotate()
        self._watch()
        self._left = left


def _grant(queue: deque[asyncio.Future[None]]) -> bool:
    """Let the first that still waits begin; False if there is none."""
    while queue:
        turn = queue.popleft()
        if not turn.done():
            turn.set_result(None)
            return True
    return False
